//! Which replica has the next chunk.

use std::{collections::VecDeque, mem};

use model::Timestamp;
use tsdb::Chunk;

use super::super::input::SourceChunk;

/// The chunks of each replica in order of time, the replicas in a heap by their next chunk's first
/// and last time.
///
/// Where these are equal, the order is that of the textbook's binary heap, which Go's
/// `container/heap` is; that of [`std::collections::BinaryHeap`] would be another. Of two samples at
/// the same time the one counts whose chunk comes first, so this is part of the result.
pub(super) struct Heads {
    /// None is empty.
    heap: Vec<VecDeque<SourceChunk>>,
}

impl Heads {
    /// Takes all chunks, which are sorted by replica and by time.
    pub(super) fn of(chunks: &mut Vec<SourceChunk>) -> Self {
        let mut heads = Self { heap: Vec::new() };
        let mut replica: VecDeque<SourceChunk> = VecDeque::new();
        for chunk in chunks.drain(..) {
            if replica
                .front()
                .is_some_and(|(source, _)| *source != chunk.0)
            {
                heads.push(mem::take(&mut replica));
            }
            replica.push_back(chunk);
        }
        heads.push(replica);
        heads
    }

    /// Adds a replica, if it has chunks.
    pub(super) fn push(&mut self, replica: VecDeque<SourceChunk>) {
        if replica.is_empty() {
            return;
        }
        let mut child = self.heap.len();
        self.heap.push(replica);
        while let Some(parent) = child.checked_sub(1).map(|i| i / 2) {
            if !self.is_before(child, parent) {
                break;
            }
            self.heap.swap(child, parent);
            child = parent;
        }
    }

    /// Takes the next chunk.
    pub(super) fn next(&mut self) -> Option<SourceChunk> {
        let mut replica = self.pop()?;
        let chunk = replica.pop_front();
        self.push(replica);
        chunk
    }

    /// Takes the next chunk if it does not start after `end`.
    pub(super) fn next_until(&mut self, end: Timestamp) -> Option<SourceChunk> {
        let (_, chunk) = self.heap.first()?.front()?;
        if chunk.min > end {
            return None;
        }
        self.next()
    }

    fn pop(&mut self) -> Option<VecDeque<SourceChunk>> {
        let last = self.heap.len().checked_sub(1)?;
        self.heap.swap(0, last);
        let popped = self.heap.pop();
        let mut parent = 0;
        loop {
            let (left, right) = (2 * parent + 1, 2 * parent + 2);
            let child = if self.is_before(right, left) {
                right
            } else {
                left
            };
            if !self.is_before(child, parent) {
                return popped;
            }
            self.heap.swap(child, parent);
            parent = child;
        }
    }

    /// Whether the first of two places in the heap comes before the second; never, if it is none.
    fn is_before(&self, first: usize, second: usize) -> bool {
        let key = |place: usize| {
            let (_, chunk): &(usize, Chunk) = self.heap.get(place)?.front()?;
            Some((chunk.min, chunk.max))
        };
        match (key(first), key(second)) {
            (Some(first), Some(second)) => first < second,
            _ => false,
        }
    }
}
