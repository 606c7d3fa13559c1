//! Series: read from Prometheus, and sent as they arrive.
//!
//! A part of the answer is taken as soon as it is there, made into messages on the pool, and sent; the next part is
//! read when the client has taken that. At any time one part is held, and the series that wait to be sorted. An answer
//! in samples waits as a whole.

use std::{collections::BTreeSet, mem, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use model::{Labels, Matcher, TimeRange, Timestamp};
use proto::thanos::SeriesRequest;
use reqwest::{Response, header::CONTENT_TYPE};
use series::{AnswerPart, FinalLabels, OrderError};
use tokio::{
    sync::OwnedSemaphorePermit,
    task,
    time::{self, Instant},
};

use super::{
    Answer,
    labels::matchers,
    order::{Chunks, Order, SORT_BYTES},
    read, samples,
    sender::Sender,
    status,
};
use crate::{
    SidecarError,
    error::{AnswerError, ReadError},
    prometheus::{FrameDecoder, FrameError},
    recent::{Recent, Selection, own_matchers},
    view::View,
};

/// The most bytes of an answer that are taken at once.
const PART: usize = 1 << 20;
/// How long bytes gather in the connection before more are taken, unless many come at a time.
///
/// Prometheus sends each series by itself. Taking a few hundred bytes at a time, every one costs several switches
/// between threads: more CPU than all the rest.
const GATHER: Duration = Duration::from_millis(8);
/// Which part of the time that an answer has taken so far bytes may gather: a short answer is not delayed.
const GATHER_SHARE: u32 = 10;
/// Less than the timer can tell apart.
const GATHER_LEAST: Duration = Duration::from_millis(1);
/// So many bytes at a time need not gather.
const ENOUGH: usize = 128 << 10;
const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
const SAMPLED: &str = "application/x-protobuf";

/// Answers a request for series. `encode` makes messages of the parts of the answer, on the pool.
pub(super) async fn series<T, E>(
    recent: &Recent,
    wire: SeriesRequest,
    encode: E,
) -> Result<Answer<T>, AnswerError>
where
    T: Send + 'static,
    E: Fn(AnswerPart) -> Vec<T> + Send + 'static,
{
    let matchers = matchers(&wire.matchers)?;
    let view = recent.view()?;
    let Some(matchers) = own_matchers(&view, matchers) else {
        return Ok(stream::empty().boxed());
    };
    if matchers.is_empty() {
        let text = "no matchers specified (excluding external labels)";
        return Err(AnswerError::Invalid(text.to_owned()));
    }
    let selection = Selection {
        matchers,
        range: TimeRange {
            min: Timestamp(wire.min_time).max(recent.min_time(&view)),
            max: Timestamp(wire.max_time),
        },
        // A limit below 1 is no limit.
        limit: usize::try_from(wire.limit).unwrap_or(0),
    };
    if selection.is_empty() {
        return Ok(stream::empty().boxed());
    }
    let place = recent.enter().await?;
    let without = wire.without_replica_labels.iter();
    let without = without.map(|name| name.clone().into_bytes());
    let without: BTreeSet<Vec<u8>> = without.collect();
    let sender = Sender::new(&wire, recent);
    // Prometheus's API refuses to select series only by labels that they lack; a remote read does not.
    let is_for_api = !selection.matchers.iter().all(Matcher::matches_empty);
    if wire.skip_chunks && is_for_api {
        // If some are left out or merged here, more of Prometheus's are needed for as many.
        let all_are_sent = wire.shard_info.is_none() && !without.iter().any(|n| view.may_have(n));
        let selection = Selection {
            limit: if all_are_sent { selection.limit } else { 0 },
            ..selection
        };
        return label_sets(recent, &view, &selection, &without, sender, encode).await;
    }
    let request = read::request(&selection.matchers, selection.range);
    let response = recent.prometheus.read(request).await;
    let response = response.map_err(ReadError::Peer)?;
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|k| k.to_str().ok()).unwrap_or_default();
    if kind.starts_with(STREAMED) {
        let reading = Reading {
            recent: recent.clone(),
            begun: Instant::now(),
            last_part: 0,
            response,
            work: Some(Work {
                url: recent.prometheus.read_url(),
                decoder: FrameDecoder::default(),
                order: Order::new(&view, &without, recent.limits.request_sort_bytes),
                external: view.labels,
                sender,
                encode,
            }),
            _place: place,
        };
        return Ok(reading.messages());
    }
    if kind.starts_with(SAMPLED) {
        let most = recent.limits.request_sort_bytes;
        let body = whole(response, &recent.prometheus.read_url(), most).await?;
        return sampled(recent, view, body, without, sender, encode).await;
    }
    Err(AnswerError::Read(ReadError::ContentType {
        url: recent.prometheus.read_url(),
        found: kind.to_owned(),
    }))
}

