//! Decompresses pages, into memory in proportion to their compressed size.

use std::{cell::RefCell, io::Read};

use bytes::Bytes;

use crate::format::{fault::Fault, metadata::Codec};

/// Up to this ratio the stated size of a page is believed, and memory reserved at once.
const USUAL_RATIO: usize = 64;

/// Snappy's densest element makes 64 bytes of 3.
const SNAPPY_MAX_RATIO: usize = 22;

thread_local! {
    /// A context costs more to make than a page to decompress.
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The `size` bytes in `compressed`. Uncompressed pages are not copied.
pub(crate) fn decompress(codec: Codec, compressed: &Bytes, size: usize) -> Result<Bytes, Fault> {
    let out = match codec {
        Codec::Uncompressed => compressed.clone(),
        // A page without values may have no frame.
        _ if size == 0 && compressed.is_empty() => Bytes::new(),
        Codec::Snappy => snappy(compressed, size)?.into(),
        Codec::Zstd => zstd(compressed, size)?.into(),
        Codec::Other(id) => {
            return Err(Fault::new(
                0,
                format!("codec: expected one of UNCOMPRESSED, SNAPPY and ZSTD, found {id:?}"),
            ));
        }
    };
    if out.len() == size {
        Ok(out)
    } else {
        Err(Fault::new(
            0,
            format!(
                "decompressed page: expected {size} bytes, found {}",
                out.len()
            ),
        ))
    }
}

fn snappy(compressed: &[u8], size: usize) -> Result<Vec<u8>, Fault> {
    let stored = snap::raw::decompress_len(compressed).map_err(failed)?;
    if stored != size || size > compressed.len().saturating_mul(SNAPPY_MAX_RATIO) {
        return Err(Fault::new(
            0,
            format!("decompressed page: expected {size} bytes, found {stored} by snappy"),
        ));
    }
    snap::raw::Decoder::new()
        .decompress_vec(compressed)
        .map_err(failed)
}

fn zstd(compressed: &[u8], size: usize) -> Result<Vec<u8>, Fault> {
    if size > compressed.len().saturating_mul(USUAL_RATIO) {
        return zstd_growing(compressed, size).map_err(failed);
    }
    ZSTD.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(zstd::bulk::Decompressor::new().map_err(failed)?),
        };
        context.decompress(compressed, size).map_err(failed)
    })
}

/// For pages that claim a very large size: memory grows with the output.
fn zstd_growing(compressed: &[u8], size: usize) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    zstd::stream::read::Decoder::with_buffer(compressed)?
        .take(size as u64 + 1)
        .read_to_end(&mut out)?;
    Ok(out)
}

fn failed(error: impl std::fmt::Display) -> Fault {
    Fault::new(0, error.to_string())
}

#[cfg(test)]
mod tests {
    use parquet::basic::CompressionCodec;

    use super::*;

    #[test]
    fn each_codec_gives_back_what_went_in() {
        let text = b"some text, some text, some text".as_slice();
        let zstd = zstd::bulk::compress(text, 1).unwrap();
        let snappy = snap::raw::Encoder::new().compress_vec(text).unwrap();
        for (codec, compressed) in [
            (Codec::Uncompressed, text.to_vec()),
            (Codec::Zstd, zstd),
            (Codec::Snappy, snappy),
        ] {
            let bytes = Bytes::from(compressed);
            assert_eq!(decompress(codec, &bytes, text.len()).unwrap(), text);
            assert!(decompress(codec, &bytes, text.len() + 1).is_err());
            assert!(decompress(codec, &bytes, text.len() - 1).is_err());
        }
    }

    #[test]
    fn a_page_of_many_zeroes_is_read_and_a_boast_of_more_refused() {
        let bytes = Bytes::from(zstd::bulk::compress(&vec![0; 1 << 20], 1).unwrap());
        assert_eq!(
            decompress(Codec::Zstd, &bytes, 1 << 20).unwrap().len(),
            1 << 20
        );
        assert!(decompress(Codec::Zstd, &bytes, 1 << 31).is_err());
        assert!(decompress(Codec::Snappy, &bytes, 1 << 31).is_err());
    }

    #[test]
    fn an_unknown_codec_is_named() {
        let error =
            decompress(Codec::Other(CompressionCodec::BROTLI), &Bytes::new(), 1).unwrap_err();
        assert!(error.reason.ends_with("found BROTLI"), "{error}");
    }
}
