//! What one request needs to read blocks.

use std::sync::Arc;

use service::CpuPool;

use crate::{
    block::{BlockCache, BlockReader},
    budget::RequestBudget,
    catalog::{CatalogBlock, Missing},
    error::{AnswerError, BlockError},
    metrics::StoreMetrics,
    request::OnFailure,
};

/// What one request needs to get at blocks.
#[derive(Clone)]
pub(super) struct RequestContext {
    pub(super) blocks: Arc<BlockCache>,
    pub(super) pool: CpuPool,
    /// What the request may still cost.
    pub(super) budget: Arc<RequestBudget>,
    /// Blocks that are asked at once.
    pub(super) concurrency: usize,
    pub(super) metrics: StoreMetrics,
}

impl RequestContext {
    /// A reader of the block, which others may use at the same time.
    pub(super) async fn open(&self, block: &Arc<CatalogBlock>) -> Result<BlockReader, BlockError> {
        self.blocks.get(block).await.inspect_err(|_| {
            self.metrics.block_load_failures.inc();
        })
    }

    /// What the client is told about blocks that are missing, if there are any and the others may answer; the error if
    /// not.
    pub(super) fn warning_of_missing(
        &self,
        missing: &[&Missing],
        on_failure: OnFailure,
    ) -> Result<Option<String>, AnswerError> {
        let error = missing.first().map(|first| AnswerError::Missing {
            count: missing.len(),
            reason: first.reason.clone(),
        });
        error
            .map(|error| self.warning(error, on_failure))
            .transpose()
    }

    /// What the client is told about a block that failed, if the others may answer without it; the error if not.
    pub(super) fn warning(
        &self,
        error: AnswerError,
        on_failure: OnFailure,
    ) -> Result<String, AnswerError> {
        if let Some(limit) = error.limit() {
            self.metrics.dropped(limit);
        }
        if on_failure == OnFailure::Abort || !error.concerns_one_block() {
            return Err(error);
        }
        tracing::warn!(%error, "an answer is not whole");
        Ok(error.to_string())
    }
}
