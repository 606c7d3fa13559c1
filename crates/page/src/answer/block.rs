//! All that is known of one block.

use model::{BlockMeta, DeletionMark, NoCompactMark, NoDownsampleMark};
use serde::Serialize;

use crate::{Block, Phase, board::State, running};

/// One block.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlockDetails<'a> {
    root: &'a str,
    meta: &'a BlockMeta,
    files: Vec<File<'a>>,
    loaded: bool,
    deletion_mark: Option<&'a DeletionMark>,
    no_compact_mark: Option<&'a NoCompactMark>,
    no_downsample_mark: Option<&'a NoDownsampleMark>,
    unusable_marks: &'a [String],
    unread: Option<&'a str>,
    /// What is planned for it, or why it is left.
    plan: Option<Said<'a>>,
    /// The task that reads it now.
    running: Option<Running<'a>>,
}

#[derive(Debug, Serialize)]
struct File<'a> {
    name: &'a str,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Said<'a> {
    word: &'a str,
    text: &'a str,
}

#[derive(Debug, Serialize)]
struct Running<'a> {
    task: &'a str,
    phase: Phase,
}

impl<'a> BlockDetails<'a> {
    pub(crate) fn new(block: &'a Block, state: &'a State) -> Self {
        let id = block.meta.ulid;
        let note = state.plan.as_ref().and_then(|plan| plan.notes.get(&id));
        let running = running::inputs(&state.running);
        Self {
            root: &block.objects.root,
            meta: &block.meta,
            files: block
                .objects
                .files
                .iter()
                .map(|(name, version)| File {
                    name,
                    bytes: version.size,
                })
                .collect(),
            loaded: block.loaded,
            deletion_mark: block.deletion.as_deref(),
            no_compact_mark: block.no_compact.as_deref(),
            no_downsample_mark: block.no_downsample.as_deref(),
            unusable_marks: &block.unusable_marks,
            unread: block.unread.as_deref(),
            plan: note.map(|note| Said {
                word: note.word,
                text: &note.text,
            }),
            running: running.get(&id).map(|run| Running {
                task: &run.task.id,
                phase: run.phase,
            }),
        }
    }
}
