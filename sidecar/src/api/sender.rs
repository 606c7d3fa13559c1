//! The series that are sent, within the limits of a request.

use model::Labels;
use proto::thanos::SeriesRequest;
use series::{AnswerPart, Series, Shard};

use super::order::Chunks;
use crate::{Limits, error::AnswerError, metrics::ServeMetrics, recent::Recent};

/// How many samples a chunk counts for.
const SAMPLES_PER_CHUNK: u64 = 120;

/// Takes series in order, and gives those that are sent, within the limits.
pub(super) struct Sender {
    /// Whether labels are enough.
    skip_chunks: bool,
    shard: Option<Shard>,
    limits: Limits,
    pub(super) metrics: ServeMetrics,
    /// The most series of the answer.
    most: u64,
    series: u64,
    chunks: u64,
    /// The labels of the last sent series.
    last: Option<Labels>,
}

impl Sender {
    pub(super) fn new(wire: &SeriesRequest, recent: &Recent) -> Self {
        Self {
            skip_chunks: wire.skip_chunks,
            shard: wire.shard_info.as_ref().and_then(proto::shard),
            limits: recent.limits,
            metrics: recent.metrics.clone(),
            most: match u64::try_from(wire.limit) {
                Ok(0) | Err(_) => u64::MAX,
                Ok(most) => most,
            },
            series: 0,
            chunks: 0,
            last: None,
        }
    }

    /// Whether enough series were sent. More parts of the last one may follow, and are not sent.
    pub(super) const fn is_full(&self) -> bool {
        self.series > self.most
    }

    fn within_series(&self) -> Result<(), AnswerError> {
        let (limit, got) = (self.limits.request_series, self.series);
        if limit == 0 || got <= limit {
            return Ok(());
        }
        self.metrics.dropped("series");
        let name = "store.limits.request-series";
        Err(AnswerError::Limit { name, limit, got })
    }

    fn within_samples(&self) -> Result<(), AnswerError> {
        let got = self.chunks.saturating_mul(SAMPLES_PER_CHUNK);
        let limit = self.limits.request_samples;
        if limit == 0 || got <= limit {
            return Ok(());
        }
        self.metrics.dropped("chunks");
        let name = "store.limits.request-samples";
        Err(AnswerError::Limit { name, limit, got })
    }

    /// The part of the answer that the next series are.
    pub(super) fn part(
        &mut self,
        series: Vec<(Labels, Chunks)>,
    ) -> Result<AnswerPart, AnswerError> {
        let mut sent: Vec<Series> = Vec::with_capacity(series.len());
        for (labels, mut chunks) in series {
            let last = sent.last().map(|one| &one.labels).or(self.last.as_ref());
            let is_new = last != Some(&labels);
            if self.skip_chunks {
                if !is_new {
                    continue;
                }
                chunks = Chunks::new();
            }
            if self
                .shard
                .as_ref()
                .is_some_and(|shard| !shard.holds(&labels))
            {
                continue;
            }
            if is_new {
                self.series += 1;
                if self.is_full() {
                    break;
                }
                self.within_series()?;
            }
            self.chunks += chunks.len() as u64;
            self.within_samples()?;
            sent.push(Series { labels, chunks });
        }
        if let Some(last) = sent.last() {
            self.last = Some(last.labels.clone());
        }
        Ok(AnswerPart::Series(sent))
    }
}
