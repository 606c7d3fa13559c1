//! What the end-to-end tests stand on: an S3 server in the test's own process, whose objects, requests and faults are
//! in the test's hands; a Prometheus likewise; the fixtures; the daemons; a StoreAPI client; and answers that can be compared with what a
//! block holds.

mod answer;
mod block;
mod crash;
mod fixtures;
mod log;
mod prometheus;
mod questions;
mod s3;
mod store_client;
mod summary;
mod totals;
mod world;

pub use crate::{
    answer::Answer,
    crash::{Crash, assert_no_partial_block},
    fixtures::{
        ALL_KINDS, MERGED, MadeBlock, SAMPLE, all_kinds_dir, copy_blocks, edit_meta, files, ids,
        sample_dir,
    },
    log::CapturedLog,
    prometheus::{PrometheusServer, RemoteRead},
    questions::{Serves, Truth, ask_everything, matcher},
    s3::{Access, Failure, Fault, FaultScript, Operation, Request, S3Server, When},
    store_client::{SeriesAnswer, StoreClient, series_request},
    summary::{failures, merged},
    totals::Totals,
    world::{RunningDaemon, RunningGateway, World},
};
