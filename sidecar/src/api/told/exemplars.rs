//! Exemplars.

use model::Timestamp;
use proto::thanos::{
    Exemplar, ExemplarData, ExemplarsRequest, ExemplarsResponse,
    exemplars_response::Result as Frame, exemplars_server,
};
use tonic::{Request, Response, Status};

use super::{Answer, Told, answer, labels, plain};
use crate::{
    error::AnswerError,
    prometheus::{self, SeriesExemplars},
    recent::seconds,
};

#[tonic::async_trait]
impl exemplars_server::Exemplars for Told {
    type ExemplarsStream = Answer<ExemplarsResponse>;

    async fn exemplars(
        &self,
        wire: Request<ExemplarsRequest>,
    ) -> Result<Response<Self::ExemplarsStream>, Status> {
        answer(self.exemplars_of(wire.into_inner()).await)
    }
}

impl Told {
    async fn exemplars_of(
        &self,
        wire: ExemplarsRequest,
    ) -> Result<Vec<ExemplarsResponse>, AnswerError> {
        let external = self.0.view()?.labels;
        let pairs = [
            ("query", wire.query),
            ("start", seconds(Timestamp(wire.start))),
            ("end", seconds(Timestamp(wire.end))),
        ];
        let asked = self
            .0
            .ask::<Vec<SeriesExemplars>>("api/v1/query_exemplars", &pairs);
        let (series, warnings) = asked.await?;
        let exemplar = |exemplar: prometheus::Exemplar| Exemplar {
            labels: plain(exemplar.labels),
            value: exemplar.value,
            ts: exemplar.timestamp,
        };
        let frame = |result| ExemplarsResponse {
            result: Some(result),
        };
        let warnings = warnings.into_iter().map(|w| frame(Frame::Warning(w)));
        let series = series.into_iter().map(|one| {
            frame(Frame::Data(ExemplarData {
                series_labels: labels(one.series_labels, &external),
                exemplars: one.exemplars.into_iter().map(exemplar).collect(),
            }))
        });
        Ok(warnings.chain(series).collect())
    }
}
