//! Which rows may share a shard, as far as the names of their labels decide it: each is a column.

use std::collections::BTreeSet;

use super::{
    MergeError,
    input::{InputCursor, Inputs},
    key::Key,
};

/// Consecutive rows that have few enough label names between them for one file.
#[derive(Debug)]
pub(crate) struct ColumnSet {
    /// The first of its rows; none of the first column set.
    pub(crate) start: Option<Key>,
    /// The names of its rows' labels, sorted.
    pub(crate) names: Vec<Vec<u8>>,
}

/// Column sets of at most `columns` names each, a single row with more apart.
///
/// The labels of all series are read only if all names together are more than `columns`.
///
/// # Errors
/// When an input cannot be read.
pub(crate) fn cut(inputs: &Inputs, columns: usize) -> Result<Vec<ColumnSet>, MergeError> {
    let names = inputs.label_names();
    if names.len() <= columns {
        let start = None;
        return Ok(vec![ColumnSet { start, names }]);
    }
    let mut sets = Vec::new();
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
            sets.push(ColumnSet { start, names });
        }
        ids.extend(names());
    })?;
    let names = texts(inputs, &ids);
    sets.push(ColumnSet { start, names });
    Ok(sets)
}

fn texts(inputs: &Inputs, ids: &BTreeSet<u32>) -> Vec<Vec<u8>> {
    let text = |id: &u32| inputs.symbols.get(*id).to_owned();
    ids.iter().map(text).collect()
}

/// Calls `each` with the key of every series, in order.
fn each_series(inputs: &Inputs, mut each: impl FnMut(&Key)) -> Result<(), MergeError> {
    let all = inputs.all.iter();
    let mut cursors: Vec<InputCursor<'_>> = all
        .map(|input| input.cursor(0..input.len()))
        .collect::<Result<_, _>>()?;
    let mut key = Key::default();
    while let Some(least) = cursors.iter().filter_map(InputCursor::key).min() {
        key.copy(least);
        each(&key);
        for cursor in &mut cursors {
            if cursor.key() == Some(&key) {
                cursor.advance()?;
            }
        }
    }
    Ok(())
}
