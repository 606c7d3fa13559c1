//! What both halves together say of themselves.

use proto::info::{InfoRequest, InfoResponse, StoreInfo, TsdbInfo, info_server};
use tonic::{Request, Response, Status};

/// Answers the info API.
pub(super) struct InfoApi {
    pub(super) recent: sidecar::StoreApi,
    pub(super) bucket: store_gateway::StoreApi,
}

#[tonic::async_trait]
impl info_server::Info for InfoApi {
    /// Never fails: a querier that hears nothing asks neither half. What one of them lacks, its answers say.
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        // Of a Prometheus that is away, what it was.
        let recent = self.recent.last_info();
        Ok(Response::new(of_both(recent, self.bucket.info())))
    }
}

/// Of both halves. Before Prometheus has answered, its series may have any times and labels.
pub(super) fn of_both(recent: Option<InfoResponse>, bucket: InfoResponse) -> InfoResponse {
    let recent = recent.unwrap_or_else(sidecar::StoreApi::unknown_info);
    let mut stores = [recent.store, bucket.store].into_iter().flatten();
    let store = stores.next().unwrap_or_default();
    let store = stores.fold(store, |all, one| StoreInfo {
        min_time: all.min_time.min(one.min_time),
        max_time: all.max_time.max(one.max_time),
        supports_sharding: all.supports_sharding && one.supports_sharding,
        supports_without_replica_labels: all.supports_without_replica_labels
            && one.supports_without_replica_labels,
        supports_projections: all.supports_projections && one.supports_projections,
        tsdb_infos: joined(all.tsdb_infos, one.tsdb_infos),
    });
    let mut label_sets = recent.label_sets;
    for set in bucket.label_sets {
        if !label_sets.contains(&set) {
            label_sets.push(set);
        }
    }
    InfoResponse {
        label_sets,
        store: Some(store),
        ..recent
    }
}

/// The times of each set of labels.
fn joined(mut all: Vec<TsdbInfo>, more: Vec<TsdbInfo>) -> Vec<TsdbInfo> {
    for one in more {
        match all.iter_mut().find(|other| other.labels == one.labels) {
            Some(same) => {
                same.min_time = same.min_time.min(one.min_time);
                same.max_time = same.max_time.max(one.max_time);
            }
            None => all.push(one),
        }
    }
    all
}
