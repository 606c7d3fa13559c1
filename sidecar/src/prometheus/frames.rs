//! The frames of a streamed remote-read answer.
//!
//! ```text
//! frame: length uvarint of data, at most 10 bytes
//!        CRC-32C of data, 4 bytes, big-endian
//!        data
//! ```
//! A frame that is cut, longer than Prometheus ever sends or not what its checksum says is an error: whatever follows
//! could be anything.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

/// The longest data of a frame in bytes: the limit of Prometheus's own client.
const MAX_FRAME: usize = 50_000_000;
/// The longest length.
const MAX_UVARINT: usize = 10;
const CHECKSUM: usize = 4;

/// Takes bytes as they arrive and gives the data of frames.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    /// The beginning of a frame whose end has not arrived; if it is empty, the next bytes are in `arrived`.
    begun: BytesMut,
    arrived: Bytes,
    /// The offset of the next frame in the answer.
    at: u64,
    /// The number of given frames.
    frames: u64,
}

/// A damaged frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame {frame} at byte {at}: {fault}")]
pub struct FrameError {
    /// Its number, from 0.
    pub frame: u64,
    /// Its offset.
    pub at: u64,
    /// What is wrong with it.
    pub fault: FrameFault,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// The length is too long.
    #[error("expected a length of at most {MAX_UVARINT} bytes, found a longer one")]
    Length,
    /// The data are longer than any that Prometheus sends.
    #[error("expected at most {MAX_FRAME} bytes of data, found a length of {found}")]
    TooLong {
        /// The stated length.
        found: u64,
    },
    /// The answer ends within the frame.
    #[error("expected {expected} more bytes, found the end of the answer")]
    Cut {
        /// The number of missing bytes, as far as is known.
        expected: usize,
    },
    /// The checksum differs.
    #[error("expected data of checksum {expected:08x}, found {found:08x}")]
    Checksum {
        /// The stated checksum.
        expected: u32,
        /// The checksum of the data.
        found: u32,
    },
}

impl FrameDecoder {
    /// Takes the next bytes of the answer. Frames that are whole in them are not copied.
    pub fn push(&mut self, bytes: Bytes) {
        if self.begun.is_empty() && self.arrived.is_empty() {
            self.arrived = bytes;
        } else {
            self.begun.extend_from_slice(&mem::take(&mut self.arrived));
            self.begun.extend_from_slice(&bytes);
        }
    }

