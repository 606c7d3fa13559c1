//! What the API answers, as functions of the [`State`].

mod activity;
mod block;
mod blocks;
mod plan;
mod timeline;

use model::{Rfc3339, Timestamp};
use serde::Serialize;

pub(crate) use self::{
    activity::Activity,
    block::BlockDetails,
    blocks::{View, blocks},
    plan::plan,
    timeline::Timeline,
};
#[cfg(doc)]
use crate::board::State;

/// What Go writes for a time that is not set.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A successful answer.
#[derive(Debug, Serialize)]
pub(crate) struct Success<T> {
    status: &'static str,
    data: T,
}

impl<T> Success<T> {
    pub(crate) const fn new(data: T) -> Self {
        Self {
            status: "success",
            data,
        }
    }
}

/// An answer that says what is wrong.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refusal<'a> {
    pub(crate) status: &'static str,
    pub(crate) error_type: &'static str,
    pub(crate) error: &'a str,
}

/// A time as text; Go's zero if there is none.
fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), |at| Rfc3339(at).to_string())
}

#[cfg(test)]
mod tests;
