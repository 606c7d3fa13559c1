//! The blocks as Thanos's API gives them.

use std::io;

use super::time;
use crate::board::State;

/// Which blocks are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Those of the bucket.
    Global,
    /// Those that the component works with.
    Loaded,
}

/// Writes the answer: each `meta.json`, and when and how the bucket was looked at.
pub(crate) fn blocks(
    state: &State,
    view: View,
    label: &str,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    out.write_all(br#"{"status":"success","data":{"label":"#)?;
    serde_json::to_writer(&mut *out, label)?;
    out.write_all(br#","blocks":["#)?;
    let blocks = state.contents.blocks.iter();
    let mut blocks = blocks.filter(|block| view == View::Global || block.loaded);
    if let Some(first) = blocks.next() {
        serde_json::to_writer(&mut *out, &*first.meta)?;
    }
    for block in blocks {
        out.write_all(b",")?;
        serde_json::to_writer(&mut *out, &*block.meta)?;
    }
    out.write_all(br#"],"refreshedAt":"#)?;
    serde_json::to_writer(&mut *out, &time(state.looked_at))?;
    out.write_all(br#","err":"#)?;
    serde_json::to_writer(&mut *out, &state.error)?;
    out.write_all(b"}}")
}
