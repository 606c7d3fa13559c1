//! Frames of a streamed remote-read answer: the same however the bytes come, and none that its checksum does not cover.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecar::{FrameDecoder, FrameError};
use varve_fuzz::{bounded, put_uvarint};

fuzz_target!(|data: &[u8]| {
    let Some((step, stream)) = data.split_first() else {
        return;
    };
    let _ = read(stream, stream.len().max(1));
    let sealed = sealed(stream);
    let whole = bounded(sealed.len(), 64, || read(&sealed, sealed.len().max(1)));
    let pieces = read(&sealed, usize::from(*step).max(1));
    assert_eq!(whole, pieces);
    let (frames, end) = whole;
    assert_eq!(end, Ok(()));
    assert_eq!(frames.concat(), stream);
});

/// Frames of up to 100 bytes each, with checksums that are right.
fn sealed(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for data in stream.chunks(100) {
        put_uvarint(&mut out, data.len() as u64);
        out.extend(crc32c::crc32c(data).to_be_bytes());
        out.extend(data);
    }
    out
}

/// The frames of a stream that comes in pieces of `step` bytes, and how it ends.
fn read(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let mut decoder = FrameDecoder::default();
    let mut frames = Vec::new();
    for piece in stream.chunks(step) {
        decoder.push(piece.to_vec().into());
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, decoder.finish())
}
