//! Decodes a chunk of histograms, of either kind of count.

use std::sync::Arc;

use model::{CounterReset, Counts, Histogram, Timestamp};

use super::{
    super::{ChunkError, reader::BitReader, sample_count, varbit::read_int, window::Window},
    Header,
    layout::Layout,
    spans::bucket_count,
    track::Track,
};

const SAMPLE: &str = "a histogram and its time";

/// The sample read last.
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

pub(super) fn decode<T: Track>(data: &[u8]) -> Result<Vec<(Timestamp, Histogram)>, ChunkError> {
    let count = usize::from(sample_count(data)?);
    let Some(header) = data.get(2) else {
        return Err(ChunkError::end(data, "a counter reset header"));
    };
    let header = Header::from_byte(*header);
    let mut out = Vec::new();
    if count == 0 {
        return Ok(out);
    }
    let mut input = BitReader::new(data, 3);
    let layout = Layout::read(&mut input)?;
    let mut last = Last::<T>::first(&layout, &mut input)?;
    out.push((Timestamp(last.time), last.histogram(&layout, header, 0)));
    // The four numbers besides buckets take a bit each.
    if (count - 1).saturating_mul(4) > input.left() {
        let found = format!("a count of {count} in {} bytes", data.len());
        return Err(ChunkError::corrupt(0, "a count of samples that fit", found));
    }
    for place in 1..count {
        last.next(&mut input)?;
        out.push((Timestamp(last.time), last.histogram(&layout, header, place)));
    }
    Ok(out)
}

impl<T: Track> Last<T> {
    fn first(layout: &Layout, input: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        let (positive, negative) = (
            bucket_count(&layout.positive),
            bucket_count(&layout.negative),
        );
        let buckets = positive.saturating_add(negative);
        // Checked before memory is reserved for them.
        if buckets.saturating_mul(T::MIN_BITS) > input.left() {
            let found = format!("{buckets} in {} bits", input.left());
            return Err(ChunkError::corrupt(
                input.at(),
                "a number of buckets that fit",
                found,
            ));
        }
        let read_buckets = |n: usize, input: &mut BitReader<'_>| {
            (0..n)
                .map(|_| T::read_bucket(input))
                .collect::<Result<_, _>>()
        };
        Ok(Self {
            time: read_int(input, SAMPLE)?,
            delta: 0,
            count: T::read_total(input)?,
            zero: T::read_total(input)?,
            sum: input.bits(64, SAMPLE)?,
            sum_window: Window::READ,
            positive: read_buckets(positive, input)?,
            negative: read_buckets(negative, input)?,
        })
    }

    fn next(&mut self, input: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.delta = self.delta.wrapping_add(read_int(input, SAMPLE)?);
        self.time = self.time.wrapping_add(self.delta);
        self.count.read_next(input)?;
        self.zero.read_next(input)?;
        self.sum_window.read(input, &mut self.sum, SAMPLE)?;
        if self.sum == model::STALE_NAN {
            return Ok(());
        }
        for bucket in self.positive.iter_mut().chain(&mut self.negative) {
            bucket.read_next(input)?;
        }
        Ok(())
    }

    fn histogram(&self, layout: &Layout, header: Header, place: usize) -> Histogram {
        if self.sum == model::STALE_NAN {
            let layout = Layout::empty();
            return self.with(&layout, CounterReset::Unknown, Counts::default());
        }
        let zero = T::Number::default();
        let counts = Counts {
            count: self.count.number(zero),
            zero: self.zero.number(zero),
            positive: numbers(&self.positive),
            negative: numbers(&self.negative),
        };
        self.with(layout, header.reset(place), counts)
    }

    fn with(&self, layout: &Layout, reset: CounterReset, counts: Counts<T::Number>) -> Histogram {
        Histogram {
            reset,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            sum: f64::from_bits(self.sum),
            positive_spans: Arc::clone(&layout.positive),
            negative_spans: Arc::clone(&layout.negative),
            custom_bounds: Arc::clone(&layout.custom_bounds),
            counts: T::wrap(counts),
        }
    }
}

fn numbers<T: Track>(buckets: &[T]) -> Vec<T::Number> {
    let mut before = T::Number::default();
    buckets
        .iter()
        .map(|bucket| {
            before = bucket.number(before);
            before
        })
        .collect()
}
