//! Downsampling: which blocks of coarser resolutions are to be made.
//!
//! ```text
//! raw of ≥ 40 h whose sources are not all in 5 m            ──▶ 5 m
//! 5 m of ≥ 10 d whose sources are not all in 1 h            ──▶ 1 h, in the same pass where raw is that long
//! past its retention, and what it becomes would be kept     ──▶ the same, however short
//! ```
//! Thanos's rule, but for three things. Short blocks are downsampled before their retention takes them. Samples are
//! looked for in the block's own group, not in all groups together. And nothing is made that would be past its own
//! retention at once, which Thanos makes and deletes again and again where raw blocks are kept for longer.

use std::collections::BTreeSet;

use model::{BlockId, Resolution, Timestamp};

use super::{
    Cover, Downsampling, Known, Plan, PlanOptions, SkipReason, known::all_sources,
    retention::is_past,
};
use crate::millis;

/// Decides what is downsampled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coarser<'a> {
    pub(super) options: &'a PlanOptions,
    pub(super) cover: &'a Cover<'a>,
}

/// How long blocks must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// As long as Thanos has it.
    Enough,
    /// Any: they will not grow any more.
    Any,
}

/// Which coarser resolutions of some blocks are missing.
#[derive(Clone, Copy, Debug)]
struct Missing {
    five_minutes: bool,
    one_hour: bool,
    /// Whether a block of 5 m would be past its retention, so that it is only needed to make the one of 1 h.
    five_minutes_past: bool,
}

impl Coarser<'_> {
    /// The coarser resolutions that are to be made of these blocks, which are of one group, the finest first.
    pub(super) fn outputs(&self, blocks: &[&Known<'_>], length: Length) -> Vec<Resolution> {
        let (Some(first), Some(start), Some(end)) = (
            blocks.first(),
            blocks.iter().map(|b| b.min()).min(),
            blocks.iter().map(|b| b.max()).max(),
        ) else {
            return Vec::new();
        };
        if self.options.downsampling == Downsampling::Off
            || blocks.iter().any(|b| b.no_downsample_mark.is_some())
            || blocks.iter().any(|b| !b.unusable_marks.is_empty())
            || blocks.iter().all(|b| b.meta.stats.num_samples == 0)
        {
            return Vec::new();
        }
        let sources = all_sources(blocks);
        let has = |resolution| self.cover.has_well(first.group.hash, resolution, &sources);
        let missing = self.missing(end, has);
        let long = end.0.saturating_sub(start.0);
        let has_length = |resolution: Resolution| {
            let least = resolution.downsampled_from();
            least.is_some_and(|least| long >= millis(least))
        };
        let is_long = |resolution| length == Length::Any || has_length(resolution);
        match first.group.resolution {
            Resolution::Raw if missing.five_minutes && is_long(Resolution::Raw) => {
                let too = missing.one_hour
                    && (has_length(Resolution::FiveMinutes) || missing.five_minutes_past);
                let mut outputs = vec![Resolution::FiveMinutes];
                outputs.extend(too.then_some(Resolution::OneHour));
                outputs
            }
            Resolution::FiveMinutes if missing.one_hour && is_long(Resolution::FiveMinutes) => {
                vec![Resolution::OneHour]
            }
            _ => Vec::new(),
        }
    }

    /// Whether to delete a block would lose samples that are to be kept in coarser resolutions.
    pub(super) fn is_awaited(&self, block: &Known<'_>) -> bool {
        if self.options.downsampling == Downsampling::Off
            || block.no_downsample_mark.is_some()
            || block.meta.stats.num_samples == 0
        {
            return false;
        }
        let has = |resolution| {
            let labels = block.group.hash;
            self.cover.has(labels, resolution, &block.sources)
        };
        let missing = self.missing(block.max(), has);
        match block.group.resolution {
            Resolution::Raw => missing.five_minutes,
            Resolution::FiveMinutes => missing.one_hour,
            Resolution::OneHour => false,
        }
    }

    /// Why a TSDB block past its retention stays: what is left of its samples is in Parquet blocks of a coarser
    /// resolution, and no store gateway has served those for long enough.
    pub(super) fn awaits_store(&self, block: &Known<'_>, plan: &mut Plan) -> Option<SkipReason> {
        let served = self.options.served.as_deref()?;
        if block.meta.parquet.is_some() {
            return None;
        }
        let mut waits = None;
        // The finest resolution that has a source counts for it.
        let mut left: BTreeSet<BlockId> = block.sources.iter().collect();
        let coarser = [Resolution::FiveMinutes, Resolution::OneHour].into_iter();
        for resolution in coarser.filter(|r| *r > block.group.resolution) {
            let (labels, sources) = (block.group.hash, left.iter().copied().collect());
            for by in self.cover.having_any(labels, resolution, &sources) {
                if self.is_past(by.max(), resolution) && !self.is_awaited(by) {
                    continue;
                }
                for source in by.sources.iter() {
                    left.remove(&source);
                }
                if by.meta.parquet.is_some() {
                    // All are asked, as each is to be marked.
                    let reason = served.waits(by, self.options.now, plan);
                    waits = waits.or(reason);
                }
            }
        }
        waits
    }

    fn is_past(&self, end: Timestamp, resolution: Resolution) -> bool {
        let retention = self.options.retention.of(resolution);
        retention.is_some_and(|r| is_past(end, r, self.options.now))
    }

    fn missing(&self, end: Timestamp, has: impl Fn(Resolution) -> bool) -> Missing {
        let past = |resolution| self.is_past(end, resolution);
        let one_hour = !past(Resolution::OneHour) && !has(Resolution::OneHour);
        let five_minutes_past = past(Resolution::FiveMinutes);
        Missing {
            five_minutes: (!five_minutes_past || one_hour) && !has(Resolution::FiveMinutes),
            one_hour,
            five_minutes_past,
        }
    }
}
