//! Which blocks a request is about, and what is left of its matchers for each.

use std::{collections::BTreeSet, sync::Arc};

use model::{BLOCK_ID, BlockId, BlockMeta, Labels, Matcher, Resolution, TimeRange, Timestamp};

use crate::{
    catalog::{Catalog, CatalogBlock, EarlierMeta, Group, Missing},
    request::Selector,
};

/// A block that a request is about.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) block: Arc<CatalogBlock>,
    /// The matchers that are left once those on external labels have matched.
    pub(crate) matchers: Arc<[Matcher]>,
    /// The times asked for that are served.
    pub(crate) range: TimeRange,
}

/// The blocks that hold the series asked for, at the coarsest resolution allowed where there is one, each
/// time of each set of external labels from as few resolutions as can be.
///
/// Where no matcher is left, a store gateway gives no series; so no block is chosen.
pub(crate) fn for_series(
    catalog: &Catalog,
    selector: &Selector,
    max_resolution: i64,
) -> Vec<Chosen> {
    choose(catalog, selector, |group, range, chosen| {
        let mut seen = BTreeSet::new();
        group.at_resolution(range, max_resolution.max(0), &mut |block| {
            if seen.insert((block.id, block.format)) {
                chosen.push(Arc::clone(block));
            }
        });
    })
    .into_iter()
    .filter(|chosen| !chosen.matchers.is_empty())
    .collect()
}

/// The blocks that a request could need and that are not served as they are listed; `coarsest` is the coarsest
/// resolution that may answer, in milliseconds.
pub(crate) fn missing<'a>(
    catalog: &'a Catalog,
    selector: &Selector,
    coarsest: i64,
) -> Vec<&'a Missing> {
    let range = selector.range;
    let is_needed = |missing: &&Missing| {
        if range.min > range.max || selector.matchers.is_empty() && coarsest < i64::MAX {
            return false;
        }
        match &missing.earlier {
            Some(EarlierMeta { meta, labels }) => {
                overlaps(meta, range)
                    && meta.resolution().millis() <= coarsest.max(0)
                    && left_for(labels, &selector.matchers).is_some()
                    && is_meant(missing.id, labels, &selector.block_matchers)
            }
            // Its times and labels may be any.
            None => may_be_meant(missing.id, &selector.block_matchers),
        }
    };
    catalog.missing.iter().filter(is_needed).collect()
}

/// The blocks that may hold labels asked for, of every resolution.
pub(crate) fn for_labels(catalog: &Catalog, selector: &Selector) -> Vec<Chosen> {
    choose(catalog, selector, |group, range, chosen| {
        let overlapping = |block: &&Arc<CatalogBlock>| overlaps(&block.meta, range);
        chosen.extend(group.blocks().filter(overlapping).cloned());
    })
}

fn choose(
    catalog: &Catalog,
    selector: &Selector,
    blocks_of: impl Fn(&Group, TimeRange, &mut Vec<Arc<CatalogBlock>>),
) -> Vec<Chosen> {
    let range = selector.range;
    if range.min > range.max {
        return Vec::new();
    }
    let mut all = Vec::new();
    for group in &catalog.groups {
        let Some(matchers) = left_for(&group.labels, &selector.matchers) else {
            continue;
        };
        let mut blocks = Vec::new();
        blocks_of(group, range, &mut blocks);
        blocks.retain(|block| is_meant(block.id, &group.labels, &selector.block_matchers));
        all.extend(blocks.into_iter().map(|block| Chosen {
            block,
            matchers: Arc::clone(&matchers),
            range,
        }));
    }
    all
}

/// The matchers on labels that are not external; `None` if one on an external label does not match.
fn left_for(external: &Labels, matchers: &[Matcher]) -> Option<Arc<[Matcher]>> {
    let mut left = Vec::new();
    for matcher in matchers {
        match external.get(&matcher.name) {
            Some(value) if matcher.matches(value) => {}
            Some(_) => return None,
            None => left.push(matcher.clone()),
        }
    }
    Some(left.into())
}

/// Whether a block has a time of the range.
fn overlaps(meta: &BlockMeta, range: TimeRange) -> bool {
    meta.min_time <= range.max && range.min < meta.max_time
}

/// Whether all matchers on blocks may match a block of unknown labels.
fn may_be_meant(id: BlockId, matchers: &[Matcher]) -> bool {
    let mut of_id = matchers.iter().filter(|matcher| matcher.name == BLOCK_ID);
    of_id.all(|matcher| matcher.matches(id.to_string()))
}

/// Whether all matchers on blocks match.
fn is_meant(id: BlockId, external: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| match matcher.name.as_str() {
        BLOCK_ID => matcher.matches(id.to_string()),
        name => matcher.matches(external.get(name).unwrap_or_default()),
    })
}

impl Group {
    /// Gives the blocks of the coarsest resolution allowed that overlap `range`; where those leave gaps,
    /// the blocks of the next finer one. A block may be given twice.
    fn at_resolution(
        &self,
        range: TimeRange,
        coarsest: i64,
        give: &mut dyn FnMut(&Arc<CatalogBlock>),
    ) {
        if range.min > range.max {
            return;
        }
        let allowed = |(resolution, _): &(&Resolution, _)| resolution.millis() <= coarsest;
        let Some((resolution, blocks)) = self.blocks.iter().rev().find(allowed) else {
            return;
        };
        let finer = resolution.millis() - 1;
        let mut start = range.min;
        for block in blocks {
            let (min, end) = (block.meta.min_time, block.meta.max_time);
            if end <= range.min || min > range.max {
                continue;
            }
            let gap = TimeRange {
                min: start,
                max: Timestamp(min.0.saturating_sub(1)),
            };
            self.at_resolution(gap, finer, give);
            give(block);
            start = start.max(end);
        }
        let gap = TimeRange {
            min: start,
            max: range.max,
        };
        self.at_resolution(gap, finer, give);
    }
}

#[cfg(test)]
mod tests;
