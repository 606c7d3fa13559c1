//! `varve tools series`: asks a StoreAPI server for series and prints them as they come.

mod answer;
mod client;
mod text;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use anyhow::Context as _;
use futures::{StreamExt as _, pin_mut};
use model::{Counted, TimeRange, Timestamp};
use proto::thanos::{Aggr, LabelMatcher, SeriesRequest};
use service::{Clock as _, SystemClock};

use crate::{
    cli::{Output, SeriesArgs},
    print,
};
use answer::{Answer, Event};
use client::Client;

/// Series in a message; an answer of fewer messages is cheaper.
const BATCH: i64 = 64;

/// Queries and prints.
pub(super) async fn run(args: SeriesArgs) -> anyhow::Result<ExitCode> {
    let request = request(&args)?;
    let range = TimeRange {
        min: Timestamp(request.min_time),
        max: Timestamp(request.max_time),
    };
    let mut client = Client::connect(&args.endpoint, args.tls.options(), args.wait).await?;
    let frames = client.series(request).await?;
    pin_mut!(frames);
    let mut answer = Answer::new(range);
    let mut out = Out::new(args.output);
    let mut broken = None;
    while let Some(frame) = frames.next().await {
        match frame.and_then(|frame| Ok(answer.take(frame)?)) {
            Ok(events) => out.events(events)?,
            Err(error) => {
                broken = Some(error.context(args.endpoint.clone()));
                break;
            }
        }
    }
    // What came before an error is printed too.
    out.events(answer.finish())?;
    match broken {
        Some(error) => Err(error),
        None => {
            out.end()?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The request that the arguments make.
fn request(args: &SeriesArgs) -> anyhow::Result<SeriesRequest> {
    let matchers = model::parse_selector(&args.selector).with_context(|| args.selector.clone())?;
    let now = Timestamp(SystemClock.now_ms());
    args.time.check(now)?;
    Ok(SeriesRequest {
        min_time: args.time.min_time.resolve(now).0,
        max_time: args.time.max_time.resolve(now).0,
        matchers: matchers.iter().map(LabelMatcher::from).collect(),
        aggregates: vec![Aggr::Raw.into()],
        response_batch_size: BATCH,
        ..SeriesRequest::default()
    })
}

/// The output: series to stdout, the rest to stderr.
#[derive(Debug)]
struct Out {
    output: Output,
    terminal: bool,
    series: u64,
    samples: u64,
}

impl Out {
    fn new(output: Output) -> Self {
        Self {
            output,
            terminal: io::stdout().is_terminal(),
            series: 0,
            samples: 0,
        }
    }

    fn events(&mut self, events: Vec<Event>) -> anyhow::Result<()> {
        for event in events {
            match event {
                Event::Series(series) => {
                    self.series += 1;
                    self.samples += series.samples.len() as u64;
                    let text = match self.output {
                        Output::Text => text::text(&series, self.terminal),
                        Output::Json => text::json(&series),
                    };
                    print::stdout(&text)?;
                }
                Event::Warning(text) => {
                    print::stderr(&format!("warning: {text}\n"))?;
                }
            }
        }
        Ok(())
    }

    /// Prints the totals, for people.
    fn end(&self) -> anyhow::Result<()> {
        let Self {
            series, samples, ..
        } = self;
        if self.output == Output::Text {
            print::stderr(&format!(
                "{series} series, {}\n",
                Counted(*samples, "sample")
            ))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command, Tools};

    fn request_of(args: &[&str]) -> anyhow::Result<SeriesRequest> {
        let words = ["varve", "tools", "series", "--endpoint=x:1"];
        let cli = Cli::parse_words(words.iter().chain(args)).unwrap();
        let Command::Tools(Tools::Series(args)) = cli.command else {
            panic!("{:?}", cli.command);
        };
        request(&args)
    }

    #[test]
    fn a_selector_becomes_matchers_over_all_of_time() {
        let request = request_of(&[r#"up{job="node"}"#]).unwrap();
        assert_eq!((request.min_time, request.max_time), (i64::MIN, i64::MAX));
        let mut matchers: Vec<_> = request
            .matchers
            .iter()
            .map(|m| format!("{}={}", m.name, String::from_utf8_lossy(&m.value)))
            .collect();
        matchers.sort();
        assert_eq!(matchers, ["__name__=up", "job=node"]);
    }

    #[test]
    fn a_selector_that_is_none_is_shown() {
        let error = request_of(&["up{"]).unwrap_err();
        assert!(format!("{error:#}").starts_with("up{: "), "{error:#}");
    }
}
