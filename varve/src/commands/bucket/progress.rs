//! How far a tool is, counted in blocks: a bar on a terminal. Elsewhere each block has its line in the log.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{prefix} {wide_bar} {human_pos} of {human_len} blocks, {eta} left";

/// The progress of one pass over blocks.
pub(super) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Nothing is done yet.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, bar: None }
    }

    /// So many of the blocks are done.
    pub(super) fn show(&mut self, done: usize, of: usize) {
        if self.bar.is_none() && io::stderr().is_terminal() {
            let bar = ProgressBar::new(of as u64).with_prefix(self.what);
            // Its test holds that it is one.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_s_template_is_one_that_indicatif_takes() {
        ProgressStyle::with_template(TEMPLATE).unwrap();
    }
}
