//! Series that have a value each of their own, as container ids are.

use std::{collections::BTreeSet, path::Path};

use model::{BlockMeta, Labels};
use tsdb::{BlockWriter, Chunk};

use crate::random::Random;

/// Makes a block of `series` series of 1,000 metrics, each series with an id of 64 characters that no other has, and
/// with `chunks`. It is one millisecond long.
///
/// # Errors
/// When the block cannot be written.
pub fn make_ids(dir: &Path, series: usize, chunks: &[Chunk]) -> anyhow::Result<()> {
    let labels = |n: usize| {
        // Spread over all values, as hashes are.
        let first = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = Random(first | 1);
        let mut word = || format!("{:016x}", random.next());
        let id = format!("{first:016x}") + &word() + &word() + &word();
        let name = format!("metric_{:03}", n % 1000);
        let pod = format!("pod-{:06}", n / 100);
        Labels::from_pairs([("__name__", name), ("id", id), ("pod", pod)])
    };
    let all: BTreeSet<Labels> = (0..series).map(labels).collect();
    let texts = all.iter().flat_map(Labels::iter);
    let symbols: BTreeSet<&[u8]> = texts.flat_map(|(name, value)| [name, value]).collect();
    let mut writer = BlockWriter::create(dir, symbols)?;
    for labels in &all {
        writer.add_series(labels, chunks)?;
    }
    let meta = r#"{"ulid":"01HF8J5JG0RAVB4GMS32W7ZJ2B","minTime":0,"maxTime":1,"version":1}"#;
    writer.finish(BlockMeta::decode(meta.as_bytes())?)?;
    Ok(())
}
