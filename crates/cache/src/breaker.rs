//! Stops asking a server that fails, for a while.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// For so long failures are counted together, as in Thanos.
const WINDOW: Duration = Duration::from_secs(10);

/// When to stop, and for how long. The names and the defaults are those of Thanos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BreakerConfig {
    /// Requests that are let through at once after the pause (`half_open_max_requests`).
    pub(crate) probes: usize,
    /// The pause (`open_duration`).
    pub(crate) open_for: Duration,
    /// Requests of a window before the share of failures counts (`min_requests`).
    pub(crate) min_requests: usize,
    /// Failures one after the other that stop it (`consecutive_failures`).
    pub(crate) consecutive: usize,
    /// The share of failures that stops it, as the bits of a float (`failure_percent`).
    pub(crate) failure_ratio: u64,
}

#[derive(Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// While it is open, when it is tried again.
    open_until: Option<Instant>,
    /// Requests that try whether the server is back.
    probes: usize,
    window: Instant,
    requests: usize,
    failures: usize,
    consecutive: usize,
}

/// A request that was let through.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            probes: 10,
            open_for: Duration::from_secs(5),
            min_requests: 50,
            consecutive: 5,
            failure_ratio: 0.05f64.to_bits(),
        }
    }
}

impl Breaker {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: Mutex::new(State {
                open_until: None,
                probes: 0,
                window: Instant::now(),
                requests: 0,
                failures: 0,
                consecutive: 0,
            }),
        }
    }

    /// Whether a request may be made now.
    pub(crate) fn admit(&self, now: Instant) -> Option<Admitted<'_>> {
        let mut state = self.state.lock();
        let is_probe = match state.open_until {
            None => false,
            Some(until) if now < until || state.probes >= self.config.probes => return None,
            Some(_) => {
                state.probes += 1;
                true
            }
        };
        Some(Admitted {
            breaker: self,
            is_probe,
        })
    }

    /// Whether it is open from now on.
    fn end(&self, is_probe: bool, succeeded: bool, now: Instant) -> bool {
        let mut state = self.state.lock();
        if is_probe {
            state.probes = state.probes.saturating_sub(1);
        }
        if now.saturating_duration_since(state.window) > WINDOW {
            (state.window, state.requests, state.failures) = (now, 0, 0);
        }
        state.requests += 1;
        if succeeded {
            state.consecutive = 0;
            if is_probe {
                state.open_until = None;
                (state.window, state.requests, state.failures) = (now, 0, 0);
            }
            return false;
        }
        state.failures += 1;
        state.consecutive += 1;
        let failed = state.failures as f64 / state.requests as f64;
        let many = state.requests >= self.config.min_requests
            && failed >= f64::from_bits(self.config.failure_ratio);
        if is_probe || many || state.consecutive >= self.config.consecutive {
            state.open_until = Some(now + self.config.open_for);
            return true;
        }
        false
    }
}

impl Admitted<'_> {
    pub(crate) fn succeeded(self) {
        self.ended(true);
    }

    /// Whether no more requests are let through for a while.
    pub(crate) fn failed(self) -> bool {
        self.ended(false)
    }

    fn ended(mut self, succeeded: bool) -> bool {
        let is_probe = std::mem::take(&mut self.is_probe);
        self.breaker.end(is_probe, succeeded, Instant::now())
    }
}

impl Drop for Admitted<'_> {
    /// Whoever gave up has seen no failure, but lets another one try.
    fn drop(&mut self) {
        if self.is_probe {
            let mut state = self.breaker.state.lock();
            state.probes = state.probes.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> BreakerConfig {
        BreakerConfig {
            probes: 1,
            consecutive: 3,
            ..BreakerConfig::default()
        }
    }

    fn fail(breaker: &Breaker, times: usize) {
        for _ in 0..times {
            breaker.admit(Instant::now()).unwrap().failed();
        }
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_probe_closes_it() {
        let breaker = Breaker::new(config());
        fail(&breaker, 2);
        breaker.admit(Instant::now()).unwrap().succeeded();
        fail(&breaker, 3);
        assert!(breaker.admit(Instant::now()).is_none());
        let later = Instant::now() + config().open_for;
        let probe = breaker.admit(later).unwrap();
        // One at a time.
        assert!(breaker.admit(later).is_none());
        probe.succeeded();
        assert!(breaker.admit(Instant::now()).is_some());
    }

    #[test]
    fn a_probe_that_fails_opens_it_again() {
        let breaker = Breaker::new(config());
        fail(&breaker, 3);
        let later = Instant::now() + config().open_for;
        breaker.admit(later).unwrap().failed();
        assert!(breaker.admit(Instant::now()).is_none());
    }

    #[test]
    fn a_probe_that_was_given_up_lets_another_one_through() {
        let breaker = Breaker::new(config());
        fail(&breaker, 3);
        let later = Instant::now() + config().open_for;
        drop(breaker.admit(later).unwrap());
        assert!(breaker.admit(later).is_some());
    }

    #[test]
    fn a_share_of_failures_opens_it_if_there_are_enough_requests() {
        let breaker = Breaker::new(BreakerConfig {
            consecutive: 100,
            min_requests: 10,
            failure_ratio: 0.5f64.to_bits(),
            ..config()
        });
        for _ in 0..5 {
            breaker.admit(Instant::now()).unwrap().succeeded();
        }
        fail(&breaker, 4);
        assert!(breaker.admit(Instant::now()).is_some());
        fail(&breaker, 1);
        assert!(breaker.admit(Instant::now()).is_none());
    }
}
