//! The encodings of gRPC messages, and the frames that messages come in:
//!
//! ```text
//! ┌───────────────┬────────────────────┬─────────────────┐
//! │ flag <1 byte> │ length <4 byte BE> │ message <bytes> │
//! └───────────────┴────────────────────┴─────────────────┘
//! ```
//!
//! The flag is 1 where the message is encoded as `grpc-encoding` says. What gRPC for Go calls `snappy` is Snappy's
//! framing format, not its block format: github.com/thanos-io/thanos, `pkg/extgrpc/snappy/snappy.go`.

use std::io::{self, Read, Write as _};

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

/// The length of a message's header.
pub(super) const HEAD: usize = 5;
/// The flag of a plain message.
const PLAIN: u8 = 0;
/// The flag of an encoded message.
const ENCODED: u8 = 1;

/// The encoding of a call's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcEncoding {
    /// `gzip`, of one member or several.
    Gzip,
    /// `snappy`, in the framing format.
    Snappy,
}

/// A message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GrpcMessageError {
    /// It does not decode.
    #[error("grpc message of {length} bytes does not decode as {}: {source}", encoding.name())]
    Encoding {
        /// Its encoding.
        encoding: GrpcEncoding,
        /// Its encoded length.
        length: usize,
        /// What is wrong.
        source: io::Error,
    },
    /// Its flag is unknown.
    #[error("grpc message: expected flag 0 or 1, found {0}")]
    Flag(u8),
    /// It is encoded, but the call has no encoding.
    #[error("grpc message: expected a grpc-encoding of a compressed message, found none")]
    NoEncoding,
    /// It exceeds the limit.
    #[error("grpc message is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes, for both the encoded and the decoded message.
        limit: usize,
    },
}

impl GrpcEncoding {
    /// The encoding of this name in `grpc-encoding`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Gzip, Self::Snappy]
            .into_iter()
            .find(|one| one.name() == name)
    }

    /// Its name in `grpc-encoding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
        }
    }

    /// Decodes one message, and stops when it exceeds `limit` bytes.
    ///
    /// # Errors
    /// When it does not decode, or is too large.
    pub fn decode(self, message: &[u8], limit: usize) -> Result<Vec<u8>, GrpcMessageError> {
        let within = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut plain = Vec::new();
        let read = match self {
            Self::Gzip => MultiGzDecoder::new(message)
                .take(within)
                .read_to_end(&mut plain),
            Self::Snappy => snap::read::FrameDecoder::new(message)
                .take(within)
                .read_to_end(&mut plain),
        };
        read.map_err(|source| GrpcMessageError::Encoding {
            encoding: self,
            length: message.len(),
            source,
        })?;
        match plain.len() > limit {
            true => Err(GrpcMessageError::TooLarge { limit }),
            false => Ok(plain),
        }
    }

    /// Encodes one message.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn encode(self, message: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
                gzip.write_all(message)?;
                gzip.finish()
            }
            Self::Snappy => {
                let mut snappy = snap::write::FrameEncoder::new(Vec::new());
                snappy.write_all(message)?;
                snappy.into_inner().map_err(|e| e.into_error())
            }
        }
    }
}

/// Takes the next message with its header off `buffer`, if all of it is there.
///
/// # Errors
/// When it is larger than `limit` bytes, which is known from its header.
pub(super) fn take_message(
    buffer: &mut BytesMut,
    limit: usize,
) -> Result<Option<Bytes>, GrpcMessageError> {
    let Some((_, length)) = head(buffer) else {
        return Ok(None);
    };
    if length > limit {
        return Err(GrpcMessageError::TooLarge { limit });
    }
    let whole = length.saturating_add(HEAD);
    Ok((buffer.len() >= whole).then(|| buffer.split_to(whole).freeze()))
}

/// Whether a message is encoded.
pub(super) fn is_encoded(message: &[u8]) -> bool {
    message.first() == Some(&ENCODED)
}

/// Decodes a message with its header; the result is a plain message with a header.
///
/// # Errors
/// When it does not decode, or is larger than `limit` bytes.
pub(super) fn plain(
    encoding: Option<GrpcEncoding>,
    message: Bytes,
    limit: usize,
) -> Result<Bytes, GrpcMessageError> {
    match (head(&message), encoding) {
        (Some((ENCODED, _)), Some(encoding)) => {
            let body = message.get(HEAD..).unwrap_or_default();
            Ok(framed(PLAIN, &encoding.decode(body, limit)?))
        }
        (Some((ENCODED, _)), None) => Err(GrpcMessageError::NoEncoding),
        (Some((PLAIN, _)) | None, _) => Ok(message),
        (Some((flag, _)), _) => Err(GrpcMessageError::Flag(flag)),
    }
}

