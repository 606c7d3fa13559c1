//! Metadata of metrics. It has no external labels, as it has no labels.

use std::collections::{BTreeMap, HashMap};

use proto::thanos::{
    Meta, MetricMetadata, MetricMetadataEntry, MetricMetadataRequest, MetricMetadataResponse,
    metadata_server, metric_metadata_response::Result as Frame,
};
use tonic::{Request, Response, Status};

use super::{Answer, Told, answer};
use crate::{error::AnswerError, prometheus};

#[tonic::async_trait]
impl metadata_server::Metadata for Told {
    type MetricMetadataStream = Answer<MetricMetadataResponse>;

    async fn metric_metadata(
        &self,
        wire: Request<MetricMetadataRequest>,
    ) -> Result<Response<Self::MetricMetadataStream>, Status> {
        answer(self.metadata_of(wire.into_inner()).await)
    }
}

impl Told {
    async fn metadata_of(
        &self,
        wire: MetricMetadataRequest,
    ) -> Result<Vec<MetricMetadataResponse>, AnswerError> {
        let mut pairs = Vec::new();
        if !wire.metric.is_empty() {
            pairs.push(("metric", wire.metric));
        }
        if wire.limit >= 0 {
            pairs.push(("limit", wire.limit.to_string()));
        }
        let asked = self
            .0
            .ask::<BTreeMap<String, Vec<prometheus::Meta>>>("api/v1/metadata", &pairs);
        let (told, warnings) = asked.await?;
        let meta = |meta: prometheus::Meta| Meta {
            r#type: meta.kind,
            help: meta.help,
            unit: meta.unit,
        };
        let entry = |metas: Vec<prometheus::Meta>| MetricMetadataEntry {
            metas: metas.into_iter().map(meta).collect(),
        };
        let told = told.into_iter();
        let metadata: HashMap<_, _> = told.map(|(name, metas)| (name, entry(metas))).collect();
        let frame = |result| MetricMetadataResponse {
            result: Some(result),
        };
        let warnings = warnings.into_iter().map(|w| frame(Frame::Warning(w)));
        let metadata = frame(Frame::Metadata(MetricMetadata { metadata }));
        Ok(warnings.chain([metadata]).collect())
    }
}
