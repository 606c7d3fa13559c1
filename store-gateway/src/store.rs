//! Answers requests from the served blocks.

mod answer;
mod block_stream;
mod context;
mod gate;
mod labels;

use std::sync::Arc;

use futures::Stream;
use model::{Resolution, Timestamp};
use series::AnswerPart;
use service::{Clock, CpuPool, in_span, span};
use tokio::sync::watch;

pub(crate) use self::labels::LabelsAnswer;
use self::{answer::Answer, context::RequestContext, gate::Gate};
use crate::{
    block::{BlockCache, BlockSource},
    budget::RequestBudget,
    catalog::Rules,
    config::{Config, Deps, Limits},
    error::AnswerError,
    memory::Memory,
    metrics::{Cost, GateMetrics, MemoryMetrics, StoreMetrics},
    request::SeriesRequest,
    select,
    sync::{Advertised, Served},
};

/// Answers requests. Clones share everything.
#[derive(Clone)]
pub(crate) struct Store {
    served: watch::Receiver<Option<Arc<Served>>>,
    /// Gives the served times before the first synchronization.
    rules: Rules,
    clock: Arc<dyn Clock>,
    blocks: Arc<BlockCache>,
    pool: CpuPool,
    limits: Limits,
    concurrency: usize,
    gate: Option<Gate>,
    memory: Memory,
    metrics: StoreMetrics,
}

impl Store {
    pub(crate) fn new(
        config: &Config,
        source: BlockSource,
        deps: &Deps,
        metrics: StoreMetrics,
        served: watch::Receiver<Option<Arc<Served>>>,
    ) -> Self {
        let gate = GateMetrics::new(&deps.metrics);
        Self {
            served,
            rules: Rules::from(config),
            clock: Arc::clone(&deps.clock),
            blocks: Arc::new(BlockCache::new(source, config.memory.opened_blocks())),
            pool: deps.pool.clone(),
            limits: config.limits,
            concurrency: config.block_concurrency.max(1),
            gate: (config.series_concurrency > 0)
                .then(|| Gate::new(config.series_concurrency, config.series_wait, gate)),
            memory: Memory::new(
                config.request_bytes(),
                config.series_wait,
                MemoryMetrics::new(&deps.metrics),
            ),
            metrics,
        }
    }

    /// What is served now.
    pub(crate) fn served(&self) -> Result<Arc<Served>, AnswerError> {
        self.served.borrow().clone().ok_or(AnswerError::NotReady)
    }

    /// What the info API advertises now.
    pub(crate) fn advertised(&self) -> Advertised {
        let now = self.now();
        let served = self.served.borrow().clone();
        let unknown = || Advertised::unknown(self.rules.bounds(now));
        served.map_or_else(unknown, |served| served.advertised(now))
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }

    /// The requested series, as messages that `encode` makes. Waits until the gate lets the request in.
    pub(crate) async fn series<T, E>(
        &self,
        request: &SeriesRequest,
        encode: E,
    ) -> Result<impl Stream<Item = Result<T, AnswerError>> + Send + use<T, E>, AnswerError>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T> + Send + Sync + 'static,
    {
        let permit = match &self.gate {
            Some(gate) => Some(in_span(span!("store_query_gate_ismyturn"), gate.enter()).await?),
            None => None,
        };
        let served = self.served()?;
        let (catalog, coarsest) = (&served.catalog, request.max_resolution);
        let selector = request.selector.within(catalog.bounds(self.now()));
        let chosen = select::for_series(catalog, &selector, coarsest);
        let context = self.request_context(chosen.len()).await?;
        let cost = Cost::begin(self.metrics.clone(), Arc::clone(&context.budget));
        let missing = select::missing(catalog, &selector, coarsest);
        let missing = context.warning_of_missing(&missing, selector.on_failure)?;
        if request.aggregates.is_empty()
            && !request.skip_chunks
            && let Some(one) = chosen
                .iter()
                .find(|one| one.block.meta.resolution() != Resolution::Raw)
        {
            let text = format!(
                "aggregates: expected one that the downsampled block {} holds, found only RAW",
                one.block.id
            );
            return Err(AnswerError::Invalid(text));
        }
        self.metrics.blocks_queried(chosen.len());
        let answer = Answer::new(chosen, request, context, cost, permit, encode);
        Ok(answer.warned(missing).messages())
    }

    /// For a request that reads so many blocks, once there is memory for it.
    async fn request_context(&self, blocks: usize) -> Result<RequestContext, AnswerError> {
        let memory = self.memory.enter(blocks).await?;
        Ok(RequestContext {
            blocks: Arc::clone(&self.blocks),
            pool: self.pool.clone(),
            budget: RequestBudget::new(self.limits, memory),
            concurrency: self.concurrency,
            metrics: self.metrics.clone(),
        })
    }
}
