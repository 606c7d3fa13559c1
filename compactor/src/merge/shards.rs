//! Which rows go into which shard, as far as their labels decide it.

use std::collections::BTreeSet;

use super::{
    MergeError,
    input::{Inputs, Stretch},
    key::Key,
};

/// Rows in a row that have few enough label names between them for one file.
#[derive(Debug)]
pub(crate) struct Part {
    /// The first of its rows; none of the first part.
    pub(crate) start: Option<Key>,
    /// The names of its rows' labels, sorted.
    pub(crate) names: Vec<Vec<u8>>,
}

/// Parts of at most `columns` names each, a single row with more apart.
///
/// Only where all names together are more, the labels of all series are read for it.
///
/// # Errors
/// When an input cannot be read.
pub(crate) fn parts(inputs: &Inputs, columns: usize) -> Result<Vec<Part>, MergeError> {
    let names = inputs.label_names();
    if names.len() <= columns {
        let start = None;
        return Ok(vec![Part { start, names }]);
    }
    let mut parts = Vec::new();
    let mut start = None;
    let mut ids: BTreeSet<u32> = BTreeSet::new();
    let mut last_names: Vec<u32> = Vec::new();
    each_series(inputs, |key| {
        let names = || key.labels.iter().map(|(name, _)| *name);
        if names().eq(last_names.iter().copied()) {
            return;
        }
        last_names.clear();
        last_names.extend(names());
        let added = names().filter(|name| !ids.contains(name)).count();
        if !ids.is_empty() && ids.len() + added > columns {
            let names = texts(inputs, &std::mem::take(&mut ids));
            let start = start.replace(key.clone());
            parts.push(Part { start, names });
        }
        ids.extend(names());
    })?;
    let names = texts(inputs, &ids);
    parts.push(Part { start, names });
    Ok(parts)
}

fn texts(inputs: &Inputs, ids: &BTreeSet<u32>) -> Vec<Vec<u8>> {
    let text = |id: &u32| inputs.symbols.get(*id).to_owned();
    ids.iter().map(text).collect()
}

/// Calls `each` with the key of every series, in order.
fn each_series(inputs: &Inputs, mut each: impl FnMut(&Key)) -> Result<(), MergeError> {
    let all = inputs.all.iter();
    let mut stretches: Vec<Stretch<'_>> = all
        .map(|input| input.stretch(0..input.len()))
        .collect::<Result<_, _>>()?;
    let mut key = Key::default();
    while let Some(least) = stretches.iter().filter_map(Stretch::key).min() {
        key.copy(least);
        each(&key);
        for stretch in &mut stretches {
            if stretch.key() == Some(&key) {
                stretch.advance()?;
            }
        }
    }
    Ok(())
}
