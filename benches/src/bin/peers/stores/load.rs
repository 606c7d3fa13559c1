//! Many clients at once, a small question beside a large one, and clients that do not read.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::try_join_all;
use tonic::transport::Channel;

use super::{ASKED_FOR, LEAST_ROUNDS, Store};
use crate::{client, questions::Question};

/// Clients at once, and how often each asks.
pub(super) const CLIENTS: usize = 16;
const TIMES: usize = 3;

/// Clients that ask for everything and do not read, and how long for.
pub(super) const SILENT: usize = 100;
const SILENT_FOR: Duration = Duration::from_secs(10);

impl Store {
    /// The median of many clients that ask at once, each on a connection of its own, in ms.
    pub(super) async fn crowd(&self, question: &Question) -> anyhow::Result<f64> {
        let clients = (0..CLIENTS).map(|_| async {
            let mut answers = Vec::new();
            for _ in 0..TIMES {
                answers.push(self.ask(question).await?);
            }
            anyhow::Ok(answers)
        });
        let mut answers = try_join_all(clients).await?.concat();
        answers.sort_by_key(|answer| answer.whole);
        let median = answers.get(answers.len() / 2).context("an answer")?;
        Ok(median.whole.as_secs_f64() * 1e3)
    }

    /// The median of a small question alone, and while a large one is asked all the time, in ms.
    pub(super) async fn beside(
        &self,
        small: &Question,
        large: &Question,
    ) -> anyhow::Result<(f64, f64)> {
        let median = async || {
            let (mut answers, started) = (Vec::new(), Instant::now());
            while answers.len() < LEAST_ROUNDS || started.elapsed() < ASKED_FOR {
                answers.push(self.ask(small).await?.whole);
            }
            answers.sort();
            let median = answers.get(answers.len() / 2).context("an answer")?;
            anyhow::Ok(median.as_secs_f64() * 1e3)
        };
        let alone = median().await?;
        let channel = Channel::from_shared(self.address.clone())?.connect_lazy();
        let again = async {
            loop {
                client::series(&channel, &large.request).await?;
            }
        };
        tokio::select! {
            beside = median() => Ok((alone, beside?)),
            ended = again => ended,
        }
    }

    /// The most memory that it has while clients do not read what they have asked for, in bytes.
    pub(super) async fn silent(&self, question: &Question) -> anyhow::Result<u64> {
        self.server.forget_peak()?;
        let request = &question.request;
        let clients = (0..SILENT).map(|_| async move {
            // A connection of its own.
            let channel = Channel::from_shared(self.address.clone())?.connect_lazy();
            let answer = client::open(&channel, request).await?;
            std::future::pending::<()>().await;
            drop(answer);
            anyhow::Ok(())
        });
        match tokio::time::timeout(SILENT_FOR, try_join_all(clients)).await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) | Err(_) => self.peak(),
        }
    }
}