/// Series with labels only.
async fn label_sets<T, E>(
    recent: &Recent,
    view: &View,
    selection: &Selection,
    without: &BTreeSet<Vec<u8>>,
    mut sender: Sender,
    encode: E,
) -> Result<Answer<T>, AnswerError>
where
    T: Send + 'static,
    E: Fn(AnswerPart) -> Vec<T> + Send + 'static,
{
    let (sets, warnings) = recent.series(selection).await?;
    let labels = FinalLabels::new(&view.labels, without);
    let messages = recent.pool.run(move || {
        let mut sets: Vec<Labels> = sets.into_iter().map(|own| labels.apply(own)).collect();
        sets.sort_unstable();
        sets.dedup();
        let series = sender.part(sets.into_iter().map(|set| (set, Chunks::new())).collect())?;
        let parts = warnings
            .into_iter()
            .map(AnswerPart::Warning)
            .chain([series]);
        Ok::<_, AnswerError>(parts.flat_map(encode).map(Ok).collect::<Vec<_>>())
    });
    Ok(stream::iter(messages.await?).boxed())
}

/// A whole answer of samples. Its server may sort them in any way, so all of them wait to be sorted.
async fn sampled<T, E>(
    recent: &Recent,
    view: View,
    body: Vec<u8>,
    without: BTreeSet<Vec<u8>>,
    mut sender: Sender,
    encode: E,
) -> Result<Answer<T>, AnswerError>
where
    T: Send + 'static,
    E: Fn(AnswerPart) -> Vec<T> + Send + 'static,
{
    let url = recent.prometheus.read_url();
    let most = recent.limits.request_sort_bytes;
    let made = recent.pool.run(move || {
        let content = |reason| ReadError::Content {
            url: url.clone(),
            place: "samples".to_owned(),
            reason,
        };
        let bytes = samples::decompressed_length(&body).map_err(content)?;
        if bytes > most {
            return Err(too_large(&url, most, bytes).into());
        }
        let series = samples::series(&body, &view.labels).map_err(content)?;
        let mut order = Order::of_unsorted(FinalLabels::new(&view.labels, &without));
        let unsorted = |source| ReadError::Order {
            url: url.clone(),
            source,
        };
        let mut sorted = order.push(series).map_err(unsorted)?;
        sorted.append(&mut order.finish().map_err(unsorted)?);
        let messages = encode(sender.part(sorted)?);
        Ok::<_, AnswerError>(messages.into_iter().map(Ok).collect::<Vec<_>>())
    });
    Ok(stream::iter(made.await?).boxed())
}

