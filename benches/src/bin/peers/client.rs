//! A client of the StoreAPI that does not decode what it is sent, so that it is the server that is measured.

use std::{
    fmt,
    time::{Duration, Instant},
};

use bytes::{Buf, BufMut as _};
use prost::Message as _;
use proto::thanos::SeriesRequest;
use tonic::{
    Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

/// An answer as it came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answer {
    /// Until the first frame was there.
    pub(crate) first: Duration,
    /// Until the last was.
    pub(crate) whole: Duration,
    /// Bytes of its frames.
    pub(crate) bytes: usize,
}

/// Asks for series, and gives the answer unread: the sizes of its frames.
pub(crate) async fn open(
    channel: &Channel,
    request: &SeriesRequest,
) -> anyhow::Result<Streaming<usize>> {
    let mut client = Grpc::new(channel.clone()).max_decoding_message_size(usize::MAX);
    client.ready().await?;
    let path = PathAndQuery::from_static("/thanos.Store/Series");
    let request = tonic::Request::new(request.encode_to_vec());
    let answer = client.server_streaming(request, path, Encoded).await?;
    Ok(answer.into_inner())
}

/// Asks for series, and reads the answer.
pub(crate) async fn series(channel: &Channel, request: &SeriesRequest) -> anyhow::Result<Answer> {
    let started = Instant::now();
    let mut frames = open(channel, request).await?;
    let mut answer = Answer::default();
    while let Some(bytes) = frames.message().await? {
        if answer.bytes == 0 {
            answer.first = started.elapsed();
        }
        answer.bytes += bytes;
    }
    answer.whole = started.elapsed();
    Ok(answer)
}

/// Sends bytes as they are, and of what comes tells how many bytes there are.
#[derive(Clone, Copy, Debug)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Vec<u8>;
    type Decode = usize;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Encoded {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = usize;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<usize>, Status> {
        let bytes = from.remaining();
        from.advance(bytes);
        Ok(Some(bytes))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(f, "{:.2}/{:.2}", ms(self.first), ms(self.whole))
    }
}
