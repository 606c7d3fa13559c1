//! Thanos's algorithm in its plainest form: two iterators, each with a penalty of its own.

use super::*;

/// A stream of samples that can be sought in, as its users do it: forward only.
pub(super) trait Stream {
    /// The sample that the stream stands at.
    fn current(&self) -> Option<&Sample>;
    fn advance(&mut self);
    fn seek(&mut self, time: i64) {
        while self.current().is_some_and(|sample| sample.time.0 < time) {
            self.advance();
        }
    }
}

pub(super) struct Leaf(VecDeque<Sample>);

impl Stream for Leaf {
    fn current(&self) -> Option<&Sample> {
        self.0.front()
    }

    fn advance(&mut self) {
        self.0.pop_front();
    }
}

struct Pair {
    a: Box<dyn Stream>,
    b: Box<dyn Stream>,
    last: Option<i64>,
    penalty_a: i64,
    penalty_b: i64,
    current: Option<Sample>,
}

impl Pair {
    fn new(a: Box<dyn Stream>, b: Box<dyn Stream>) -> Self {
        let mut pair = Self {
            a,
            b,
            last: None,
            penalty_a: 0,
            penalty_b: 0,
            current: None,
        };
        pair.advance();
        pair
    }
}

impl Stream for Pair {
    fn current(&self) -> Option<&Sample> {
        self.current.as_ref()
    }

    fn advance(&mut self) {
        if let Some(last) = self.last {
            self.a.seek(last + 1 + self.penalty_a);
            self.b.seek(last + 1 + self.penalty_b);
        }
        let step = |last: Option<i64>, time: i64| last.map_or(5000, |last| 2 * (time - last));
        self.current = match (self.a.current().cloned(), self.b.current().cloned()) {
            (Some(a), Some(b)) if a.time <= b.time => {
                (self.penalty_a, self.penalty_b) = (0, step(self.last, a.time.0));
                Some(a)
            }
            (Some(_), Some(b)) => {
                (self.penalty_a, self.penalty_b) = (step(self.last, b.time.0), 0);
                Some(b)
            }
            (Some(a), None) => {
                self.penalty_a = 0;
                Some(a)
            }
            (None, b) => {
                self.penalty_b = 0;
                b
            }
        };
        self.last = self.current.as_ref().map(|sample| sample.time.0);
    }
}

/// Merges chunks of which no two have both ends in common.
pub(super) fn merge(mut chunks: Vec<Chunk>) -> Vec<Key> {
    chunks.sort_by_key(|chunk| (chunk.min, chunk.max));
    let mut out = Vec::new();
    let mut chunks = chunks.into_iter().peekable();
    while let Some(first) = chunks.next() {
        let leaf = |chunk: &Chunk| Box::new(Leaf(decoded(std::slice::from_ref(chunk)).into()));
        let mut end = first.max;
        let mut stream: Box<dyn Stream> = leaf(&first);
        while let Some(next) = chunks.next_if(|next| next.min <= end) {
            end = end.max(next.max);
            stream = Box::new(Pair::new(stream, leaf(&next)));
        }
        while let Some(sample) = stream.current() {
            out.push(key(sample));
            stream.advance();
        }
    }
    out
}
