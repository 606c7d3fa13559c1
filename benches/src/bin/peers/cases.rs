//! What is compared.

use std::path::Path;

use benches::{Replica, make_blocks, make_replica, make_scraped};

/// 24 blocks fill two days. Thanos takes the days for complete only when a later block is there.
const BLOCKS: usize = 25;

/// Blocks, what to do with them, and who does it. The first run is what the others are compared to.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) data: Data,
    /// Flags of a run before, whose output is what is measured upon.
    pub(crate) before: Option<&'static [&'static str]>,
    /// Flags for both programs.
    pub(crate) flags: &'static [&'static str],
    pub(crate) runs: &'static [Run],
}

/// The blocks of a case.
#[derive(Clone, Copy)]
pub(crate) enum Data {
    /// A cluster's.
    TwoDays,
    /// The same, scraped by two Prometheus.
    Replicas,
    /// The scraped sample, again and again.
    Scraped,
}

/// A program and the flags that are its own.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) flags: &'static [&'static str],
}

#[derive(Clone, Copy)]
pub(crate) enum Program {
    Thanos,
    Varve,
}

const THANOS: Run = Run {
    name: "thanos",
    program: Program::Thanos,
    flags: &[],
};
const VARVE: Run = Run {
    name: "varve",
    program: Program::Varve,
    flags: &[],
};
const VARVE_TO_TSDB: Run = Run {
    name: "varve to TSDB",
    program: Program::Varve,
    flags: &["--compact.output=tsdb"],
};

/// All cases.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "raw",
        data: Data::TwoDays,
        before: None,
        flags: &["--downsampling.disable"],
        runs: &[THANOS, VARVE, VARVE_TO_TSDB],
    },
    Case {
        name: "two-days",
        data: Data::TwoDays,
        before: None,
        flags: &[],
        runs: &[THANOS, VARVE, VARVE_TO_TSDB],
    },
    Case {
        name: "replicas",
        data: Data::Replicas,
        before: None,
        flags: &[
            "--downsampling.disable",
            "--deduplication.func=penalty",
            "--deduplication.replica-label=replica",
        ],
        runs: &[THANOS, VARVE],
    },
    Case {
        name: "eight-hours",
        data: Data::TwoDays,
        before: Some(&["--debug.max-compaction-level=2"]),
        flags: &["--downsampling.disable"],
        runs: &[THANOS, VARVE],
    },
    Case {
        name: "scraped",
        data: Data::Scraped,
        before: None,
        flags: &[],
        runs: &[THANOS, VARVE, VARVE_TO_TSDB],
    },
];

impl Data {
    pub(crate) fn make(self, folder: &Path, series: usize) -> anyhow::Result<()> {
        match self {
            Self::TwoDays => {
                make_blocks(folder, BLOCKS, series)?;
            }
            Self::Replicas => {
                make_replica(folder, BLOCKS, series, Replica::A)?;
                make_replica(folder, BLOCKS, series, Replica::B)?;
            }
            Self::Scraped => {
                make_scraped(folder, BLOCKS)?;
            }
        }
        Ok(())
    }
}
