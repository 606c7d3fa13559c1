//! From the frames of a Series answer to whole series with their samples.

use model::{Histogram, HistogramCounts, Labels, STALE_NAN, TimeRange};
use proto::thanos::{self, SeriesResponse, chunk, series_response::Result as Frame};
use tsdb::{ChunkError, Encoding, Floats, decode_histograms, decode_xor};

/// A part of the output.
#[derive(Debug)]
pub(super) enum Event {
    /// A complete series.
    Series(Series),
    /// A warning.
    Warning(String),
}

/// A series.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    /// In order of time, each time once, without marks of the end of a series.
    pub(super) samples: Vec<(i64, Value)>,
}

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Float(f64),
    Histogram { count: f64, sum: f64 },
}

/// A frame that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    /// A chunk does not decode.
    #[error("series {labels}: chunk from {min}: {source}")]
    Chunk {
        labels: Labels,
        min: i64,
        source: ChunkError,
    },
    /// A chunk's encoding has no name.
    #[error("series {labels}: chunk from {min}: unknown encoding {found}, expected 0 to 2")]
    Encoding {
        labels: Labels,
        min: i64,
        found: i32,
    },
}

/// An answer in progress. A series with many chunks may come in several frames.
#[derive(Debug)]
pub(super) struct Answer {
    /// Which samples are wanted, both ends inclusive; a server sends whole chunks.
    range: TimeRange,
    pending: Option<Series>,
    told_of_aggregates: bool,
}

impl Answer {
    /// An answer about the samples of `range`.
    pub(super) const fn new(range: TimeRange) -> Self {
        Self {
            range,
            pending: None,
            told_of_aggregates: false,
        }
    }

    /// Takes a frame; returns what is complete now.
    pub(super) fn take(&mut self, frame: SeriesResponse) -> Result<Vec<Event>, AnswerError> {
        let mut events = Vec::new();
        match frame.result {
            Some(Frame::Series(series)) => self.series(&series, &mut events)?,
            Some(Frame::Batch(batch)) => {
                for series in &batch.series {
                    self.series(series, &mut events)?;
                }
            }
            Some(Frame::Warning(text)) => events.push(Event::Warning(text)),
            Some(Frame::Hints(_)) | None => {}
        }
        Ok(events)
    }

    /// The rest, at the end.
    pub(super) fn finish(&mut self) -> Vec<Event> {
        let range = self.range;
        let last = self.pending.take().and_then(|series| series.finish(range));
        last.map(Event::Series).into_iter().collect()
    }

    fn series(
        &mut self,
        wire: &thanos::Series,
        events: &mut Vec<Event>,
    ) -> Result<(), AnswerError> {
        let labels = proto::model_labels(&wire.labels);
        if self.pending.as_ref().is_none_or(|p| p.labels != labels) {
            events.extend(self.finish());
        }
        let series = self.pending.get_or_insert_with(|| Series {
            labels,
            samples: Vec::new(),
        });
        for chunk in &wire.chunks {
            match &chunk.raw {
                Some(raw) => series.decode(chunk.min_time, raw)?,
                None if self.told_of_aggregates => {}
                None => {
                    self.told_of_aggregates = true;
                    let text = "some chunks hold aggregates of samples, which are not shown";
                    events.push(Event::Warning(text.to_owned()));
                }
            }
        }
        Ok(())
    }
}

impl Series {
    /// Appends the samples of a chunk.
    fn decode(&mut self, min: i64, wire: &thanos::Chunk) -> Result<(), AnswerError> {
        let broken = |labels: &Labels, source| AnswerError::Chunk {
            labels: labels.clone(),
            min,
            source,
        };
        let encoding = match chunk::Encoding::try_from(wire.r#type) {
            Ok(chunk::Encoding::Xor) => {
                let mut floats = Floats::default();
                decode_xor(&wire.data, &mut floats).map_err(|e| broken(&self.labels, e))?;
                let values = floats.values.into_iter();
                let samples = floats.timestamps.into_iter().zip(values);
                let samples = samples.filter(|(_, value)| value.to_bits() != STALE_NAN);
                self.samples
                    .extend(samples.map(|(time, value)| (time, Value::Float(value))));
                return Ok(());
            }
            Ok(chunk::Encoding::Histogram) => Encoding::Histogram,
            Ok(chunk::Encoding::FloatHistogram) => Encoding::FloatHistogram,
            Err(_) => {
                return Err(AnswerError::Encoding {
                    labels: self.labels.clone(),
                    min,
                    found: wire.r#type,
                });
            }
        };
        let samples =
            decode_histograms(encoding, &wire.data).map_err(|e| broken(&self.labels, e))?;
        let samples = samples
            .iter()
            .filter(|(_, histogram)| !histogram.is_stale());
        self.samples
            .extend(samples.map(|(time, histogram)| (time.0, value(histogram))));
        Ok(())
    }

