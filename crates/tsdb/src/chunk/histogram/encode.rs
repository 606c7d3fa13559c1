//! Encodes histograms of one kind of count as chunks.

use model::{Counts, Histogram, Timestamp};

use super::{
    super::{Chunk, varbit::write_int, window::Window, writer::BitWriter},
    Header,
    append::Open,
    layout::Layout,
    spans::align,
    track::Track,
};

type Sample = (Timestamp, Histogram);

/// The sample written last.
struct Last<T> {
    time: i64,
    delta: i64,
    sum: u64,
    sum_window: Window,
    count: T,
    zero: T,
    positive: Vec<T>,
    negative: Vec<T>,
}

/// Encodes histograms whose counts are all of one kind, as chunks of at most `longest` samples.
pub(super) fn encode_run<T: Track>(mut run: &[Sample], longest: usize, out: &mut Vec<Chunk>) {
    let mut header = None;
    while let Some(((_, first), others)) = run.split_first() {
        let mut open = Open::<T>::new(header.take().unwrap_or(Header::of_first(first)), first);
        let mut len = 1;
        for (_, next) in others.iter().take(longest.saturating_sub(1)) {
            if let Err(next_header) = open.take(next) {
                header = Some(next_header);
                break;
            }
            len += 1;
        }
        let Some((samples, rest)) = run.split_at_checked(len) else {
            return;
        };
        // Only now the buckets of all of them are known.
        out.extend(encode_chunk::<T>(open.header, &open.layout, samples));
        run = rest;
    }
}

fn encode_chunk<T: Track>(header: Header, layout: &Layout, samples: &[Sample]) -> Option<Chunk> {
    let (min, max) = (samples.first()?.0, samples.last()?.0);
    let count = u16::try_from(samples.len()).ok()?;
    let mut data = Vec::with_capacity(256);
    data.extend_from_slice(&count.to_be_bytes());
    data.push(header as u8);
    let mut out = BitWriter::new(&mut data);
    layout.write(&mut out);

    let empty = Counts::default();
    let mut aligned = Counts::<T::Number>::default();
    let mut last: Option<Last<T>> = None;
    for (time, histogram) in samples {
        let counts = T::counts(&histogram.counts).unwrap_or(&empty);
        if histogram.is_stale() {
            aligned = Counts::default();
        } else {
            aligned.count = counts.count;
            aligned.zero = counts.zero;
            let (positive, negative) = (&layout.positive, &layout.negative);
            let spans = (&histogram.positive_spans, &histogram.negative_spans);
            align(positive, spans.0, &counts.positive, &mut aligned.positive);
            align(negative, spans.1, &counts.negative, &mut aligned.negative);
        }
        let sum = histogram.sum.to_bits();
        match &mut last {
            None => last = Some(Last::first(time.0, sum, &aligned, &mut out)),
            Some(last) => last.next(time.0, sum, &aligned, &mut out),
        }
    }
    out.finish();
    Some(Chunk {
        encoding: T::ENCODING,
        min,
        max,
        data: data.into(),
    })
}

impl<T: Track> Last<T> {
    fn first(time: i64, sum: u64, counts: &Counts<T::Number>, out: &mut BitWriter<'_>) -> Self {
        write_int(out, time);
        let count = T::write_total(counts.count, out);
        let zero = T::write_total(counts.zero, out);
        out.bits(sum, 64);
        let mut write_buckets = |numbers: &[T::Number]| {
            let mut before = T::Number::default();
            let write = |number: &T::Number| {
                let track = T::write_bucket(*number, before, out);
                before = *number;
                track
            };
            numbers.iter().map(write).collect()
        };
        Self {
            time,
            delta: 0,
            sum,
            sum_window: Window::WRITE,
            count,
            zero,
            positive: write_buckets(&counts.positive),
            negative: write_buckets(&counts.negative),
        }
    }

    fn next(&mut self, time: i64, sum: u64, counts: &Counts<T::Number>, out: &mut BitWriter<'_>) {
        let delta = time.wrapping_sub(self.time);
        write_int(out, delta.wrapping_sub(self.delta));
        (self.time, self.delta) = (time, delta);
        let zero = T::Number::default();
        if sum == model::STALE_NAN {
            self.count.write_stale(out);
            self.zero.write_stale(out);
        } else {
            self.count.write_next(counts.count, zero, out);
            self.zero.write_next(counts.zero, zero, out);
        }
        self.sum_window.write(out, self.sum, sum);
        self.sum = sum;
        // A stale sample has none.
        for (tracks, numbers) in [
            (&mut self.positive, &counts.positive),
            (&mut self.negative, &counts.negative),
        ] {
            let mut before = zero;
            for (track, number) in tracks.iter_mut().zip(numbers) {
                track.write_next(*number, before, out);
                before = *number;
            }
        }
    }
}
