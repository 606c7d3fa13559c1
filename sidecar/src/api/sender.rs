//! Makes messages of series, within the limits of a request.

use model::Labels;
use proto::thanos::{self, SeriesRequest, SeriesResponse};
use series::Shard;

use super::order::Chunks;
use crate::{Limits, error::AnswerError, metrics::ServeMetrics, recent::Recent};

/// How many samples a chunk counts for.
const SAMPLES_PER_CHUNK: u64 = 120;

/// Makes messages of series in order, within the limits.
pub(super) struct Sender {
    batch_size: i64,
    /// Labels are enough.
    skip_chunks: bool,
    shard: Option<Shard>,
    limits: Limits,
    pub(super) metrics: ServeMetrics,
    /// The most series wanted.
    most: u64,
    series: u64,
    chunks: u64,
    /// The labels of the series that was sent last.
    last: Option<Labels>,
}

impl Sender {
    pub(super) fn new(wire: &SeriesRequest, recent: &Recent) -> Self {
        Self {
            batch_size: wire.response_batch_size,
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

    /// Whether as many series were sent as are wanted. Parts of the last one may still come, and are not sent.
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

    /// Messages of the next series.
    pub(super) fn messages(
        &mut self,
        series: Vec<(Labels, Chunks)>,
    ) -> Result<Vec<SeriesResponse>, AnswerError> {
        let mut wire = Vec::with_capacity(series.len());
        for (labels, mut chunks) in series {
            if self.skip_chunks {
                if self.last.as_ref() == Some(&labels) {
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
            if self.last.as_ref() != Some(&labels) {
                self.series += 1;
                if self.is_full() {
                    break;
                }
                self.within_series()?;
            }
            self.chunks += chunks.len() as u64;
            self.within_samples()?;
            wire.push(thanos::Series {
                labels: proto::wire_labels(&labels),
                chunks,
            });
            self.last = Some(labels);
        }
        Ok(proto::series_messages(wire, self.batch_size))
    }
}
