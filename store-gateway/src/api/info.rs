//! What the store gateway says of itself.

use proto::{
    info::{InfoRequest, InfoResponse, StoreInfo, TsdbInfo, info_server},
    thanos::ZLabelSet,
};
use tonic::{Request, Response, Status};

use super::StoreApi;
use crate::sync::Advertised;

/// Answers the info API.
pub(super) struct InfoApi(pub(super) StoreApi);

#[tonic::async_trait]
impl info_server::Info for InfoApi {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(self.0.info()))
    }
}

pub(super) fn response(advertised: &Advertised) -> InfoResponse {
    let sets = advertised.sets.iter();
    let tsdb_info = |(labels, extent): &(_, crate::catalog::Extent)| TsdbInfo {
        labels: Some(ZLabelSet::from(labels)),
        min_time: extent.min.0,
        max_time: extent.max.0,
    };
    InfoResponse {
        label_sets: sets.clone().map(|(labels, _)| labels.into()).collect(),
        component_type: "store".to_owned(),
        store: Some(StoreInfo {
            min_time: advertised.extent.min.0,
            max_time: advertised.extent.max.0,
            supports_sharding: true,
            supports_without_replica_labels: true,
            supports_projections: false,
            tsdb_infos: sets.map(tsdb_info).collect(),
        }),
        ..InfoResponse::default()
    }
}
