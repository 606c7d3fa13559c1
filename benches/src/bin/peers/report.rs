//! The table.

use std::fmt;

use model::Resolution;

use crate::{
    child::Used,
    folder::{Contents, Made},
};

/// The head of the table.
pub(crate) const HEAD: &str = "\
| case | series | run | wall s | CPU s | peak RSS MiB | not files MiB | read MB | written MB | raw MB | 5 m MB | 1 h MB | blocks | samples |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// What one run has come to.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) case: &'static str,
    pub(crate) run: &'static str,
    /// Series of an input block.
    pub(crate) series: u64,
    pub(crate) used: Used,
    pub(crate) contents: Contents,
    /// Why there is nothing to compare.
    pub(crate) refused: Option<String>,
}

impl Row {
    /// A row of ratios: this one's figures by those of `first`.
    pub(crate) fn against(&self, first: &Self) -> String {
        if self.refused.is_some() || first.refused.is_some() {
            return String::new();
        }
        let (ours, theirs) = (&self.used, &first.used);
        let bytes = |resolution| {
            let of = |row: &Self| row.made(resolution).map_or(0, |made| made.bytes);
            ratio(of(self) as f64, of(first) as f64)
        };
        let samples = |row: &Self| row.made(Resolution::Raw).map_or(0, |made| made.samples) as f64;
        let total = match self.contents.resolutions() == first.contents.resolutions() {
            true => ratio(self.contents.bytes() as f64, first.contents.bytes() as f64),
            // They have not done the same work.
            false => "–".to_owned(),
        };
        format!(
            "| {} | {} | {} ÷ {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | all bytes {total} | {} |\n",
            self.case,
            self.series,
            self.run,
            first.run,
            ratio(ours.wall.as_secs_f64(), theirs.wall.as_secs_f64()),
            ratio(ours.cpu.as_secs_f64(), theirs.cpu.as_secs_f64()),
            ratio(ours.peak as f64, theirs.peak as f64),
            ratio(ours.anonymous as f64, theirs.anonymous as f64),
            ratio(ours.read as f64, theirs.read as f64),
            ratio(ours.written as f64, theirs.written as f64),
            bytes(Resolution::Raw),
            bytes(Resolution::FiveMinutes),
            bytes(Resolution::OneHour),
            ratio(samples(self), samples(first)),
        )
    }

    fn made(&self, resolution: Resolution) -> Option<&Made> {
        self.contents.made.get(&resolution)
    }

    /// How many blocks of each kind there are.
    fn blocks(&self) -> String {
        let name = |resolution| match resolution {
            Resolution::Raw => "raw",
            Resolution::FiveMinutes => "5 m",
            Resolution::OneHour => "1 h",
        };
        let made = self.contents.made.iter();
        let mut parts: Vec<String> = made
            .map(|(resolution, made)| format!("{} {}", made.blocks, name(*resolution)))
            .collect();
        parts.push(format!("{} left", self.contents.left));
        parts.join(", ")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} | {} | ", self.case, self.series, self.run)?;
        if let Some(why) = &self.refused {
            return writeln!(f, "refused: {} |", why.replace('|', "/"));
        }
        let used = &self.used;
        let bytes = |resolution| {
            self.made(resolution)
                .map_or_else(dash, |made| mb(made.bytes))
        };
        let samples = self.made(Resolution::Raw).map_or(0, |made| made.samples);
        writeln!(
            f,
            "{:.2} | {:.2} | {} | {} | {} | {} | {} | {} | {} | {} | {samples} |",
            used.wall.as_secs_f64(),
            used.cpu.as_secs_f64(),
            used.peak >> 20,
            used.anonymous >> 20,
            mb(used.read),
            mb(used.written),
            bytes(Resolution::Raw),
            bytes(Resolution::FiveMinutes),
            bytes(Resolution::OneHour),
            self.blocks(),
        )
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn mb(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

fn ratio(ours: f64, theirs: f64) -> String {
    match theirs > 0.0 && ours > 0.0 {
        true => format!("{:.3}", ours / theirs),
        false => dash(),
    }
}
