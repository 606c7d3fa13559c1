//! The info API.

use model::Timestamp;
use proto::{
    info::{
        ExemplarsInfo, InfoRequest, InfoResponse, MetricMetadataInfo, RulesInfo, StatusInfo,
        StoreInfo, TargetsInfo, TsdbInfo, info_server,
    },
    thanos::ZLabelSet,
};
use tonic::{Request, Response, Status};

use super::StoreApi;
use crate::{recent::Recent, view::View};

/// Answers the info API.
pub(super) struct InfoApi(pub(super) StoreApi);

#[tonic::async_trait]
impl info_server::Info for InfoApi {
    /// Fails while Prometheus does not answer, so that a querier shows the endpoint as down.
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(self.0.info()?))
    }
}

/// What is known of Prometheus.
pub(super) fn response(recent: &Recent, view: &View) -> InfoResponse {
    of(ZLabelSet::from(&view.labels), recent.min_time(view))
}

/// Of a Prometheus that has not answered yet: it may have any times, and no labels stand for any.
pub(super) fn unknown() -> InfoResponse {
    of(ZLabelSet::default(), Timestamp::MIN)
}

fn of(labels: ZLabelSet, min_time: Timestamp) -> InfoResponse {
    // Later samples belong to it too.
    let (min_time, max_time) = (min_time.0, i64::MAX);
    InfoResponse {
        label_sets: vec![labels.clone()],
        component_type: "sidecar".to_owned(),
        store: Some(StoreInfo {
            min_time,
            max_time,
            supports_sharding: true,
            supports_without_replica_labels: true,
            supports_projections: false,
            tsdb_infos: vec![TsdbInfo {
                labels: Some(labels),
                min_time,
                max_time,
            }],
        }),
        // Their presence says that the service is offered.
        rules: Some(RulesInfo {}),
        metric_metadata: Some(MetricMetadataInfo {}),
        targets: Some(TargetsInfo {}),
        exemplars: Some(ExemplarsInfo::default()),
        status: Some(StatusInfo {}),
        query: None,
    }
}
