//! What a span costs where no spans are sent, by CPU time on one thread: that of its macro, and that of work in it.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{convert::Infallible, hint::black_box};

use benches::median_cpu_ms;
use futures::FutureExt as _;
use service::{LogFormat, LogLevel, in_span, init_logging, span};

/// Spans that are begun in each round.
const SPANS: u32 = 10_000_000;

fn main() -> anyhow::Result<()> {
    init_logging(LogLevel::Info, LogFormat::Logfmt, "", None)?;
    let each = |ms: f64| ms * 1e6 / f64::from(SPANS);
    let ((), span) = median_cpu_ms(|| {
        for number in 0..SPANS {
            black_box(span!("bucket_get", name = "01H/index", offset = number));
        }
        Ok(())
    })?;
    println!("a span that is not sent: {:.1} ns", each(span));
    let ((), alone) = median_cpu_ms(|| {
        for number in 0..SPANS {
            black_box(work(number).now_or_never());
        }
        Ok(())
    })?;
    let ((), inside) = median_cpu_ms(|| {
        for number in 0..SPANS {
            let span = span!("bucket_get", name = "01H/index", offset = number);
            black_box(in_span(span, work(number)).now_or_never());
        }
        Ok(())
    })?;
    println!(
        "work in it: {:.1} ns, alone {:.1} ns",
        each(inside),
        each(alone)
    );
    Ok(())
}

async fn work(number: u32) -> Result<u32, Infallible> {
    Ok(black_box(number))
}
