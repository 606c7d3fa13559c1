//! The page of a bucket, and its HTTP API: the blocks as a timeline, what is planned, what runs, what failed.
//!
//! ```text
//! compactor, gateway, bucket web ──▶ Board ◀── routes ──▶ answers, each encoded once and kept in gzip
//! ```
//! A daemon tells the [`Board`] what it saw and what it does; [`routes()`] serve that, and the page itself, which is one
//! file without any request to elsewhere.

mod answer;
mod board;
mod contents;
mod encoded;
mod html;
mod mark;
mod plan;
mod prefix;
mod routes;
mod running;

pub use crate::{
    board::Board,
    contents::{Block, Broken, Contents, Fault},
    mark::{MarkAction, MarkRequest, Marker},
    plan::{Note, Planned, PlannedTask},
    prefix::{PrefixError, Prefixes},
    routes::{Admin, Cors, PageOptions, routes},
    running::{Failure, Phase, RunningTask, Started},
};
