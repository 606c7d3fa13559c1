//! Targets.

use model::Labels;
use proto::thanos::{
    ActiveTarget, DroppedTarget, TargetDiscovery, TargetHealth, TargetsRequest, TargetsResponse,
    targets_request::State, targets_response::Result as Frame, targets_server,
};
use tonic::{Request, Response, Status};

use super::{Answer, Told, answer, labels, time};
use crate::{
    error::AnswerError,
    prometheus::{self, Targets},
};

#[tonic::async_trait]
impl targets_server::Targets for Told {
    type TargetsStream = Answer<TargetsResponse>;

    async fn targets(
        &self,
        wire: Request<TargetsRequest>,
    ) -> Result<Response<Self::TargetsStream>, Status> {
        answer(self.targets_of(wire.into_inner().state()).await)
    }
}

impl Told {
    async fn targets_of(&self, state: State) -> Result<Vec<TargetsResponse>, AnswerError> {
        let external = self.0.view()?.labels;
        let pairs = match state {
            State::Any => vec![],
            State::Active => vec![("state", "active".to_owned())],
            State::Dropped => vec![("state", "dropped".to_owned())],
        };
        let (targets, warnings) = self.0.ask::<Targets>("api/v1/targets", &pairs).await?;
        let active = targets.active_targets.into_iter();
        let dropped = targets.dropped_targets.into_iter();
        let discovery = TargetDiscovery {
            active_targets: active.map(|t| self::active(t, &external)).collect(),
            dropped_targets: dropped
                .map(|t| DroppedTarget {
                    discovered_labels: labels(t.discovered_labels, &external),
                })
                .collect(),
        };
        let frame = |result| TargetsResponse {
            result: Some(result),
        };
        let warnings = warnings.into_iter().map(|w| frame(Frame::Warning(w)));
        Ok(warnings.chain([frame(Frame::Targets(discovery))]).collect())
    }
}

fn active(target: prometheus::ActiveTarget, external: &Labels) -> ActiveTarget {
    let health = match target.health.as_str() {
        "up" => TargetHealth::Up,
        "down" => TargetHealth::Down,
        _ => TargetHealth::UnknownTarget,
    };
    ActiveTarget {
        discovered_labels: labels(target.discovered_labels, external),
        labels: labels(target.labels, external),
        scrape_pool: target.scrape_pool,
        scrape_url: target.scrape_url,
        global_url: target.global_url,
        last_error: target.last_error,
        last_scrape: time(target.last_scrape),
        last_scrape_duration: target.last_scrape_duration,
        health: health.into(),
    }
}
