//! Reads the blocks of a bucket within this process, without a server. Answers are those of a gateway.

use std::collections::BTreeSet;

use bucket::Bucket;
use futures::{StreamExt as _, future::BoxFuture, stream::BoxStream};
use model::{AggregateSet, Matcher, Resolution, TimeRange, Timestamp};
use series::{AnswerPart, Series};

use crate::{
    Config, Deps, GatewayError,
    error::AnswerError,
    request::{NamesRequest, OnFailure, Selector, SeriesRequest},
    run::assemble,
    store::Store,
};

/// A reader of the blocks that the bucket held when it was opened.
pub struct Reader {
    store: Store,
}

/// Series in batches, in order. An error is the last item.
pub type SeriesStream = BoxStream<'static, Result<Vec<Series>, GatewayError>>;

/// Which series are read.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// All must match the labels of a series, external ones included.
    pub matchers: Vec<Matcher>,
    /// Both ends are inclusive, in ms. Chunks that overlap an end are given whole.
    pub range: TimeRange,
    /// All must match a block's external labels and its `__block_id`.
    pub block_matchers: Vec<Matcher>,
    /// The coarsest resolution. Times that it does not cover are read from a finer one.
    pub resolution: Resolution,
    /// Whether chunks are read or only labels.
    pub chunks: Chunks,
}

/// Whether chunks are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunks {
    /// Labels and chunks.
    Read,
    /// Only labels.
    Skip,
}

impl Reader {
    /// Synchronizes with the bucket. Metadata that cannot be read is tried again a few times; a request that may need
    /// what is still missing fails.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub fn open<'a>(
        config: &'a Config,
        bucket: Bucket,
        deps: &'a Deps,
    ) -> BoxFuture<'a, Result<Self, GatewayError>> {
        Box::pin(async move {
            let (store, mut syncer, _) = assemble(config, bucket, deps);
            let looked = syncer.look().await;
            looked.map_err(|error| GatewayError::Sync {
                reason: error.to_string(),
            })?;
            Ok(Self { store })
        })
    }

    /// The time range of all blocks, both ends inclusive; `None` if there is no block.
    #[must_use]
    pub fn range(&self) -> Option<TimeRange> {
        let extent = self.store.advertised().extent;
        (extent.min < extent.max).then(|| TimeRange {
            min: extent.min,
            max: Timestamp(extent.max.0.saturating_sub(1)),
        })
    }

    /// The names of all labels that the series have.
    ///
    /// # Errors
    /// When a block that the request may need cannot be read.
    pub fn label_names<'a>(
        &'a self,
        request: &'a ReadRequest,
    ) -> BoxFuture<'a, Result<Vec<Vec<u8>>, GatewayError>> {
        Box::pin(async move {
            let selector = request.selector();
            let answer = self.store.label_names(&NamesRequest { selector }).await;
            let answer = answer.map_err(|error| of(&error))?;
            match answer.warnings.into_iter().next() {
                Some(reason) => Err(GatewayError::Read { reason }),
                None => Ok(answer.texts),
            }
        })
    }

    /// The series in the order of their labels, each once over all blocks, with the chunks that overlap the range in
    /// the order of their times. Chunks of two blocks may overlap; of chunks with the same bytes, one is given.
    ///
    /// # Errors
    /// The call and each item, when a block that the request may need cannot be read. An error is the last item.
    pub fn series<'a>(
        &'a self,
        request: &'a ReadRequest,
    ) -> BoxFuture<'a, Result<SeriesStream, GatewayError>> {
        let request = SeriesRequest {
            selector: request.selector(),
            max_resolution: request.resolution.millis(),
            aggregates: AggregateSet::ALL,
            skip_chunks: request.chunks == Chunks::Skip,
            shard: None,
        };
        let encode = |part| match part {
            AnswerPart::Series(series) => vec![Ok(series)],
            AnswerPart::Warning(reason) => vec![Err(GatewayError::Read { reason })],
        };
        Box::pin(async move {
            let answer = self.store.series(&request, encode).await;
            let answer = answer.map_err(|error| of(&error))?;
            let parts = answer.map(|part| part.map_err(|error| of(&error)).flatten());
            Ok(parts.boxed())
        })
    }
}

impl ReadRequest {
    fn selector(&self) -> Selector {
        Selector {
            matchers: self.matchers.clone(),
            range: self.range,
            block_matchers: self.block_matchers.clone(),
            without: BTreeSet::new(),
            limit: 0,
            on_failure: OnFailure::Abort,
        }
    }
}

fn of(error: &AnswerError) -> GatewayError {
    GatewayError::Read {
        reason: error.to_string(),
    }
}