async fn whole(mut response: Response, url: &str, most: usize) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|e| cut(url, e))? {
        if body.len() + part.len() > most {
            return Err(too_large(url, most, body.len() + part.len()));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn too_large(url: &str, limit: usize, found: usize) -> ReadError {
    ReadError::TooLarge {
        url: url.to_owned(),
        name: SORT_BYTES,
        limit,
        found,
    }
}

fn cut(url: &str, source: reqwest::Error) -> ReadError {
    ReadError::Peer(SidecarError::Http {
        url: url.to_owned(),
        source: source.without_url(),
    })
}

/// A streamed answer being read.
struct Reading<E> {
    recent: Recent,
    response: Response,
    /// When the answer began to come.
    begun: Instant,
    /// The bytes that were taken last.
    last_part: usize,
    /// `None` once the answer has ended.
    work: Option<Work<E>>,
    _place: Option<OwnedSemaphorePermit>,
}

/// The work on the pool.
struct Work<E> {
    url: String,
    decoder: FrameDecoder,
    order: Order,
    external: Labels,
    sender: Sender,
    encode: E,
}

impl<E: Send + 'static> Reading<E> {
    fn messages<T>(self) -> Answer<T>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T>,
    {
        let steps = stream::try_unfold(self, |mut reading| async move {
            match reading.next().await {
                Ok(Some(messages)) => {
                    let messages = stream::iter(messages.into_iter().map(Ok));
                    Ok(Some((messages, reading)))
                }
                Ok(None) => Ok(None),
                Err(error) => {
                    if let AnswerError::Read(ReadError::Order {
                        source: OrderError::Unsorted { .. },
                        ..
                    }) = &error
                    {
                        // Its labels have changed.
                        reading.recent.outdated();
                    }
                    Err(status::of(&error))
                }
            }
        });
        steps.try_flatten().boxed()
    }

    /// The next messages; `None` at the end.
    async fn next<T>(&mut self) -> Result<Option<Vec<T>>, AnswerError>
    where
        T: Send + 'static,
        E: Fn(AnswerPart) -> Vec<T>,
    {
        while let Some(work) = self.work.take() {
            let (parts, ended) = self.part(&work.url).await?;
            let (work, messages) = self
                .recent
                .pool
                .run(move || work.take(parts, ended))
                .await?;
            self.work = work;
            if self.work.is_none() {
                // Nothing more is read.
                return Ok((!messages.is_empty()).then_some(messages));
            }
            if !messages.is_empty() {
                return Ok(Some(messages));
            }
        }
        Ok(None)
    }

    /// The bytes of the answer at hand, at least one, and whether these are all.
    async fn part(&mut self, url: &str) -> Result<(Vec<Bytes>, bool), ReadError> {
        let mut parts = Vec::new();
        let mut size = 0;
        let gather = GATHER.min(self.begun.elapsed() / GATHER_SHARE);
        if self.last_part < ENOUGH && gather >= GATHER_LEAST {
            time::sleep(gather).await;
        }
        let mut next = self.response.chunk().await.map_err(|e| cut(url, e))?;
        while let Some(part) = next {
            size += part.len();
            parts.push(part);
            self.last_part = size;
            if size >= PART {
                return Ok((parts, false));
            }
            next = tokio::select! {
                biased;
                next = self.response.chunk() => next.map_err(|e| cut(url, e))?,
                () = turns() => return Ok((parts, false)),
            };
        }
        Ok((parts, true))
    }
}

/// Gives the task that reads the connection its turns: after those, what was received is there.
async fn turns() {
    task::yield_now().await;
    task::yield_now().await;
}

impl<E> Work<E> {
    /// Makes messages of the next part of the answer; returns itself unless it wants no more.
    fn take<T>(
        mut self,
        parts: Vec<Bytes>,
        ended: bool,
    ) -> Result<(Option<Self>, Vec<T>), AnswerError>
    where
        E: Fn(AnswerPart) -> Vec<T>,
    {
        let mut sorted = Vec::new();
        for part in parts {
            self.decoder.push(&part);
            while let Some(frame) = self.decoder.next_frame().map_err(|e| self.broken(e))? {
                let series =
                    read::series(frame, &self.external).map_err(|reason| ReadError::Content {
                        url: self.url.clone(),
                        place: read::place(&self.decoder),
                        reason,
                    })?;
                sorted.append(&mut self.order.push(series).map_err(unsorted(&self.url))?);
            }
        }
        if !ended {
            let messages = (self.encode)(self.sender.part(sorted)?);
            let goes_on = !self.sender.is_full();
            return Ok((goes_on.then_some(self), messages));
        }
        self.decoder.finish().map_err(|e| self.broken(e))?;
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 frames")]
        let frames = self.decoder.frames() as f64;
        self.sender.metrics.received_frames.observe(frames);
        let rest = mem::replace(&mut self.order, Order::of_unsorted(FinalLabels::default()));
        sorted.append(&mut rest.finish().map_err(unsorted(&self.url))?);
        Ok((None, (self.encode)(self.sender.part(sorted)?)))
    }

    fn broken(&self, source: FrameError) -> ReadError {
        ReadError::Frame {
            url: self.url.clone(),
            source,
        }
    }
}

fn unsorted(url: &str) -> impl Fn(OrderError) -> ReadError + '_ {
    |source| ReadError::Order {
        url: url.to_owned(),
        source,
    }
}
