//! Series that have labels with empty values, which mean the same as no label.
//!
//! Without these labels a series sorts elsewhere, and may be the same as others of its block. So these series are read
//! apart from the rest of the block: in their new order, and of those that are the same each in another layer, so that
//! each layer ascends. The merge makes one of them all, as it does of the series of several blocks.
//!
//! What is held in memory is the labels of these series of one metric; of all of them where series are ordered by
//! their labels and some have names before `__name__`.

use model::BlockId;
use tsdb::SeriesRef;

use super::{
    super::{
        MergeError,
        key::{Key, Keys},
    },
    refs::Refs,
};

/// How many series of a block may be the same without their empty labels.
const MOST_LAYERS: usize = 64;

/// How the series of one metric lie in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metrics {
    /// One metric after the other.
    Apart,
    /// Among those of others.
    Mixed,
}

/// `series`, which are some of a block in its order, in the order of their keys; layer by layer. `key_of` reads the
/// key of one.
///
/// # Errors
/// When a key cannot be read, or too many series are the same.
pub(super) fn layers(
    block: BlockId,
    series: Vec<SeriesRef>,
    metrics: Metrics,
    keys: Keys,
    mut key_of: impl FnMut(SeriesRef) -> Result<Key, MergeError>,
) -> Result<Vec<Refs>, MergeError> {
    let mut layers: Vec<Vec<SeriesRef>> = Vec::new();
    let mut metric: Vec<(Key, SeriesRef)> = Vec::new();
    let mut last = None;
    for series in series {
        let key = key_of(series)?;
        let name = keys.metric(&key.labels);
        if metrics == Metrics::Apart && last.is_some_and(|last| last != name) {
            put(block, &mut metric, &mut layers)?;
        }
        last = Some(name);
        metric.push((key, series));
    }
    put(block, &mut metric, &mut layers)?;
    Ok(layers.into_iter().map(Refs::from_iter).collect())
}

/// Sorts the series of one metric into layers.
fn put(
    block: BlockId,
    metric: &mut Vec<(Key, SeriesRef)>,
    layers: &mut Vec<Vec<SeriesRef>>,
) -> Result<(), MergeError> {
    metric.sort_unstable();
    for same in metric.chunk_by(|(a, _), (b, _)| a == b) {
        if same.len() > MOST_LAYERS {
            let (_, first) = same.first().cloned().unwrap_or_default();
            return Err(MergeError::Alike {
                block,
                series: first.0.into(),
                alike: same.len(),
                most: MOST_LAYERS,
            });
        }
        if layers.len() < same.len() {
            layers.resize_with(same.len(), Vec::new);
        }
        for ((_, series), layer) in same.iter().zip(layers.iter_mut()) {
            layer.push(*series);
        }
    }
    metric.clear();
    Ok(())
}
