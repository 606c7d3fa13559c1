//! The progress of an export: a bar on a terminal, elsewhere a line in the log now and then.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use store_gateway::{Chunks, ReadRequest, Reader};

/// Time between two lines of the log.
const PAUSE: Duration = Duration::from_secs(10);
const TEMPLATE: &str =
    "{prefix} {wide_bar} {human_pos} of {human_len} series, {msg} samples, {eta} left";

/// The progress of one folder of files.
pub(super) struct Progress {
    folder: String,
    series: u64,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    /// When the last line was written.
    Log(Instant),
}

impl Progress {
    /// The start. For a bar, the series are counted by their labels alone.
    pub(super) async fn start(
        reader: &Reader,
        request: &ReadRequest,
        folder: &str,
    ) -> anyhow::Result<Self> {
        let shown = if io::stderr().is_terminal() {
            Shown::Bar(bar(count(reader, request).await?, folder))
        } else {
            Shown::Log(Instant::now())
        };
        Ok(Self {
            folder: folder.to_owned(),
            series: 0,
            shown,
        })
    }

    /// Adds finished series; `samples` is the total so far.
    pub(super) fn add(&mut self, series: u64, samples: u64) {
        self.series += series;
        match &mut self.shown {
            Shown::Bar(bar) => {
                bar.inc(series);
                bar.set_message(samples.to_string());
            }
            Shown::Log(last) if last.elapsed() >= PAUSE => {
                *last = Instant::now();
                let (folder, series) = (&self.folder, self.series);
                tracing::info!(folder, series, samples, "exporting");
            }
            Shown::Log(_) => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// The number of series.
async fn count(reader: &Reader, request: &ReadRequest) -> anyhow::Result<u64> {
    let labels = ReadRequest {
        chunks: Chunks::Skip,
        ..request.clone()
    };
    let mut batches = std::pin::pin!(reader.series(&labels).await?);
    let mut count = 0;
    while let Some(batch) = batches.next().await {
        count += batch?.len() as u64;
    }
    Ok(count)
}

fn bar(series: u64, folder: &str) -> ProgressBar {
    let bar = ProgressBar::new(series);
    // Its test holds that it is one.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar.with_prefix(folder.to_owned()).with_message("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_s_template_is_one_that_indicatif_takes() {
        ProgressStyle::with_template(TEMPLATE).unwrap();
    }
}
