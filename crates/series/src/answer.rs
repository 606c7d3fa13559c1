//! An answer: its parts, and the series of which they consist.

use std::cmp::Ordering;

use model::Labels;

use crate::{
    Mergeable,
    chunks::{self, SeriesChunk},
};

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerPart {
    /// Series, in order after those of the parts before.
    Series(Vec<Series>),
    /// Something could not be read.
    Warning(String),
}

/// A series of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The final labels.
    pub labels: Labels,
    /// In order of time; empty if chunks were not requested.
    pub chunks: Vec<SeriesChunk>,
}

impl Mergeable for Series {
    fn cmp_labels(&self, other: &Self) -> Ordering {
        self.labels.cmp(&other.labels)
    }

    fn join(&mut self, other: Self) {
        self.chunks.extend(other.chunks);
    }

    fn finish(&mut self) {
        chunks::arrange(&mut self.chunks);
    }
}
