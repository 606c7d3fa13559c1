//! What is planned, what runs and what failed.

use std::io;

use super::{activity, time};
use crate::{Planned, board::State};

/// Writes the answer.
pub(crate) fn plan(state: &State, plan: &Planned, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(br#"{"status":"success","data":{"plannedAt":"#)?;
    serde_json::to_writer(&mut *out, &time(Some(plan.at)))?;
    out.write_all(br#","plan":"#)?;
    out.write_all(&(plan.json)()?)?;
    out.write_all(br#","running":"#)?;
    serde_json::to_writer(&mut *out, &activity::running(state))?;
    out.write_all(br#","failed":"#)?;
    serde_json::to_writer(&mut *out, &state.failures.all())?;
    out.write_all(b"}}")
}
