//! The service `thanos.Store` as it is served: as generated, but for the series, whose messages come as bytes.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use ::service::MAX_MESSAGE_BYTES;
use bytes::{BufMut as _, Bytes};
use futures::Stream;
use proto::thanos::{SeriesRequest, store_server::StoreServer};
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{BufferSettings, Codec, EncodeBuf, Encoder},
    codegen::{Service, http},
    server::{Grpc, NamedService, ServerStreamingService},
};
use tonic_prost::{ProstCodec, ProstDecoder};

use super::StoreApi;

/// The path of the method whose messages come as bytes.
const SERIES: &str = "/thanos.Store/Series";

/// Memory in which messages are put together for the connection: as much is begun with, and sent from so many bytes on.
const BUFFER_BYTES: usize = 128 << 10;
const SENT_FROM_BYTES: usize = 64 << 10;

type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The service.
#[derive(Clone)]
pub(super) struct StoreService {
    api: StoreApi,
    /// All other methods.
    others: StoreServer<StoreApi>,
}

impl StoreService {
    pub(super) fn new(api: StoreApi) -> Self {
        let others = StoreServer::new(api.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { api, others }
    }
}

impl NamedService for StoreService {
    const NAME: &'static str = StoreServer::<StoreApi>::NAME;
}

impl Service<http::Request<Body>> for StoreService {
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
        Box::pin(async move {
            let mut grpc = Grpc::new(SeriesCodec)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES);
            Ok(grpc.server_streaming(method, request).await)
        })
    }
}

/// The method.
struct Series(StoreApi);

impl ServerStreamingService<SeriesRequest> for Series {
    type Response = Bytes;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
    type Future = Answering<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<SeriesRequest>) -> Self::Future {
        let api = self.0.clone();
        Box::pin(async move {
            let frames = api.encoded_series(request.into_inner()).await?;
            Ok(Response::new(Box::pin(frames) as Self::ResponseStream))
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
