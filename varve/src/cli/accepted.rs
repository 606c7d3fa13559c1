//! Flags of Thanos that Varve does not have, so that a component can be replaced with its command line unchanged.
//!
//! Flags that would have no effect are accepted with a notice. Flags that would change the result are refused, unless
//! they have their default value. Booleans have a `--no-<flag>`, as in Thanos.

mod flags;

use std::ffi::OsString;

/// The value of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// None; it is a boolean.
    Nothing,
    /// A value.
    Value,
    /// One of these values; any other is refused.
    Only(&'static [&'static str]),
}

/// Flags that are handled alike.
#[derive(Clone, Copy, Debug)]
struct Accepted {
    names: &'static [&'static str],
    takes: Takes,
    /// Why they have no effect, or are refused.
    why: &'static str,
}

/// Our own booleans, for which clap lacks the `--no-`; the second is the short form.
const SWITCHES: &[(&str, &str)] = &[
    ("grpc-client-tls-secure", ""),
    ("grpc-client-tls-skip-verify", ""),
    ("debug.pprof", ""),
    ("web.disable", ""),
    ("web.disable-cors", ""),
    ("disable-admin-operations", ""),
    ("wait", "-w"),
    ("downsampling.disable", ""),
    ("once", ""),
    ("shipper.upload-compacted", ""),
    ("shipper.ignore-unequal-block-size", ""),
    ("shipper.allow-out-of-order-uploads", ""),
    ("reloader.tolerate-env-var-expansion-errors", ""),
    ("exclude-delete", ""),
    ("remove", ""),
    ("repair", "-r"),
    ("single-run", ""),
    ("ignore-marked-for-deletion", ""),
    ("delete-blocks", ""),
];

/// A command line without Thanos's other flags.
#[derive(Debug, Default)]
pub(super) struct Accept {
    /// The words for the parser.
    pub(super) words: Vec<OsString>,
    /// Notices about flags without effect.
    pub(super) said: Vec<String>,
    /// Refused flags, and why.
    pub(super) refused: Vec<String>,
}

/// What becomes of a flag of Thanos.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is left to the parser.
    Unknown,
    /// It is accepted, for a reason.
    NoEffect(&'static str),
    /// It is refused unless it has its default, for a reason.
    Refused(&'static str),
}

/// What becomes of the flag `name` of a component.
#[cfg(test)]
pub(super) fn fate(component: &str, name: &str) -> Fate {
    match find(name, flags_of(component)) {
        None => Fate::Unknown,
        Some((_, found)) => match found.takes {
            Takes::Nothing | Takes::Value => Fate::NoEffect(found.why),
            Takes::Only(_) => Fate::Refused(found.why),
        },
    }
}

/// Removes the flags of Thanos that Varve does not have.
pub(super) fn accept(args: impl IntoIterator<Item = OsString>) -> Accept {
    let mut out = Accept::default();
    let mut command: &[Accepted] = &[];
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy().into_owned();
        if command.is_empty() {
            command = flags_of(&text);
        }
        let Some(flag) = text.strip_prefix("--") else {
            out.words.push(arg);
            continue;
        };
        if out.switched_off(flag) {
            continue;
        }
        let (name, inline) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        let Some((name, known)) = find(name, command) else {
            out.words.push(arg);
            continue;
        };
        if known.takes == Takes::Nothing {
            out.said(name, known.why);
            continue;
        }
        let value = match inline {
            Some(value) => value.to_owned(),
            None => {
                let next = args.next().unwrap_or_default();
                next.to_string_lossy().into_owned()
            }
        };
        match known.takes {
            Takes::Only(allowed) if allowed.contains(&value.as_str()) => {}
            Takes::Only(_) => {
                let why = known.why;
                out.refused
                    .push(format!("--{name} {value:?} cannot be honoured: {why}"));
            }
            _ => out.said(name, known.why),
        }
    }
    out
}

/// The flags of the component with this name.
fn flags_of(word: &str) -> &'static [Accepted] {
    match word {
        "sidecar" => flags::SIDECAR,
        "compact" => flags::COMPACT,
        "store" => flags::STORE,
        "tools" => flags::TOOLS,
        _ => &[],
    }
}

