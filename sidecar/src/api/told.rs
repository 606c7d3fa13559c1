//! Rules, targets, metadata, exemplars and statistics from Prometheus's API, with external labels added.

mod exemplars;
mod metadata;
mod rules;
mod statistics;
mod targets;

use futures::{StreamExt as _, stream};
use model::Labels;
use prost_types::Timestamp;
use proto::thanos::{
    ZLabelSet, exemplars_server::ExemplarsServer, metadata_server::MetadataServer,
    rules_server::RulesServer, status_server::StatusServer, targets_server::TargetsServer,
};
use service::MAX_MESSAGE_BYTES;
use tonic::{Status, service::Routes};

use super::{Answer, status};
use crate::{
    error::AnswerError,
    prometheus::{Texts, Time},
    recent::Recent,
};

/// Answers all of them.
#[derive(Clone)]
pub(super) struct Told(pub(super) Recent);

/// The services, added to `routes`.
pub(super) fn routes(routes: Routes, recent: &Recent) -> Routes {
    let told = Told(recent.clone());
    routes
        .add_service(
            RulesServer::new(told.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            TargetsServer::new(told.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            MetadataServer::new(told.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            ExemplarsServer::new(told.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            StatusServer::new(told)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
}

/// The messages of an answer: its warnings, then its contents.
fn answer<T: Send + 'static>(
    made: Result<Vec<T>, AnswerError>,
) -> Result<tonic::Response<Answer<T>>, Status> {
    let messages = made.map_err(|error| status::of(&error))?;
    let messages = stream::iter(messages.into_iter().map(Ok));
    Ok(tonic::Response::new(messages.boxed()))
}

/// Labels, with the external ones in place of those of the same name.
fn labels(texts: Texts, external: &Labels) -> Option<ZLabelSet> {
    let own = Labels::from_pairs(texts);
    let none = std::collections::BTreeSet::new();
    let all = ::series::FinalLabels::new(external, &none).apply(own);
    Some(ZLabelSet::from(&all))
}

/// Labels or annotations, unchanged.
fn plain(texts: Texts) -> Option<ZLabelSet> {
    Some(ZLabelSet::from(&Labels::from_pairs(texts)))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a field that is a message is an option"
)]
const fn time(at: Time) -> Option<Timestamp> {
    Some(Timestamp {
        seconds: at.seconds,
        nanos: at.nanos,
    })
}