    /// The data of the next frame, if all of it has arrived.
    ///
    /// # Errors
    /// When the frame is too long or its checksum differs; nothing can be read from then on.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some((length, head)) = self.head()? else {
            return Ok(self.wait());
        };
        let total = head + CHECKSUM + length;
        // Memory grows with the bytes that arrive: the length alone is only a claim.
        if self.rest().len() < total {
            return Ok(self.wait());
        }
        let mut frame = match self.begun.is_empty() {
            true => self.arrived.split_to(total),
            false => self.begun.split_to(total).freeze(),
        };
        frame.advance(head);
        let expected = frame.get_u32();
        let found = crc32c::crc32c(&frame);
        if found != expected {
            return Err(self.fault(FrameFault::Checksum { expected, found }));
        }
        self.at += total as u64;
        self.frames += 1;
        Ok(Some(frame))
    }

    /// Marks the end of the answer.
    ///
    /// # Errors
    /// When it is within a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.rest().is_empty() {
            return Ok(());
        }
        let expected = match self.head()? {
            Some((length, head)) => head + CHECKSUM + length - self.rest().len(),
            None => 1,
        };
        Err(self.fault(FrameFault::Cut { expected }))
    }

    /// The number of frames given so far.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// What has arrived of the next frames.
    fn rest(&self) -> &[u8] {
        match self.begun.is_empty() {
            true => &self.arrived,
            false => &self.begun,
        }
    }

    /// Keeps what has arrived of a frame, so that what it came with can go.
    fn wait(&mut self) -> Option<Bytes> {
        if self.begun.is_empty() {
            self.begun.extend_from_slice(&mem::take(&mut self.arrived));
        }
        None
    }

    /// The length of the data, and the bytes that state it.
    fn head(&self) -> Result<Option<(usize, usize)>, FrameError> {
        let mut length = 0_u64;
        let shifts = (0_u32..).step_by(7);
        for (i, (byte, shift)) in self.rest().iter().take(MAX_UVARINT).zip(shifts).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.fault(FrameFault::Length));
            }
            length |= bits << shift;
            if byte & 0x80 == 0 {
                return match usize::try_from(length) {
                    Ok(short) if short <= MAX_FRAME => Ok(Some((short, i + 1))),
                    _ => Err(self.fault(FrameFault::TooLong { found: length })),
                };
            }
        }
        match self.rest().len() >= MAX_UVARINT {
            true => Err(self.fault(FrameFault::Length)),
            false => Ok(None),
        }
    }

    fn fault(&self, fault: FrameFault) -> FrameError {
        FrameError {
            frame: self.frames,
            at: self.at,
            fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        prost::encoding::encode_varint(data.len() as u64, &mut out);
        out.extend(crc32c::crc32c(data).to_be_bytes());
        out.extend(data);
        out
    }

    #[test]
    fn frames_are_given_whole_however_they_come() {
        let long = vec![7; 300];
        let stream = [frame(b"one"), frame(b""), frame(&long)].concat();
        for step in [1, 2, 3, 7, 1000] {
            let mut decoder = FrameDecoder::default();
            let mut found = Vec::new();
            for bytes in stream.chunks(step) {
                decoder.push(Bytes::copy_from_slice(bytes));
                while let Some(data) = decoder.next_frame().unwrap() {
                    found.push(data);
                }
            }
            decoder.finish().unwrap();
            assert_eq!(found, [&b"one"[..], b"", &long]);
            assert_eq!(decoder.frames(), 3);
        }
    }

    #[test]
    fn an_answer_that_ends_inside_a_frame_is_an_error_that_says_where() {
        let stream = [frame(b"one"), frame(b"two")].concat();
        for cut in 9..stream.len() {
            let mut decoder = FrameDecoder::default();
            decoder.push(Bytes::copy_from_slice(&stream[..cut]));
            assert_eq!(decoder.next_frame().unwrap().unwrap(), &b"one"[..]);
            assert_eq!(decoder.next_frame(), Ok(None));
            let error = decoder.finish().unwrap_err();
            assert_eq!((error.frame, error.at), (1, 8));
            assert!(matches!(error.fault, FrameFault::Cut { expected } if expected == 16 - cut));
        }
    }

    #[test]
    fn a_wrong_checksum_is_an_error_that_says_where() {
        let mut stream = [frame(b"one"), frame(b"two")].concat();
        *stream.last_mut().unwrap() ^= 1;
        let mut decoder = FrameDecoder::default();
        decoder.push(stream.into());
        decoder.next_frame().unwrap();
        let error = decoder.next_frame().unwrap_err().to_string();
        assert!(
            error.starts_with("frame 1 at byte 8: expected data of checksum "),
            "{error}"
        );
    }

    #[test]
    fn a_frame_of_60_megabytes_is_refused_by_its_length() {
        let mut decoder = FrameDecoder::default();
        // 60,000,000 as a uvarint.
        decoder.push(Bytes::from_static(&[0x80, 0x8e, 0xce, 0x1c]));
        assert_eq!(
            decoder.next_frame().unwrap_err().to_string(),
            "frame 0 at byte 0: expected at most 50000000 bytes of data, found a length of 60000000"
        );
        let mut endless = FrameDecoder::default();
        endless.push(Bytes::from_static(&[0xff; 10]));
        assert_eq!(endless.next_frame().unwrap_err().fault, FrameFault::Length);
        // What Prometheus appends when it fails on the way.
        let mut text = FrameDecoder::default();
        text.push(Bytes::from_static(b"remote read: out of memory\n"));
        assert_eq!(text.next_frame(), Ok(None));
        assert!(text.finish().is_err());
    }
}
