//! Lists of different lengths in two allocations.

/// Lists of different lengths, one after the other in one piece of memory.
///
/// The ends of the lists ascend, and the last one is the end of the items: so each item is in one list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ragged<T> {
    items: Vec<T>,
    /// Where each list ends among the items.
    ends: Vec<usize>,
}

impl<T> Ragged<T> {
    /// No lists, but room for `lists` of them.
    #[must_use]
    pub fn with_capacity(lists: usize) -> Self {
        Self {
            items: Vec::new(),
            ends: Vec::with_capacity(lists),
        }
    }

    /// Adds a list.
    pub fn push(&mut self, list: impl IntoIterator<Item = T>) {
        self.push_with(|items| items.extend(list));
    }

    /// Adds what `append` appends to the items of the lists before, which it leaves as they are.
    pub fn push_with(&mut self, append: impl FnOnce(&mut Vec<T>)) {
        append(&mut self.items);
        debug_assert!(
            self.ends.last().is_none_or(|end| *end <= self.items.len()),
            "items of lists before were removed"
        );
        self.ends.push(self.items.len());
    }

    /// How many lists there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no lists.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The list at `index`, counted from 0, if there are so many.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[T]> {
        let end = *self.ends.get(index)?;
        let before = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        self.items.get(before.copied().unwrap_or_default()..end)
    }

    /// The last list, if there are any.
    #[must_use]
    pub fn last(&self) -> Option<&[T]> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The lists in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[T]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let list = self.items.get(start..*end).unwrap_or_default();
            start = *end;
            list
        })
    }

    /// Bytes that the items and the ends take, without those that items hold elsewhere.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of_val(self.items.as_slice()) + size_of_val(self.ends.as_slice())
    }

    /// The items of all lists, and where each list ends among them.
    #[must_use]
    pub fn into_parts(self) -> (Vec<T>, Vec<usize>) {
        (self.items, self.ends)
    }
}

impl<T> Default for Ragged<T> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_are_found_as_they_were_added(
            lists in prop::collection::vec(prop::collection::vec(any::<u16>(), 0..4), 0..9),
        ) {
            let mut ragged = Ragged::default();
            for (i, list) in lists.iter().enumerate() {
                if i % 2 == 0 {
                    ragged.push(list.iter().copied());
                } else {
                    ragged.push_with(|items| items.extend_from_slice(list));
                }
            }
            prop_assert_eq!(ragged.len(), lists.len());
            prop_assert_eq!(ragged.is_empty(), lists.is_empty());
            prop_assert_eq!(ragged.last(), lists.last().map(Vec::as_slice));
            prop_assert_eq!(ragged.get(lists.len()), None);
            for (i, list) in lists.iter().enumerate() {
                prop_assert_eq!(ragged.get(i), Some(list.as_slice()));
            }
            prop_assert!(ragged.iter().eq(lists.iter().map(Vec::as_slice)));
            prop_assert_eq!(ragged.iter().len(), lists.len());
            let items = lists.concat();
            prop_assert_eq!(ragged.size(), items.len() * 2 + lists.len() * size_of::<usize>());
            let (all, ends) = ragged.into_parts();
            prop_assert_eq!(&all, &items);
            prop_assert!(ends.is_sorted());
            prop_assert_eq!(ends.last().copied().unwrap_or_default(), items.len());
        }
    }
}