/// The flag of this name, or the boolean whose `--no-` it is.
fn find<'a>(name: &'a str, command: &'static [Accepted]) -> Option<(&'a str, &'static Accepted)> {
    let known = |name: &str| {
        let mut all = flags::EVERYWHERE.iter().chain(command);
        all.find(|a| a.names.contains(&name))
    };
    if let Some(found) = known(name) {
        return Some((name, found));
    }
    let positive = name.strip_prefix("no-")?;
    let found = known(positive)?;
    (found.takes == Takes::Nothing).then_some((positive, found))
}

impl Accept {
    /// Removes one of our own booleans, if `flag` is its `--no-`: the last one counts.
    fn switched_off(&mut self, flag: &str) -> bool {
        let name = flag.strip_prefix("no-");
        let Some((name, short)) = SWITCHES.iter().find(|(n, _)| Some(*n) == name) else {
            return false;
        };
        let long = format!("--{name}");
        self.words
            .retain(|word| *word != *long && (short.is_empty() || *word != **short));
        true
    }

    fn said(&mut self, name: &str, why: &str) {
        self.said.push(format!("--{name} has no effect: {why}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn of(args: &[&str]) -> Accept {
        accept(args.iter().map(OsString::from))
    }

    fn words(accept: &Accept) -> Vec<&str> {
        accept.words.iter().map(|w| w.to_str().unwrap()).collect()
    }

    #[test]
    fn a_flag_without_effect_goes_with_its_value() {
        let line = of(&[
            "varve",
            "store",
            "--chunk-pool-size",
            "2GB",
            "--store.index-header-lazy-download-strategy=eager",
            "--no-store.enable-index-header-lazy-reader",
            "--data-dir",
            "/data",
        ]);
        assert_eq!(words(&line), ["varve", "store", "--data-dir", "/data"]);
        assert_eq!(line.said.len(), 3);
    }

    #[test]
    fn a_flag_of_another_component_is_left_to_be_refused() {
        let line = of(&["varve", "compact", "--chunk-pool-size=2GB"]);
        assert_eq!(words(&line), ["varve", "compact", "--chunk-pool-size=2GB"]);
        assert_eq!(line.said, Vec::<String>::new());
        // It takes a value, so Thanos has no such flag either.
        let line = of(&["varve", "store", "--no-chunk-pool-size"]);
        assert_eq!(words(&line), ["varve", "store", "--no-chunk-pool-size"]);
    }

    #[test]
    fn a_flag_that_would_change_the_result_is_refused_unless_it_has_its_default() {
        let flag = "--objstore-parquet.config-file";
        let line = of(&["varve", "store", &format!("{flag}=")]);
        assert_eq!((line.said.len(), line.refused.len()), (0, 0));
        let line = of(&["varve", "store", flag, "b.yaml", "--data-dir=d"]);
        assert_eq!(words(&line), ["varve", "store", "--data-dir=d"]);
        let expected = format!("{flag} \"b.yaml\" cannot be honoured: ");
        assert!(
            line.refused.iter().all(|r| r.starts_with(&expected)) && line.refused.len() == 1,
            "{:?}",
            line.refused
        );
    }

    #[test]
    fn of_a_boolean_and_its_opposite_the_last_counts() {
        for (given, left) in [
            (&["--wait", "--no-wait"][..], &[][..]),
            (&["-w", "--no-wait"], &[]),
            (&["--no-wait", "--wait"], &["--wait"]),
            (&["--no-downsampling.disable", "-w"], &["-w"]),
        ] {
            let line = of(&[&["varve", "compact"], given].concat());
            assert_eq!(words(&line)[2..], *left, "{given:?}");
            assert_eq!(line.said, Vec::<String>::new());
        }
    }

    #[test]
    fn each_flag_has_one_fate() {
        for command in ["sidecar", "compact", "store", "tools"] {
            let all = flags::EVERYWHERE.iter().chain(flags_of(command));
            let mut seen = BTreeSet::new();
            for name in all.flat_map(|a| a.names) {
                assert!(seen.insert(name), "{command} {name}");
            }
        }
    }
}