    /// Sorts the samples; overlapping blocks may both have sent one. A series without a sample in the range is left
    /// out.
    fn finish(mut self, range: TimeRange) -> Option<Self> {
        let had_samples = !self.samples.is_empty();
        self.samples
            .retain(|(time, _)| range.min.0 <= *time && *time <= range.max.0);
        if had_samples && self.samples.is_empty() {
            return None;
        }
        self.samples.sort_by_key(|(time, _)| *time);
        self.samples.dedup_by_key(|(time, _)| *time);
        Some(self)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown, and only beyond 2^53 not to the last digit"
)]
fn value(histogram: &Histogram) -> Value {
    let count = match &histogram.counts {
        HistogramCounts::Integer(counts) => counts.count as f64,
        HistogramCounts::Float(counts) => counts.count,
    };
    Value::Histogram {
        count,
        sum: histogram.sum,
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use proto::thanos::{AggrChunk, SeriesBatch};
    use tsdb::encode_xor;

    use super::*;

    fn wire(name: &str, chunks: &[(i64, &[f64])]) -> thanos::Series {
        let chunks = chunks.iter().map(|(start, values)| {
            let times: Vec<i64> = (*start..).take(values.len()).collect();
            AggrChunk {
                min_time: *start,
                max_time: *times.last().unwrap(),
                raw: Some(thanos::Chunk {
                    r#type: chunk::Encoding::Xor.into(),
                    data: encode_xor(&times, values),
                    hash: 0,
                }),
                ..AggrChunk::default()
            }
        });
        thanos::Series {
            labels: proto::wire_labels(&Labels::from_pairs([("__name__", name)])),
            chunks: chunks.collect(),
        }
    }

    fn frame(result: Frame) -> SeriesResponse {
        SeriesResponse {
            result: Some(result),
        }
    }

    /// The events of an answer, as text.
    fn told(frames: Vec<Frame>) -> Vec<String> {
        told_of(TimeRange::ALL, frames)
    }

    fn told_of(range: TimeRange, frames: Vec<Frame>) -> Vec<String> {
        let mut answer = Answer::new(range);
        let mut events = Vec::new();
        for one in frames {
            events.extend(answer.take(frame(one)).unwrap());
        }
        events.extend(answer.finish());
        let text = |event| match event {
            Event::Warning(text) => text,
            Event::Series(Series { labels, samples }) => {
                let sample = |(time, value)| match value {
                    Value::Float(value) => format!(" {time}:{value}"),
                    Value::Histogram { count, sum } => format!(" {time}:{count}/{sum}"),
                };
                labels.to_string() + &samples.into_iter().map(sample).collect::<String>()
            }
        };
        events.into_iter().map(text).collect()
    }

    #[test]
    fn only_samples_of_the_range_are_shown_both_ends_included() {
        let frames = || {
            vec![
                Frame::Series(wire("a", &[(10, &[1.0, 2.0, 3.0, 4.0, 5.0])])),
                Frame::Series(wire("b", &[(13, &[6.0, 7.0])])),
            ]
        };
        let range = |min, max| TimeRange {
            min: Timestamp(min),
            max: Timestamp(max),
        };
        assert_eq!(
            told_of(range(11, 12), frames()),
            [r#"{__name__="a"} 11:2 12:3"#]
        );
        assert_eq!(
            told_of(range(13, 13), frames()),
            [r#"{__name__="a"} 13:4"#, r#"{__name__="b"} 13:6"#]
        );
        assert!(told_of(range(0, 9), frames()).is_empty());
    }

    #[test]
    fn a_series_in_several_frames_is_one() {
        let told = told(vec![
            Frame::Series(wire("a", &[(10, &[1.0, 2.0])])),
            Frame::Warning("a block is missing".to_owned()),
            Frame::Batch(SeriesBatch {
                series: vec![wire("a", &[(20, &[3.0])]), wire("b", &[(10, &[4.0])])],
            }),
        ]);
        assert_eq!(
            told,
            [
                "a block is missing",
                r#"{__name__="a"} 10:1 11:2 20:3"#,
                r#"{__name__="b"} 10:4"#,
            ]
        );
    }

    #[test]
    fn samples_that_come_twice_count_once_and_stale_marks_never() {
        let stale = f64::from_bits(STALE_NAN);
        let told = told(vec![Frame::Series(wire(
            "a",
            &[(10, &[1.0, 2.0, stale]), (9, &[0.0, 1.0, 2.0])],
        ))]);
        assert_eq!(told, [r#"{__name__="a"} 9:0 10:1 11:2"#]);
    }

    #[test]
    fn chunks_without_raw_samples_are_told_of_once() {
        let mut series = wire("a", &[(10, &[1.0]), (20, &[2.0])]);
        for chunk in &mut series.chunks {
            chunk.count = chunk.raw.take();
        }
        let told = told(vec![Frame::Series(series)]);
        assert_eq!(
            told,
            [
                "some chunks hold aggregates of samples, which are not shown",
                r#"{__name__="a"}"#,
            ]
        );
    }

    #[test]
    fn a_chunk_that_does_not_decode_is_told_with_its_series() {
        let mut series = wire("a", &[(10, &[1.0])]);
        let raw = series.chunks[0].raw.as_mut().unwrap();
        raw.data = raw.data.slice(..3);
        let error = Answer::new(TimeRange::ALL)
            .take(frame(Frame::Series(series.clone())))
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("series {__name__=\"a\"}: chunk from 10: "),
            "{error}"
        );
        series.chunks[0].raw.as_mut().unwrap().r#type = 7;
        let error = Answer::new(TimeRange::ALL)
            .take(frame(Frame::Series(series)))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("unknown encoding 7, expected 0 to 2"),
            "{error}"
        );
    }
}
