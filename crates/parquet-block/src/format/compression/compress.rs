//! Compresses pages.

use std::{cell::RefCell, io};

use zstd::zstd_safe::{CParameter, Strategy};

use crate::error::Error;

/// A larger buffer is freed after its use.
const KEEP: usize = 4 << 20;

/// From this level on, zstd's own strategy compresses texts better than ours.
const SLOW_LEVEL: i32 = 14;

/// The kind of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The values of a data page.
    Values,
    /// Samples of them, to see whether they compress.
    Sample,
    /// The sorted texts of a dictionary. Random parts, such as in pods' names, cause short matches that take more
    /// bytes than they save. The optimal parser makes dictionaries of a cluster's labels up to half as large as level
    /// 3 does, and as small as level 19 does; with short searches it takes a fifth of the time of that level.
    Texts,
}

thread_local! {
    /// A context costs more to make than a page to compress, so there is one of each kind. The buffer holds the
    /// output.
    static ZSTD: RefCell<Zstd> = const {
        RefCell::new(Zstd {
            values: None,
            sample: None,
            texts: None,
            buffer: Vec::new(),
        })
    };
}

struct Zstd {
    values: Option<Context>,
    sample: Option<Context>,
    texts: Option<Context>,
    buffer: Vec<u8>,
}

struct Context {
    zstd: zstd::bulk::Compressor<'static>,
    level: i32,
}

/// Calls `with` with `bytes` compressed by zstd.
pub(crate) fn compress<T>(
    bytes: &[u8],
    kind: Kind,
    level: i32,
    with: impl FnOnce(&[u8]) -> T,
) -> Result<T, Error> {
    ZSTD.with_borrow_mut(|zstd| {
        let buffer = &mut zstd.buffer;
        let context = match kind {
            Kind::Values => &mut zstd.values,
            Kind::Sample => &mut zstd.sample,
            Kind::Texts => &mut zstd.texts,
        };
        buffer.clear();
        buffer.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        compress_into(context, kind, bytes, level, buffer)
            .map_err(|source| Error::io("zstd", source))?;
        let out = with(buffer);
        if buffer.capacity() > KEEP {
            *buffer = Vec::new();
        }
        Ok(out)
    })
}

fn compress_into(
    context: &mut Option<Context>,
    kind: Kind,
    bytes: &[u8],
    level: i32,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let context = match context {
        Some(context) => context,
        None => {
            let mut zstd = zstd::bulk::Compressor::new(level)?;
            tune(&mut zstd, kind, level)?;
            context.insert(Context { zstd, level })
        }
    };
    if context.level != level {
        // Settings of an earlier level would stay.
        if kind == Kind::Texts {
            context.zstd = zstd::bulk::Compressor::new(level)?;
        }
        tune(&mut context.zstd, kind, level)?;
        context.level = level;
    }
    context.zstd.compress_to_buffer(bytes, buffer)?;
    Ok(())
}

fn tune(zstd: &mut zstd::bulk::Compressor<'_>, kind: Kind, level: i32) -> io::Result<()> {
    zstd.set_compression_level(level)?;
    if kind == Kind::Texts && level < SLOW_LEVEL {
        zstd.set_parameter(CParameter::Strategy(Strategy::ZSTD_btopt))?;
        zstd.set_parameter(CParameter::MinMatch(5))?;
        zstd.set_parameter(CParameter::SearchLog(2))?;
        zstd.set_parameter(CParameter::TargetLength(32))?;
    }
    Ok(())
}
