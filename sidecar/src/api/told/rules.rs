//! Rules.

use model::Labels;
use proto::thanos::{
    Alert, AlertInstance, AlertState, PartialResponseStrategy, RecordingRule, Rule, RuleGroup,
    RulesRequest, RulesResponse, rule::Result as Kind, rules_request::Type,
    rules_response::Result as Frame, rules_server,
};
use tonic::{Request, Response, Status};

use super::{Answer, Told, answer, labels, plain, time};
use crate::{
    error::AnswerError,
    prometheus::{self, AlertingRule, Rules},
};

#[tonic::async_trait]
impl rules_server::Rules for Told {
    type RulesStream = Answer<RulesResponse>;

    async fn rules(
        &self,
        wire: Request<RulesRequest>,
    ) -> Result<Response<Self::RulesStream>, Status> {
        answer(self.rules_of(wire.into_inner().r#type()).await)
    }
}

impl Told {
    async fn rules_of(&self, kind: Type) -> Result<Vec<RulesResponse>, AnswerError> {
        let external = self.0.view()?.labels;
        let pairs = match kind {
            Type::All => vec![],
            Type::Alert => vec![("type", "alert".to_owned())],
            Type::Record => vec![("type", "record".to_owned())],
        };
        let (rules, warnings) = self.0.ask::<Rules>("api/v1/rules", &pairs).await?;
        let frame = |result| RulesResponse {
            result: Some(result),
        };
        let warnings = warnings.into_iter().map(|w| frame(Frame::Warning(w)));
        let groups = rules.groups.into_iter();
        let groups = groups.map(|g| frame(Frame::Group(group(g, &external))));
        Ok(warnings.chain(groups).collect())
    }
}

fn group(group: prometheus::RuleGroup, external: &Labels) -> RuleGroup {
    RuleGroup {
        name: group.name,
        file: group.file,
        rules: group.rules.into_iter().map(|r| rule(r, external)).collect(),
        interval: group.interval,
        evaluation_duration_seconds: group.evaluation_time,
        last_evaluation: time(group.last_evaluation),
        // Prometheus has no other type.
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        limit: group.limit,
    }
}

fn rule(rule: prometheus::Rule, external: &Labels) -> Rule {
    let result = match rule {
        prometheus::Rule::Alerting(rule) => Kind::Alert(alerting(rule, external)),
        prometheus::Rule::Recording(rule) => Kind::Recording(RecordingRule {
            name: rule.name,
            query: rule.query,
            labels: labels(rule.labels, external),
            health: rule.health,
            last_error: rule.last_error,
            evaluation_duration_seconds: rule.evaluation_time,
            last_evaluation: time(rule.last_evaluation),
        }),
    };
    Rule {
        result: Some(result),
    }
}

fn alerting(rule: AlertingRule, external: &Labels) -> Alert {
    let instance = |alert: prometheus::Alert| AlertInstance {
        labels: plain(alert.labels),
        annotations: plain(alert.annotations),
        state: state(&alert.state).into(),
        active_at: alert.active_at.and_then(time),
        value: alert.value,
        partial_response_strategy: PartialResponseStrategy::Warn.into(),
    };
    Alert {
        state: state(&rule.state).into(),
        name: rule.name,
        query: rule.query,
        duration_seconds: rule.duration,
        labels: labels(rule.labels, external),
        annotations: plain(rule.annotations),
        alerts: rule.alerts.into_iter().map(instance).collect(),
        health: rule.health,
        last_error: rule.last_error,
        evaluation_duration_seconds: rule.evaluation_time,
        last_evaluation: time(rule.last_evaluation),
        keep_firing_for_seconds: rule.keep_firing_for,
    }
}

fn state(name: &str) -> AlertState {
    match name {
        "inactive" => AlertState::Inactive,
        "pending" => AlertState::Pending,
        "firing" => AlertState::Firing,
        _ => AlertState::Unknown,
    }
}
