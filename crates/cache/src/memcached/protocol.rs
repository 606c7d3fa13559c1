//! The text protocol of memcached: `get` of many keys, and `set`.
//!
//! Source: `doc/protocol.txt` of memcached.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// The longest line of a response.
const MAX_LINE: usize = 4096;

/// A line ends with it.
const END: &[u8] = b"\r\n";

/// Longer times are points in time for memcached.
const MAX_TTL: u64 = 30 * 24 * 60 * 60;

/// Reads and writes on a connection.
#[derive(Debug, Default)]
pub(crate) struct Protocol {
    /// No value longer than so many bytes is read.
    pub(crate) most: usize,
    /// The value whose first line was read: its key and its length.
    value: Option<(String, usize)>,
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum Request<'a> {
    Get(&'a [&'a str]),
    Set {
        key: &'a str,
        value: &'a [u8],
        ttl_seconds: u64,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    Value(String, Bytes),
    /// No more values.
    End,
    Stored,
    NotStored,
}

impl Protocol {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A value that is all there.
    fn value(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Response>> {
        let Some((_, length)) = &self.value else {
            return Ok(None);
        };
        let whole = length + END.len();
        if buffer.len() < whole {
            buffer.reserve(whole - buffer.len());
            return Ok(None);
        }
        let mut value = buffer.split_to(whole);
        let end = value.split_off(*length);
        if end != END {
            return Err(wrong("the end of a line after a value", &end));
        }
        let key = self.value.take().map(|(key, _)| key);
        Ok(key.map(|key| Response::Value(key, value.freeze())))
    }

    /// The response of a line, unless it begins a value.
    fn line(&mut self, line: &[u8]) -> io::Result<Option<Response>> {
        match line {
            b"END" => return Ok(Some(Response::End)),
            b"STORED" => return Ok(Some(Response::Stored)),
            b"NOT_STORED" => return Ok(Some(Response::NotStored)),
            _ => {}
        }
        let text = std::str::from_utf8(line).ok();
        let mut words = text.into_iter().flat_map(|text| text.split(' '));
        let (head, key, _flags) = (words.next(), words.next(), words.next());
        let length = words.next().and_then(|length| length.parse::<usize>().ok());
        let (Some("VALUE"), Some(key), Some(length), None) = (head, key, length, words.next())
        else {
            return Err(wrong("VALUE, END or STORED", line));
        };
        if length > self.most {
            let text = format!(
                "expected a value of at most {} bytes, found {length}",
                self.most
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.value = Some((key.to_owned(), length));
        Ok(None)
    }
}

impl Decoder for Protocol {
    type Item = Response;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Response>> {
        loop {
            if self.value.is_some() {
                return self.value(buffer);
            }
            let head = buffer.get(..buffer.len().min(MAX_LINE)).unwrap_or_default();
            let Some(end) = head.windows(END.len()).position(|two| two == END) else {
                if head.len() == MAX_LINE {
                    return Err(wrong("the end of a line", head));
                }
                return Ok(None);
            };
            let line = buffer.split_to(end + END.len());
            let line = line.strip_suffix(END).unwrap_or_default();
            if let Some(response) = self.line(line)? {
                return Ok(Some(response));
            }
        }
    }
}

impl Encoder<Request<'_>> for Protocol {
    type Error = io::Error;

    /// Keys must be at most 250 bytes without spaces and control characters.
    fn encode(&mut self, request: Request<'_>, buffer: &mut BytesMut) -> io::Result<()> {
        match request {
            Request::Get(keys) => {
                buffer.extend_from_slice(b"get");
                for key in keys {
                    buffer.extend_from_slice(b" ");
                    buffer.extend_from_slice(key.as_bytes());
                }
            }
            Request::Set {
                key,
                value,
                ttl_seconds,
            } => {
                let ttl = ttl_seconds.clamp(1, MAX_TTL);
                let head = format!("set {key} 0 {ttl} {}\r\n", value.len());
                buffer.extend_from_slice(head.as_bytes());
                buffer.extend_from_slice(value);
            }
        }
        buffer.extend_from_slice(END);
        Ok(())
    }
}

fn wrong(expected: &str, found: &[u8]) -> io::Error {
    let found = found.get(..found.len().min(64)).unwrap_or_default();
    let text = format!(
        "expected {expected}, found {:?}",
        found.escape_ascii().to_string()
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8], most: usize) -> io::Result<Vec<Response>> {
        let (mut protocol, mut buffer) = (Protocol { most, value: None }, BytesMut::from(bytes));
        std::iter::from_fn(|| protocol.decode(&mut buffer).transpose()).collect()
    }

    #[test]
    fn requests_are_lines() {
        let mut buffer = BytesMut::new();
        let mut protocol = Protocol::new();
        protocol
            .encode(Request::Get(&["a", "b"]), &mut buffer)
            .unwrap();
        let set = |ttl_seconds| Request::Set {
            key: "a",
            value: b"x\r\ny",
            ttl_seconds,
        };
        protocol.encode(set(60), &mut buffer).unwrap();
        protocol.encode(set(u64::MAX), &mut buffer).unwrap();
        let expected = b"get a b\r\nset a 0 60 4\r\nx\r\ny\r\nset a 0 2592000 4\r\nx\r\ny\r\n";
        assert_eq!(&buffer[..], &expected[..]);
    }

    #[test]
    fn what_is_no_response_is_an_error_that_shows_it() {
        for (bytes, said) in [
            (
                &b"SERVER_ERROR out of memory\r\n"[..],
                "SERVER_ERROR out of memory",
            ),
            (b"VALUE a 0 3\r\nabcd\r\n", "after a value"),
            (b"VALUE a 0 4\r\n", "at most 3 bytes, found 4"),
            (b"VALUE a 0 99999999999999999999\r\n", "expected VALUE"),
            (b"VALUE a 0 1 2\r\n", "expected VALUE"),
            (b"\xff\r\n", "\\\\xff"),
            (&[b'x'; MAX_LINE + 1], "the end of a line"),
        ] {
            let error = all(bytes, 3).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    proptest! {
        #[test]
        fn values_arrive_in_any_pieces(
            values in prop::collection::vec(("[a-z]{1,9}", prop::collection::vec(any::<u8>(), 0..40)), 0..5),
            cut in 1usize..20,
        ) {
            let mut bytes = Vec::new();
            for (key, value) in &values {
                bytes.extend(format!("VALUE {key} 0 {}\r\n", value.len()).bytes());
                bytes.extend(value);
                bytes.extend(END);
            }
            bytes.extend(b"END\r\n");
            let (mut protocol, mut buffer) = (Protocol { most: 40, value: None }, BytesMut::new());
            let mut found = Vec::new();
            for piece in bytes.chunks(cut) {
                buffer.extend_from_slice(piece);
                while let Some(response) = protocol.decode(&mut buffer).unwrap() {
                    found.push(response);
                }
            }
            let mut expected: Vec<_> = values.into_iter().map(|(key, value)| Response::Value(key, value.into())).collect();
            expected.push(Response::End);
            prop_assert_eq!(found, expected);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&bytes, 100);
        }
    }
}