/// Encodes the complete messages in `messages`, each if that makes it smaller.
///
/// # Errors
/// When an encoder fails.
pub(super) fn encoded(encoding: GrpcEncoding, mut messages: Bytes) -> io::Result<Bytes> {
    let mut out = BytesMut::with_capacity(messages.len() / 2);
    while let Some((flag, length)) = head(&messages) {
        let message = messages.split_to(messages.len().min(length.saturating_add(HEAD)));
        let body = message.get(HEAD..).unwrap_or_default();
        let small = match flag {
            PLAIN if !body.is_empty() => Some(encoding.encode(body)?),
            _ => None,
        };
        match small.filter(|small| small.len() < body.len()) {
            Some(small) => out.extend_from_slice(&framed(ENCODED, &small)),
            None => out.extend_from_slice(&message),
        }
    }
    Ok(out.freeze())
}

/// The number of bytes of complete messages.
pub(super) fn whole(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some((_, length)) = bytes.get(at..).and_then(head) {
        match at.saturating_add(HEAD).saturating_add(length) {
            end if end <= bytes.len() => at = end,
            _ => break,
        }
    }
    at
}

/// The flag and length of the message at the start.
fn head(mut bytes: &[u8]) -> Option<(u8, usize)> {
    if bytes.len() < HEAD {
        return None;
    }
    let flag = bytes.get_u8();
    Some((flag, usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX)))
}

/// A message with its header. Its length was read from a header, or is below a limit of the same type.
fn framed(flag: u8, message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEAD + message.len());
    out.push(flag);
    out.extend_from_slice(
        &u32::try_from(message.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    out.extend_from_slice(message);
    out.into()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const BOTH: [GrpcEncoding; 2] = [GrpcEncoding::Gzip, GrpcEncoding::Snappy];

    /// A message in a frame, encoded or not.
    pub(in crate::grpc) fn message(encoding: Option<GrpcEncoding>, body: &[u8]) -> Bytes {
        match encoding {
            Some(encoding) => framed(ENCODED, &encoding.encode(body).unwrap()),
            None => framed(PLAIN, body),
        }
    }

    #[test]
    fn messages_come_back_as_they_were() {
        for encoding in BOTH {
            let bodies: [&[u8]; 4] = [b"", b"a", &[7; 300_000], b"a message of its own"];
            let plain_frames: Vec<u8> = bodies.iter().flat_map(|b| message(None, b)).collect();
            assert_eq!(whole(&plain_frames), plain_frames.len());
            let out = encoded(encoding, plain_frames.clone().into()).unwrap();
            assert!(out.len() < plain_frames.len() / 2, "{}", out.len());
            let mut buffer = BytesMut::from(&out[..]);
            let mut back = Vec::new();
            while let Some(one) = take_message(&mut buffer, 300_000).unwrap() {
                back.extend(plain(Some(encoding), one, 300_000).unwrap());
            }
            assert_eq!(back, plain_frames, "{encoding:?}");
        }
    }

    #[test]
    fn snappy_is_the_framing_format() {
        let bytes = message(Some(GrpcEncoding::Snappy), &[7; 100]);
        assert_eq!(&bytes[HEAD..HEAD + 10], b"\xff\x06\x00\x00sNaPpY");
    }

    #[test]
    fn a_message_that_inflates_past_the_limit_is_given_up_there() {
        for encoding in BOTH {
            let bomb = message(Some(encoding), &vec![0; 50 << 20]);
            assert!(bomb.len() < 4 << 20, "{}", bomb.len());
            let error = plain(Some(encoding), bomb, 1 << 20).unwrap_err();
            assert!(
                matches!(error, GrpcMessageError::TooLarge { limit: 1_048_576 }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_length_past_the_limit_is_refused_before_the_message_is_there() {
        let mut buffer = BytesMut::from(&b"\x00\xff\xff\xff\xff"[..]);
        let error = take_message(&mut buffer, 1 << 20).unwrap_err();
        assert!(
            matches!(error, GrpcMessageError::TooLarge { .. }),
            "{error}"
        );
    }

    #[test]
    fn half_a_message_waits_for_the_rest() {
        let frame = message(None, b"abc");
        for cut in 0..frame.len() {
            let mut buffer = BytesMut::from(&frame[..cut]);
            assert_eq!(take_message(&mut buffer, 3).unwrap(), None);
            assert_eq!(whole(&frame[..cut]), 0);
        }
    }

    #[test]
    fn what_does_not_decode_is_an_error() {
        for encoding in BOTH {
            let good = message(Some(encoding), &[7; 1000]);
            for cut in HEAD + 1..good.len() {
                let cut = framed(ENCODED, &good[HEAD..cut]);
                // Snappy's format has no end mark: a message that is cut between chunks is a shorter message.
                if let Ok(short) = plain(Some(encoding), cut, 1000) {
                    assert_eq!((encoding, short.len()), (GrpcEncoding::Snappy, HEAD));
                }
            }
        }
        let error = plain(None, message(Some(GrpcEncoding::Gzip), b"x"), 10).unwrap_err();
        assert!(matches!(error, GrpcMessageError::NoEncoding), "{error}");
        let error = plain(None, Bytes::from_static(b"\x02\0\0\0\0"), 10).unwrap_err();
        assert!(matches!(error, GrpcMessageError::Flag(2)), "{error}");
    }
}
