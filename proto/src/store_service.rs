//! The service `thanos.Store` as it is served: as generated, but for the series, whose messages come as bytes.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{BufMut as _, Bytes};
use futures::stream::BoxStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{BufferSettings, Codec, EncodeBuf, Encoder},
    codegen::{Service, http},
    server::{Grpc, NamedService, ServerStreamingService},
};
use tonic_prost::{ProstCodec, ProstDecoder};

use crate::thanos::{
    SeriesRequest,
    store_server::{Store, StoreServer},
};

/// The path of the method whose messages come as bytes.
const SERIES: &str = "/thanos.Store/Series";

/// Memory in which messages are put together for the connection: as much is begun with, and sent from so many bytes on.
const BUFFER_BYTES: usize = 128 << 10;
const SENT_FROM_BYTES: usize = 64 << 10;

type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A StoreAPI that writes the messages of series itself.
#[tonic::async_trait]
pub trait EncodedSeries: Store + Clone {
    /// The messages that answer a request for series, encoded.
    async fn encoded_series(
        &self,
        wire: SeriesRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status>;
}

/// The service.
#[derive(Clone, Debug)]
pub struct StoreService<T> {
    api: T,
    max_message_bytes: usize,
    /// All other methods.
    others: StoreServer<T>,
}

impl<T: EncodedSeries> StoreService<T> {
    /// Serves `api`, with messages of `max_message_bytes` at most in both directions.
    #[must_use]
    pub fn new(api: T, max_message_bytes: usize) -> Self {
        let others = StoreServer::new(api.clone())
            .max_decoding_message_size(max_message_bytes)
            .max_encoding_message_size(max_message_bytes);
        Self {
            api,
            max_message_bytes,
            others,
        }
    }
}

impl<T: Store> NamedService for StoreService<T> {
    const NAME: &'static str = StoreServer::<T>::NAME;
}

impl<T: EncodedSeries> Service<http::Request<Body>> for StoreService<T> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != SERIES {
            return self.others.call(request);
        }
        let method = Series(self.api.clone());
        let max_message_bytes = self.max_message_bytes;
        Box::pin(async move {
            let mut grpc = Grpc::new(SeriesCodec)
                .max_decoding_message_size(max_message_bytes)
                .max_encoding_message_size(max_message_bytes);
            Ok(grpc.server_streaming(method, request).await)
        })
    }
}

/// The method.
struct Series<T>(T);

impl<T: EncodedSeries> ServerStreamingService<SeriesRequest> for Series<T> {
    type Response = Bytes;
    type ResponseStream = BoxStream<'static, Result<Bytes, Status>>;
    type Future = Answering<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<SeriesRequest>) -> Self::Future {
        let api = self.0.clone();
        Box::pin(async move {
            let messages = api.encoded_series(request.into_inner()).await?;
            Ok(Response::new(messages))
        })
    }
}

/// Reads a request, and writes messages that are bytes already.
struct SeriesCodec;

impl Codec for SeriesCodec {
    type Encode = Bytes;
    type Decode = SeriesRequest;
    type Encoder = FrameEncoder;
    type Decoder = ProstDecoder<SeriesRequest>;

    fn encoder(&mut self) -> FrameEncoder {
        FrameEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<SeriesRequest, SeriesRequest>::default().decoder()
    }
}

struct FrameEncoder;

impl Encoder for FrameEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, frame: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&frame);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, SENT_FROM_BYTES)
    }
}
