//! A map of bounded size that drops the values unused for the longest time.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// Values with their sizes, the sum of which is bounded.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// The keys by the time of their last use.
    used: BTreeMap<u64, K>,
    clock: u64,
    size: u64,
    max: u64,
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    size: u64,
    used: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Lru<K, V> {
    /// An empty map of at most `max`.
    pub(crate) fn new(max: u64) -> Self {
        Self {
            slots: HashMap::new(),
            used: BTreeMap::new(),
            clock: 0,
            size: 0,
            max,
        }
    }

    /// The value of `key`, which becomes the one used last.
    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        let slot = self.slots.get_mut(key)?;
        self.clock += 1;
        let key = self.used.remove(&slot.used)?;
        slot.used = self.clock;
        self.used.insert(self.clock, key);
        Some(slot.value.clone())
    }

    /// Puts a value in and replaces the one of the same key. A value larger than the bound is not kept. Returns those
    /// that were dropped for it.
    pub(crate) fn put(&mut self, key: K, value: V, size: u64) -> Vec<V> {
        self.remove(&key);
        let mut dropped = Vec::new();
        if size > self.max {
            return dropped;
        }
        self.clock += 1;
        self.used.insert(self.clock, key.clone());
        let used = self.clock;
        self.slots.insert(key, Slot { value, size, used });
        self.size = self.size.saturating_add(size);
        while self.size > self.max
            && let Some((_, oldest)) = self.used.pop_first()
        {
            dropped.extend(self.forget(&oldest).map(|slot| slot.value));
        }
        dropped
    }

    /// Removes a value.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.forget(key)?;
        self.used.remove(&slot.used);
        Some(slot.value)
    }

    /// Removes all values whose keys satisfy `is_such`. Visits each key.
    pub(crate) fn remove_where(&mut self, is_such: impl Fn(&K) -> bool) -> Vec<V> {
        let keys = self.slots.keys().filter(|key| is_such(key));
        let keys: Vec<_> = keys.cloned().collect();
        keys.iter().filter_map(|key| self.remove(key)).collect()
    }

    /// All values.
    #[cfg(test)]
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.slots.values().map(|slot| &slot.value)
    }

    /// The sum of the sizes.
    #[cfg(test)]
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    fn forget(&mut self, key: &K) -> Option<Slot<V>> {
        let slot = self.slots.remove(key)?;
        self.size = self.size.saturating_sub(slot.size);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let mut lru = Lru::new(10);
        for key in ["a", "b", "c"] {
            lru.put(key, key.to_owned(), 3);
        }
        assert_eq!(lru.get(&"a").as_deref(), Some("a"));
        lru.put("d", "d".to_owned(), 3);
        assert_eq!(lru.get(&"b"), None);
        assert_eq!((lru.size, lru.slots.len(), lru.used.len()), (9, 3, 3));
        lru.put("e", "e".to_owned(), 8);
        assert_eq!((lru.size, lru.slots.len(), lru.used.len()), (8, 1, 1));
    }

    #[test]
    fn a_value_that_is_replaced_is_counted_once() {
        let mut lru = Lru::new(10);
        lru.put("a", 1, 6);
        lru.put("a", 2, 7);
        assert_eq!((lru.size, lru.get(&"a")), (7, Some(2)));
        lru.put("a", 3, 11);
        assert_eq!((lru.size, lru.get(&"a"), lru.used.len()), (0, None, 0));
    }

    #[test]
    fn what_is_taken_out_is_not_counted_any_more() {
        let mut lru = Lru::new(10);
        for key in 0..3 {
            lru.put(key, key, 3);
        }
        lru.remove_where(|key| *key != 1);
        assert_eq!((lru.size, lru.slots.len(), lru.used.len()), (3, 1, 1));
        assert_eq!(lru.get(&1), Some(1));
    }
}
