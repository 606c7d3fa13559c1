//! How far a merge is: a bar on a terminal, a line in the log now and then elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use indicatif::{ProgressBar, ProgressStyle as BarStyle};
use model::Counted;
use page::Board;
use service::Clock;

use crate::Task;

/// Milliseconds between two lines of the log.
const PAUSE: i64 = 10_000;
const TEMPLATE: &str = "{prefix} {wide_bar} {human_pos} of {human_len} series, {eta} left";

/// How it is shown how far a merge is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressStyle {
    /// A line in the log every ten seconds.
    #[default]
    Log,
    /// A bar on stderr, for a terminal.
    Bar,
}

/// How far one merge is, counted in series of its inputs.
#[derive(Debug)]
pub(crate) struct Progress {
    task: String,
    total: u64,
    done: Arc<AtomicU64>,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Log {
        clock: Arc<dyn Clock>,
        last: AtomicI64,
    },
    Bar(ProgressBar),
}

impl Progress {
    /// Nothing is done yet.
    pub(crate) fn start(
        style: ProgressStyle,
        task: &Task,
        clock: &Arc<dyn Clock>,
        board: &Board,
    ) -> Self {
        let series = task.inputs.iter().map(|b| b.meta.stats.num_series);
        let total = series.fold(0_u64, u64::saturating_add);
        let shown = match style {
            ProgressStyle::Log => Shown::Log {
                last: AtomicI64::new(clock.now_ms()),
                clock: Arc::clone(clock),
            },
            ProgressStyle::Bar => Shown::Bar(bar(task, total)),
        };
        let done = Arc::default();
        board.merges(&task.id, &done, total);
        Self {
            task: task.id.clone(),
            total,
            done,
            shown,
        }
    }

    /// So many more series are done.
    pub(crate) fn add(&self, series: u64) {
        let done = self.done.fetch_add(series, Ordering::Relaxed) + series;
        match &self.shown {
            Shown::Bar(bar) => bar.set_position(done.min(self.total)),
            Shown::Log { clock, last } if is_due(last, clock.now_ms()) => {
                let (task, of) = (&self.task, self.total);
                tracing::info!(task, series = done, of, "merging");
            }
            Shown::Log { .. } => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // What comes of it is said in the log.
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar(task: &Task, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    // Its test holds that it is one.
    if let Ok(style) = BarStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar.with_prefix(format!(
        "{} of {}",
        Counted(task.inputs.len() as u64, "block"),
        task.labels
    ))
}

/// Whether it is time for another line; then that is counted as said.
fn is_due(last: &AtomicI64, now: i64) -> bool {
    let before = last.load(Ordering::Relaxed);
    now.saturating_sub(before) >= PAUSE
        && last
            .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_a_line_every_ten_seconds_however_often_it_is_told() {
        let last = AtomicI64::new(1_000);
        let due: Vec<i64> = (0..40)
            .map(|tick| 1_000 + tick * 1_000)
            .filter(|now| is_due(&last, *now))
            .collect();
        assert_eq!(due, [11_000, 21_000, 31_000]);
    }

    #[test]
    fn the_bar_s_template_is_one_that_indicatif_takes() {
        assert!(BarStyle::with_template(TEMPLATE).is_ok());
    }
}
