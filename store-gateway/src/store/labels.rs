//! The answers to requests for names and values of labels.

use std::{collections::BTreeSet, sync::Arc};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use model::{AggregateSet, BlockId};
use service::{in_span, span};

use super::{Store, context::RequestContext};
use crate::{
    block::{BlockOrder, BlockQuery, BlockReader},
    error::{AnswerError, SeriesError},
    request::{NamesRequest, Selector, ValuesRequest},
    select::{self, Chosen},
};

/// Names or values of labels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelsAnswer {
    /// Sorted.
    pub(crate) texts: Vec<Vec<u8>>,
    /// Texts about what is missing.
    pub(crate) warnings: Vec<String>,
    /// The queried blocks.
    pub(crate) blocks: Vec<BlockId>,
}

/// The answer of one block.
type Said = BoxFuture<'static, Result<Vec<Vec<u8>>, SeriesError>>;

impl Store {
    /// The label names of the selected series.
    pub(crate) async fn label_names(
        &self,
        request: &NamesRequest,
    ) -> Result<LabelsAnswer, AnswerError> {
        let selector = &request.selector;
        let mut answer = self
            .ask_each(selector, |chosen, context| {
                names_of(chosen, context).boxed()
            })
            .await?;
        answer.texts.retain(|name| !selector.without.contains(name));
        answer.texts.truncate(most(selector));
        Ok(answer)
    }

    /// The values of a label in the selected series.
    pub(crate) async fn label_values(
        &self,
        request: &ValuesRequest,
    ) -> Result<LabelsAnswer, AnswerError> {
        let (label, selector) = (&request.label, &request.selector);
        if selector.without.contains(label.as_bytes()) {
            return Ok(LabelsAnswer::default());
        }
        let mut answer = self
            .ask_each(selector, |chosen, context| {
                values_of(label.clone(), chosen, context).boxed()
            })
            .await?;
        answer.texts.truncate(most(selector));
        Ok(answer)
    }

    /// Queries all blocks and merges their answers.
    async fn ask_each(
        &self,
        selector: &Selector,
        ask: impl Fn(Chosen, RequestContext) -> Said + Send,
    ) -> Result<LabelsAnswer, AnswerError> {
        let served = self.served()?;
        let catalog = &served.catalog;
        let selector = &selector.within(catalog.bounds(self.now()));
        let chosen = select::for_labels(catalog, selector);
        let context = self.request_context(chosen.len()).await?;
        let missing = select::missing(catalog, selector, i64::MAX);
        let missing = context.warning_of_missing(&missing, selector.on_failure)?;
        let blocks = chosen.iter().map(|c| c.block.id).collect();
        let asked = chosen.into_iter().map(|one| {
            let id = one.block.id;
            let span = span!("bucket_store_block_labels", block.id = %id);
            let asked = in_span(span, ask(one, context.clone()));
            let pool = context.pool.clone();
            async move { (id, pool.begin(asked).await) }
        });
        let mut said =
            stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(context.concurrency);
        let (mut texts, mut warnings) = (BTreeSet::new(), Vec::from_iter(missing));
        while let Some((id, said)) = said.next().await {
            match said {
                Ok(some) => texts.extend(some),
                Err(source) => {
                    let error = AnswerError::Block {
                        id,
                        source: Box::new(source),
                    };
                    warnings.push(context.warning(error, selector.on_failure)?);
                }
            }
        }
        Ok(LabelsAnswer {
            texts: texts.into_iter().collect(),
            warnings,
            blocks,
        })
    }
}

fn most(selector: &Selector) -> usize {
    match selector.limit {
        0 => usize::MAX,
        limit => limit,
    }
}

async fn names_of(chosen: Chosen, context: RequestContext) -> Result<Vec<Vec<u8>>, SeriesError> {
    let reader = context.open(&chosen.block).await?;
    let (matchers, budget) = (Arc::clone(&chosen.matchers), Arc::clone(&context.budget));
    let mut names = reader.label_names(matchers, chosen.range, budget).await?;
    // If no series matches, no series has the external labels.
    if chosen.matchers.is_empty() || !names.is_empty() {
        let external = chosen.block.labels.iter();
        names.extend(external.map(|(name, _)| name.to_owned()));
    }
    Ok(names)
}

async fn values_of(
    label: String,
    chosen: Chosen,
    context: RequestContext,
) -> Result<Vec<Vec<u8>>, SeriesError> {
    let external = chosen.block.labels.get(&label);
    if let (Some(value), true) = (external, chosen.matchers.is_empty()) {
        return Ok(vec![value.to_owned()]);
    }
    let reader = context.open(&chosen.block).await?;
    if let Some(value) = external {
        let some = has_series(&reader, &chosen, &context).await?;
        return Ok(some.then(|| value.to_owned()).into_iter().collect());
    }
    let (matchers, budget) = (Arc::clone(&chosen.matchers), Arc::clone(&context.budget));
    Ok(reader
        .label_values(&label, matchers, chosen.range, budget)
        .await?)
}

/// Whether any series matches.
async fn has_series(
    reader: &BlockReader,
    chosen: &Chosen,
    context: &RequestContext,
) -> Result<bool, SeriesError> {
    let query = BlockQuery {
        matchers: Arc::clone(&chosen.matchers),
        range: chosen.range,
        aggregates: AggregateSet::default(),
        skip_chunks: true,
        limit: 1,
        order: BlockOrder::Stored,
    };
    let mut series = std::pin::pin!(reader.series(query, Arc::clone(&context.budget)));
    while let Some(batch) = series.next().await {
        if !batch?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
