//! How long to wait for the next attempt after one that failed.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const MOST: Duration = Duration::from_secs(30);

/// Pauses that grow from about a second to about half a minute, each some time between a half and the whole of what is
/// stated, so that many who failed together do not come back together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    next: Duration,
    attempts: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            next: FIRST,
            attempts: 0,
        }
    }
}

impl Backoff {
    /// The pause after an attempt that failed.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(MOST);
        self.attempts = self.attempts.saturating_add(1);
        // Without random bits the pause is the shortest.
        let random = getrandom::u32().unwrap_or_default() % 1024;
        pause / 2 + pause / 2 * random / 1024
    }

    /// How many attempts have failed, one after the other.
    pub(super) const fn attempts(&self) -> u32 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_a_second_to_half_a_minute_and_differ() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..8).map(|_| backoff.pause()).collect();
        for (pause, most) in pauses.iter().zip([1, 2, 4, 8, 16, 30, 30, 30]) {
            let most = Duration::from_secs(most);
            assert!(*pause >= most / 2 && *pause <= most, "{pauses:?}");
        }
        assert_eq!(backoff.attempts(), 8);
        let others: Vec<Duration> = (0..8).map(|_| Backoff::default().pause()).collect();
        assert!(others.windows(2).any(|two| two[0] != two[1]), "{others:?}");
    }
}
