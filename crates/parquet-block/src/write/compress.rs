//! Compresses pages.

use std::{cell::RefCell, io};

use crate::error::Error;

/// A buffer that has grown larger than this is let go.
const KEEP: usize = 4 << 20;

thread_local! {
    /// A context costs more to make than a page to compress; the buffer holds what comes out.
    static ZSTD: RefCell<(Option<Context>, Vec<u8>)> = const { RefCell::new((None, Vec::new())) };
}

struct Context {
    zstd: zstd::bulk::Compressor<'static>,
    level: i32,
}

/// Calls `with` with `bytes` compressed by zstd.
pub(super) fn compress<T>(
    bytes: &[u8],
    level: i32,
    with: impl FnOnce(&[u8]) -> T,
) -> Result<T, Error> {
    ZSTD.with_borrow_mut(|(context, buffer)| {
        buffer.clear();
        buffer.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        compress_into(context, bytes, level, buffer).map_err(|source| Error::io("zstd", source))?;
        let out = with(buffer);
        if buffer.capacity() > KEEP {
            *buffer = Vec::new();
        }
        Ok(out)
    })
}

fn compress_into(
    context: &mut Option<Context>,
    bytes: &[u8],
    level: i32,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let context = match context {
        Some(context) => context,
        None => context.insert(Context {
            zstd: zstd::bulk::Compressor::new(level)?,
            level,
        }),
    };
    if context.level != level {
        context.zstd.set_compression_level(level)?;
        context.level = level;
    }
    context.zstd.compress_to_buffer(bytes, buffer)?;
    Ok(())
}
