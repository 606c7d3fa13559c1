//! The page of a component.

use std::{collections::BTreeMap, sync::Arc};

use bucket::Bucket;
use futures::FutureExt as _;
use model::Timestamp;
use page::{Admin, Board, MarkAction, MarkRequest, Marker, PageOptions, routes};
use service::{Clock as _, HttpRoutes, SystemClock};
use tools::{MarkChange, Marked};

use crate::cli::{WebArgs, WebPathArgs};

/// What of the page differs between components.
pub(super) struct WebOf<'a> {
    /// As in `varve <component>`.
    pub(super) component: &'static str,
    pub(super) label: &'a str,
    pub(super) bucket: &'a Bucket,
    pub(super) flags: BTreeMap<String, String>,
    /// The path below which the routes are, if no flag says so.
    pub(super) route_prefix: &'a str,
}

/// The board of a component; one that nobody sees, if the flags say so.
pub(super) fn board(args: &WebArgs) -> Board {
    match args.disable {
        true => Board::default(),
        false => Board::new(),
    }
}

/// The routes of the page of a daemon, `varve <component>`.
pub(super) fn page_of(
    component: &'static str,
    args: &WebArgs,
    board: &Board,
    bucket: &Bucket,
    flags: BTreeMap<String, String>,
) -> anyhow::Result<HttpRoutes> {
    let of = WebOf {
        component,
        label: &args.label,
        bucket,
        flags,
        route_prefix: "",
    };
    page(&args.paths, board, of)
}

/// The routes of the page; none if nobody sees the board.
pub(super) fn page(args: &WebPathArgs, board: &Board, of: WebOf<'_>) -> anyhow::Result<HttpRoutes> {
    if !board.is_shown() {
        return Ok(HttpRoutes::default());
    }
    let options = PageOptions {
        component: of.component,
        label: of.label.to_owned(),
        prefixes: args.prefixes(of.route_prefix)?,
        cors: args.cors(),
        admin: match args.disable_admin {
            true => Admin::Off,
            false => Admin::On(marker(of.bucket.clone())),
        },
        flags: of.flags,
    };
    Ok(routes(board.clone(), options, Arc::new(SystemClock))?)
}

/// Writes marks as `varve tools bucket mark` does.
fn marker(bucket: Bucket) -> Marker {
    Marker(Arc::new(move |request| {
        mark(bucket.clone(), request).boxed()
    }))
}

async fn mark(bucket: Bucket, request: MarkRequest) -> Result<(), String> {
    let MarkRequest {
        block,
        action,
        details,
    } = request;
    let marker = match action {
        MarkAction::Deletion => tools::Marker::Deletion,
        MarkAction::NoCompaction => tools::Marker::NoCompact,
    };
    let (change, now) = (MarkChange::Put(details), Timestamp(SystemClock.now_ms()));
    match tools::mark(&bucket, block, marker, &change, now).await {
        // As with Thanos, a block that is marked already is no error.
        Ok(Marked::Done | Marked::Before) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
