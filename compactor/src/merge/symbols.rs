//! One sorted symbol table over the tables of all inputs.
//!
//! Each input's symbols are sorted, so the union is one k-way merge, and because ids follow byte
//! order, two series of different blocks compare as sequences of integers.

use std::{cmp::Reverse, collections::BinaryHeap};

use model::Ragged;

/// Distinct strings in byte order; an id is a position among them.
#[derive(Debug, Default)]
pub(crate) struct SymbolTable(Ragged<u8>);

impl SymbolTable {
    /// The table of all strings in `tables`, and for each of the tables the ids of its entries.
    ///
    /// Entries of one table come in byte order; equal neighbours share an id.
    pub(crate) fn union<'a, T>(tables: impl IntoIterator<Item = T>) -> (Self, Vec<Vec<u32>>)
    where
        T: Iterator<Item = &'a [u8]>,
    {
        let mut tables: Vec<T> = tables.into_iter().collect();
        let mut ids = vec![Vec::new(); tables.len()];
        let mut heap = BinaryHeap::with_capacity(tables.len());
        for (i, table) in tables.iter_mut().enumerate() {
            heap.extend(table.next().map(|symbol| Reverse((symbol, i))));
        }
        let mut union = Self::default();
        while let Some(Reverse((symbol, i))) = heap.pop() {
            let id = union.push(symbol);
            if let (Some(ids), Some(table)) = (ids.get_mut(i), tables.get_mut(i)) {
                ids.push(id);
                heap.extend(table.next().map(|symbol| Reverse((symbol, i))));
            }
        }
        (union, ids)
    }

    /// The symbol with this id; the empty string for an id that is none.
    pub(crate) fn get(&self, id: u32) -> &[u8] {
        self.0.get(id as usize).unwrap_or_default()
    }

    /// The symbols in byte order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter()
    }

    /// The id of `symbol`.
    pub(crate) fn find(&self, symbol: &[u8]) -> Option<u32> {
        let at = self.0.len();
        let (mut low, mut high) = (0, at);
        while low < high {
            let middle = low + (high - low) / 2;
            let id = u32::try_from(middle).ok()?;
            if self.get(id) < symbol {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let id = u32::try_from(low).ok()?;
        (low < at && self.get(id) == symbol).then_some(id)
    }

    /// The id of `symbol`, which is not before the last one.
    fn push(&mut self, symbol: &[u8]) -> u32 {
        if self.0.last() != Some(symbol) {
            self.0.push_with(|bytes| bytes.extend_from_slice(symbol));
        }
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }
}

impl parquet_block::Symbols for SymbolTable {
    fn get(&self, id: u32) -> &[u8] {
        self.get(id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_follow_byte_order_and_each_entry_finds_its_string(
            tables in prop::collection::vec(prop::collection::btree_set(prop_oneof!["[a-cé]{0,3}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..3)], 0..8), 0..5),
        ) {
            let (union, ids) = SymbolTable::union(tables.iter().map(|t| t.iter().map(Vec::as_slice)));
            let expected: BTreeSet<&Vec<u8>> = tables.iter().flatten().collect();
            prop_assert_eq!(union.0.len(), expected.len());
            for (id, symbol) in expected.iter().enumerate() {
                let id = u32::try_from(id).unwrap();
                prop_assert_eq!(union.get(id), symbol.as_slice());
                prop_assert_eq!(union.find(symbol), Some(id));
            }
            prop_assert_eq!(union.find(b"not drawn"), None);
            for (table, ids) in tables.iter().zip(&ids) {
                let found: Vec<&[u8]> = ids.iter().map(|id| union.get(*id)).collect();
                prop_assert_eq!(found, table.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
        }
    }
}
