//! The service `thanos.Store` as it is served: as generated, but for the series, whose messages come as bytes.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{BufMut as _, Bytes};
use futures::stream::BoxStream;
use series::AnswerPart;
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{BufferSettings, Codec, EncodeBuf, Encoder},
    codegen::{Service, http},
    server::{Grpc, NamedService, ServerStreamingService},
};
use tonic_prost::{ProstCodec, ProstDecoder};

use crate::{
    frames::encoded_messages,
    messages::messages,
    thanos::{
        SeriesRequest, SeriesResponse,
        store_server::{Store, StoreServer},
    },
};

/// The path of the method whose messages come as bytes.
const SERIES: &str = "/thanos.Store/Series";

/// Memory in which messages are put together for the connection: as much is begun with, and sent from so many bytes on.
const BUFFER_BYTES: usize = 128 << 10;
const SENT_FROM_BYTES: usize = 64 << 10;

type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A StoreAPI that answers requests for series part by part.
#[tonic::async_trait]
pub trait SeriesAnswers: Store + Clone {
    /// The answer to a request for series. `encode` makes messages of its parts, where loops may run. An error is the
    /// last item.
    async fn answer<T, E>(
        &self,
        wire: SeriesRequest,
        encode: E,
    ) -> Result<BoxStream<'static, Result<T, Status>>, Status>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T> + Send + Sync + 'static;

    /// The answer in the generated types, as [`Store::series`] gives it.
    async fn messages(
        &self,
        wire: SeriesRequest,
    ) -> Result<BoxStream<'static, Result<SeriesResponse, Status>>, Status> {
        let batch_size = wire.response_batch_size;
        self.answer(wire, move |part| messages(part, batch_size))
            .await
    }
}

/// The service.
#[derive(Clone, Debug)]
pub struct StoreService<T> {
    api: T,
    max_message_bytes: usize,
    /// All other methods.
    others: StoreServer<T>,
}

impl<T: SeriesAnswers> StoreService<T> {
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

impl<T: SeriesAnswers> Service<http::Request<Body>> for StoreService<T> {
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

impl<T: SeriesAnswers> ServerStreamingService<SeriesRequest> for Series<T> {
    type Response = Bytes;
    type ResponseStream = BoxStream<'static, Result<Bytes, Status>>;
    type Future = Answering<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<SeriesRequest>) -> Self::Future {
        let api = self.0.clone();
        Box::pin(async move {
            let wire = request.into_inner();
            let batch_size = wire.response_batch_size;
            let encode = move |part| encoded_messages(part, batch_size);
            Ok(Response::new(api.answer(wire, encode).await?))
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
