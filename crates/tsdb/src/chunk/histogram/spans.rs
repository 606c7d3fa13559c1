//! The buckets of two histograms side by side.

use model::Span;

/// The indices of the buckets in spans.
pub(super) fn indices(spans: &[Span]) -> impl Iterator<Item = i64> {
    let mut end = 0_i64;
    spans.iter().flat_map(move |span| {
        let start = end + i64::from(span.offset);
        end = start + i64::from(span.length);
        start..end
    })
}

/// The number of buckets in spans.
pub(super) fn bucket_count(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.length as usize).sum()
}

/// The difference between two sets of buckets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Union {
    /// The second has buckets that the first lacks.
    pub(super) second_has_more: bool,
    /// The first has buckets that the second lacks.
    pub(super) first_has_more: bool,
    /// All buckets of both, in as few spans as possible.
    pub(super) spans: Vec<Span>,
}

/// Both sets of buckets together, unless `refuse` refuses the two counts of a bucket: zero if the first set lacks it,
/// `None` if the second does.
pub(super) fn unite<N: Copy + Default>(
    first: (&[Span], &[N]),
    second: (&[Span], &[N]),
    refuse: impl Fn(N, Option<N>) -> bool,
) -> Option<Union> {
    let mut union = Union {
        second_has_more: false,
        first_has_more: false,
        spans: Vec::new(),
    };
    let mut firsts = indices(first.0).zip(padded(first.1)).peekable();
    let mut seconds = indices(second.0).zip(padded(second.1)).peekable();
    let mut end = 0;
    loop {
        let index = match (firsts.peek(), seconds.peek()) {
            (Some((a, _)), Some((b, _))) => *a.min(b),
            (Some((a, _)), None) => *a,
            (None, Some((b, _))) => *b,
            (None, None) => return Some(union),
        };
        let in_first = firsts.next_if(|(a, _)| *a == index).map(|(_, n)| n);
        let in_second = seconds.next_if(|(b, _)| *b == index).map(|(_, n)| n);
        union.second_has_more |= in_first.is_none();
        union.first_has_more |= in_second.is_none();
        if refuse(in_first.unwrap_or_default(), in_second) {
            return None;
        }
        push_bucket(&mut union.spans, &mut end, index);
    }
}

/// Adds the bucket `index` to spans that end before `end`.
fn push_bucket(spans: &mut Vec<Span>, end: &mut i64, index: i64) {
    match spans.last_mut() {
        Some(last) if index == *end => last.length += 1,
        // Indices are below 2^30 in size, so their difference fits.
        _ => spans.push(Span {
            offset: i32::try_from(index - *end).unwrap_or(i32::MAX),
            length: 1,
        }),
    }
    *end = index + 1;
}

/// The counts of the buckets in `spans`, at their places in `layout`.
pub(super) fn align<N: Copy + Default>(
    layout: &[Span],
    spans: &[Span],
    counts: &[N],
    out: &mut Vec<N>,
) {
    out.clear();
    if layout == spans {
        out.extend_from_slice(counts);
        out.resize(bucket_count(layout), N::default());
        return;
    }
    let mut have = indices(spans).zip(padded(counts)).peekable();
    for index in indices(layout) {
        let count = have.next_if(|(i, _)| *i == index).map(|(_, count)| count);
        out.push(count.unwrap_or_default());
    }
}

fn padded<N: Copy + Default>(counts: &[N]) -> impl Iterator<Item = N> {
    counts
        .iter()
        .copied()
        .chain(std::iter::repeat(N::default()))
}
