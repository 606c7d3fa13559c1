//! The wire types of Thanos's gRPC APIs and of Prometheus's remote read.
//!
//! Generated at build time from `wire/*.proto`, which is our own text with the peers' packages,
//! names and numbers. Generated types stay in here and in each service's `api` module.

mod convert;
mod frames;
mod messages;
mod store_service;

pub use crate::{
    convert::{ConvertError, matchers, model_labels, shard, wire_labels},
    messages::{allows_partial, warning},
    store_service::{SeriesAnswers, StoreService},
};

#[expect(
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    reason = "generated"
)]
pub mod thanos {
    //! Package `thanos`: the StoreAPI, and the APIs of rules, targets, metadata, exemplars and status.
    include!(concat!(env!("OUT_DIR"), "/thanos.rs"));

    // Nested, as its package is: its types name those above as `super::…`.
    pub mod info {
        //! Package `thanos.info`: what an endpoint says of itself.
        include!(concat!(env!("OUT_DIR"), "/thanos.info.rs"));
    }
}

pub use crate::thanos::info;

pub mod hintspb {
    //! Package `hintspb`: hints that a store gateway takes and gives.
    include!(concat!(env!("OUT_DIR"), "/hintspb.rs"));
}

pub mod prompb {
    //! Package `prometheus`: remote read.
    include!(concat!(env!("OUT_DIR"), "/prometheus.rs"));
}

/// The encoded `FileDescriptorSet` of the StoreAPI and the info API, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/store.bin"));

/// The encoded `FileDescriptorSet` of what a sidecar offers besides: rules, targets, metadata, exemplars and status. It
/// needs the files of [`FILE_DESCRIPTOR_SET`].
pub const SIDECAR_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sidecar.bin"));

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::{FileDescriptorSet, field_descriptor_proto::Type};

    use super::*;

    #[test]
    fn clients_that_ask_by_reflection_see_strings() {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let file = set.file.iter().find(|f| f.name() == "labels.proto");
        let label = &file.unwrap().message_type[0];
        assert_eq!(label.name(), "Label");
        assert!(label.field.iter().all(|f| f.r#type() == Type::String));
    }

    #[test]
    fn services_have_the_names_that_peers_call() {
        let methods = |set| {
            let set = FileDescriptorSet::decode(set).unwrap();
            let mut methods = Vec::new();
            for file in &set.file {
                for service in &file.service {
                    let names = service.method.iter().map(|m| m.name());
                    methods.extend(
                        names.map(|m| format!("/{}.{}/{m}", file.package(), service.name())),
                    );
                }
            }
            methods.sort();
            methods
        };
        assert_eq!(
            methods(SIDECAR_DESCRIPTOR_SET),
            [
                "/thanos.Exemplars/Exemplars",
                "/thanos.Metadata/MetricMetadata",
                "/thanos.Rules/Rules",
                "/thanos.Status/TSDBStatistics",
                "/thanos.Targets/Targets",
            ]
        );
        assert_eq!(
            methods(FILE_DESCRIPTOR_SET),
            [
                "/thanos.Store/LabelNames",
                "/thanos.Store/LabelValues",
                "/thanos.Store/Series",
                "/thanos.info.Info/Info",
            ]
        );
    }

    /// The bytes were put together by hand from the field numbers of Thanos's `rpc.proto`.
    #[test]
    fn a_series_request_has_the_numbers_that_peers_use() {
        let wire = [
            0x08, 0x01, // min_time 1
            0x10, 0x02, // max_time 2
            0x1a, 0x08, 0x08, 0x02, 0x12, 0x01, b'a', 0x1a, 0x01, b'b', // matcher a=~b
            0x20, 0x05, // max_resolution_window 5
            0x2a, 0x01, 0x05, // aggregates [COUNTER]
            0x38, 0x01, // partial_response_strategy ABORT
            0x40, 0x01, // skip_chunks
            0x6a, 0x02, 0x10, 0x03, // shard_info.total_shards 3
            0x72, 0x01, b'r', // without_replica_labels [r]
            0x78, 0x07, // limit 7
            0x80, 0x01, 0x40, // response_batch_size 64
            0xfa, 0x3f, 0x01, b'?', // a field that nobody knows yet
        ];
        let request = thanos::SeriesRequest::decode(wire.as_slice()).unwrap();
        assert_eq!((request.min_time, request.max_time), (1, 2));
        assert_eq!(
            request.matchers[0].r#type(),
            thanos::label_matcher::Type::Re
        );
        assert_eq!(request.max_resolution_window, 5);
        assert_eq!(
            request.aggregates().collect::<Vec<_>>(),
            [thanos::Aggr::Counter]
        );
        assert_eq!(
            request.partial_response_strategy(),
            thanos::PartialResponseStrategy::Abort
        );
        assert!(request.skip_chunks);
        assert_eq!(request.shard_info.unwrap().total_shards, 3);
        assert_eq!(request.without_replica_labels, ["r"]);
        assert_eq!((request.limit, request.response_batch_size), (7, 64));
    }
}
