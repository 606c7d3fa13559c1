//! What is to be done about what was read.

use std::time::Duration;

use super::{ReloaderConfig, sources::Fingerprint};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Write the output file.
    pub(super) write: bool,
    /// Have Prometheus reload.
    pub(super) reload: bool,
}

/// What the last look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Prometheus has taken up what there is.
    Current,
    /// It has not, so that it is to be tried again.
    Behind,
    /// What there is could not be read.
    Unread,
}

/// What to do where the files hold `now` and Prometheus has taken up `taken`. `rendered` should be in the output file,
/// if there is to be one, and `output` is in it.
pub(super) fn step(
    config: &ReloaderConfig,
    now: &Fingerprint,
    taken: Option<&Fingerprint>,
    rendered: Option<&[u8]>,
    output: Option<&[u8]>,
) -> Step {
    Step {
        write: rendered.is_some() && rendered != output,
        reload: taken != Some(now) && !config.watch_interval.is_zero(),
    }
}

/// How long to wait for a change before the next look.
pub(super) fn pause(config: &ReloaderConfig, outcome: Outcome) -> Duration {
    match outcome {
        Outcome::Behind => config.retry_interval,
        Outcome::Current | Outcome::Unread => config.watch_interval,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_has_its_step() {
        let config = ReloaderConfig::default();
        let once = ReloaderConfig {
            watch_interval: Duration::ZERO,
            ..ReloaderConfig::default()
        };
        let (one, two): (Fingerprint, Fingerprint) = ([1; 32], [2; 32]);
        let (a, b) = (Some(&b"a"[..]), Some(&b"b"[..]));
        // now, taken, rendered, output → write, reload
        for (what, config, now, taken, rendered, output, write, reload) in [
            ("at the start", &config, one, None, a, None, true, true),
            (
                "the output is of an earlier run",
                &config,
                one,
                None,
                a,
                a,
                false,
                true,
            ),
            (
                "nothing changed",
                &config,
                one,
                Some(one),
                a,
                a,
                false,
                false,
            ),
            (
                "the configuration changed",
                &config,
                two,
                Some(one),
                b,
                a,
                true,
                true,
            ),
            ("a rule changed", &config, two, Some(one), a, a, false, true),
            (
                "the output was removed",
                &config,
                one,
                Some(one),
                a,
                None,
                true,
                false,
            ),
            (
                "the output was spoiled",
                &config,
                one,
                Some(one),
                a,
                b,
                true,
                false,
            ),
            (
                "no output is wanted",
                &config,
                two,
                Some(one),
                None,
                None,
                false,
                true,
            ),
            (
                "the change was taken back before it was taken up",
                &config,
                one,
                Some(one),
                a,
                a,
                false,
                false,
            ),
            ("only to be written", &once, one, None, a, None, true, false),
        ] {
            let step = step(config, &now, taken.as_ref(), rendered, output);
            assert_eq!(step, Step { write, reload }, "{what}");
        }
    }

    #[test]
    fn what_failed_is_tried_again_sooner() {
        let config = ReloaderConfig::default();
        assert_eq!(pause(&config, Outcome::Behind), config.retry_interval);
        for outcome in [Outcome::Current, Outcome::Unread] {
            assert_eq!(pause(&config, outcome), config.watch_interval);
        }
    }
}
