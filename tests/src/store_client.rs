//! A client of the StoreAPI, as strict as Thanos's querier ought to be.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use model::{Labels, Matcher, TimeRange};
use proto::{
    info::{InfoRequest, InfoResponse, info_client::InfoClient},
    thanos::{
        self, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
        SeriesRequest, series_response::Result as Frame,
    },
};
use tonic::{Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tsdb::Encoding;

use crate::Answer;

/// A connection to a StoreAPI server.
#[derive(Clone, Debug)]
pub struct StoreClient(Channel);

/// What a Series call gave.
#[derive(Debug, Default)]
pub struct SeriesAnswer {
    /// The series in the order of the answer.
    pub series: Vec<(Labels, Vec<thanos::AggrChunk>)>,
    /// What is missing, in words.
    pub warnings: Vec<String>,
    /// The number of series of each message.
    pub batches: Vec<usize>,
}

impl StoreClient {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let endpoint = Channel::from_shared(format!("http://{address}"))?;
        Ok(Self(endpoint.connect().await?))
    }

    /// Asks for series.
    ///
    /// # Errors
    /// As the server says.
    pub async fn series(&self, request: SeriesRequest) -> Result<SeriesAnswer, Status> {
        let client = thanos::store_client::StoreClient::new(self.0.clone());
        let mut client = client.max_decoding_message_size(usize::MAX);
        let mut frames = client.series(request).await?.into_inner();
        let mut answer = SeriesAnswer::default();
        while let Some(frame) = frames.message().await? {
            let series = match frame.result {
                Some(Frame::Series(series)) => vec![series],
                Some(Frame::Batch(batch)) => batch.series,
                Some(Frame::Warning(warning)) => {
                    answer.warnings.push(warning);
                    continue;
                }
                Some(Frame::Hints(_)) | None => continue,
            };
            answer.batches.push(series.len());
            for one in series {
                let labels = proto::model_labels(&one.labels);
                answer.series.push((labels, one.chunks));
            }
        }
        Ok(answer)
    }

    /// Asks for names of labels.
    ///
    /// # Errors
    /// As the server says.
    pub async fn label_names(
        &self,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse, Status> {
        let mut client = thanos::store_client::StoreClient::new(self.0.clone());
        Ok(client.label_names(request).await?.into_inner())
    }

    /// Asks for values of a label.
    ///
    /// # Errors
    /// As the server says.
    pub async fn label_values(
        &self,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse, Status> {
        let mut client = thanos::store_client::StoreClient::new(self.0.clone());
        Ok(client.label_values(request).await?.into_inner())
    }

    /// Asks what the server is.
    ///
    /// # Errors
    /// As the server says.
    pub async fn info(&self) -> Result<InfoResponse, Status> {
        let mut client = InfoClient::new(self.0.clone());
        Ok(client.info(InfoRequest {}).await?.into_inner())
    }

    /// Waits until the server says that it serves.
    ///
    /// # Errors
    /// When it ends before.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let request = HealthCheckRequest::default();
        let mut states = HealthClient::new(self.0.clone())
            .watch(request)
            .await?
            .into_inner();
        while let Some(state) = states.message().await? {
            if state.status() == ServingStatus::Serving {
                return Ok(());
            }
        }
        bail!("the server ended before it was ready")
    }

    /// Whether the server says that it serves.
    ///
    /// # Errors
    /// As the server says.
    pub async fn is_serving(&self) -> Result<bool, Status> {
        let request = HealthCheckRequest::default();
        let state = HealthClient::new(self.0.clone()).check(request).await?;
        Ok(state.into_inner().status() == ServingStatus::Serving)
    }

    /// The services, as reflection (v1) lists them.
    ///
    /// # Errors
    /// As the server says.
    pub async fn services(&self) -> anyhow::Result<Vec<String>> {
        match self
            .reflect(MessageRequest::ListServices(String::new()))
            .await?
        {
            MessageResponse::ListServicesResponse(list) => {
                Ok(list.service.into_iter().map(|s| s.name).collect())
            }
            other => bail!("expected a list of services, found {other:?}"),
        }
    }

    /// The encoded descriptors of the file that defines `symbol`, as reflection (v1) gives them.
    ///
    /// # Errors
    /// As the server says.
    pub async fn describe(&self, symbol: &str) -> anyhow::Result<Vec<Vec<u8>>> {
        let request = MessageRequest::FileContainingSymbol(symbol.to_owned());
        match self.reflect(request).await? {
            MessageResponse::FileDescriptorResponse(files) => Ok(files.file_descriptor_proto),
            other => bail!("expected the file of {symbol}, found {other:?}"),
        }
    }

    async fn reflect(&self, request: MessageRequest) -> anyhow::Result<MessageResponse> {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(request),
        };
        let requests = futures::stream::iter([request]);
        let mut client = ServerReflectionClient::new(self.0.clone());
        let mut answers = client.server_reflection_info(requests).await?.into_inner();
        let answer = answers.message().await?.context("no answer")?;
        answer.message_response.context("an empty answer")
    }
}

impl SeriesAnswer {
    /// The samples, once the answer is found to be in the order that the StoreAPI promises.
    ///
    /// # Errors
    /// When it is not, when a chunk is not what it says, or something is missing.
    pub fn checked(&self) -> anyhow::Result<Answer> {
        ensure!(self.warnings.is_empty(), "warnings: {:?}", self.warnings);
        self.checked_but_for_warnings()
    }

    /// The same where something may be missing.
    ///
    /// # Errors
    /// As [`Self::checked`].
    pub fn checked_but_for_warnings(&self) -> anyhow::Result<Answer> {
        let mut answer = Answer::default();
        for pair in self.series.windows(2) {
            if let [(a, _), (b, _)] = pair {
                ensure!(a < b, "{b} comes behind {a}");
            }
        }
        for (labels, chunks) in &self.series {
            let times = chunks.iter().map(|c| (c.min_time, c.max_time));
            ensure!(times.is_sorted(), "chunks of {labels} are not sorted");
            for chunk in chunks {
                let raw = chunk
                    .raw
                    .as_ref()
                    .with_context(|| format!("{labels}: no raw chunk"))?;
                let mut samples = Answer::default();
                samples.add_chunk(labels, encoding(raw), &raw.data)?;
                let stated = TimeRange::new(chunk.min_time, chunk.max_time);
                let within = samples.select(&[], stated);
                ensure!(
                    within == samples,
                    "{labels}: samples outside of the chunk's times"
                );
                answer.merge(samples)?;
            }
        }
        Ok(answer)
    }
}

/// A request for the samples in `range` of the series that all matchers match.
#[must_use]
pub fn series_request(matchers: &[Matcher], range: TimeRange) -> SeriesRequest {
    SeriesRequest {
        min_time: range.min.0,
        max_time: range.max.0,
        matchers: matchers.iter().map(Into::into).collect(),
        ..SeriesRequest::default()
    }
}

fn encoding(chunk: &thanos::Chunk) -> Encoding {
    match chunk.r#type() {
        thanos::chunk::Encoding::Xor => Encoding::Xor,
        thanos::chunk::Encoding::Histogram => Encoding::Histogram,
        thanos::chunk::Encoding::FloatHistogram => Encoding::FloatHistogram,
    }
}
