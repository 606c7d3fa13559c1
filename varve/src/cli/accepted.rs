//! Flags of Thanos that are accepted so that a component can be swapped, and change nothing here.

use std::ffi::OsString;

/// Whether a flag takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
}

/// A flag, whether it takes a value, and why it changes nothing.
type Accepted = (&'static str, Takes, &'static str);

const EVERYWHERE: &[Accepted] = &[
    (
        "enable-auto-gomemlimit",
        Takes::Nothing,
        "there is no Go runtime",
    ),
    (
        "auto-gomemlimit.ratio",
        Takes::Value,
        "there is no Go runtime",
    ),
    (
        "block-discovery-strategy",
        Takes::Value,
        "each sync is one recursive listing",
    ),
];

const COMPACT: &[Accepted] = &[
    (
        "compact.concurrency",
        Takes::Value,
        "each merge uses all cores",
    ),
    (
        "debug.halt-on-error",
        Takes::Nothing,
        "a group that fails is set aside, nothing halts",
    ),
    (
        "compact.block-max-index-size",
        Takes::Value,
        "the output has no such limit",
    ),
    ("web.disable", Takes::Nothing, "there is no web page yet"),
];

const STORE: &[Accepted] = &[
    (
        "cache-index-header",
        Takes::Nothing,
        "what is cached is bounded by itself",
    ),
    (
        "index-cache-size",
        Takes::Value,
        "postings and series are read from the blocks",
    ),
    (
        "chunk-pool-size",
        Takes::Value,
        "memory is bounded per request",
    ),
    (
        "store.enable-index-header-lazy-reader",
        Takes::Nothing,
        "blocks are always opened when first asked",
    ),
    (
        "store.index-header-lazy-download-strategy",
        Takes::Value,
        "blocks are always opened when first asked",
    ),
    (
        "store.enable-lazy-expanded-postings",
        Takes::Nothing,
        "postings are always taken in order of cost",
    ),
    ("web.disable", Takes::Nothing, "there is no web page yet"),
];

/// The arguments without the flags that change nothing, and for each of those what to say.
pub(super) fn without_effect(
    args: impl IntoIterator<Item = OsString>,
) -> (Vec<OsString>, Vec<String>) {
    let (mut kept, mut said) = (Vec::new(), Vec::new());
    let mut command: &[Accepted] = &[];
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if command.is_empty() {
            command = match text.as_ref() {
                "compact" => COMPACT,
                "store" => STORE,
                _ => &[],
            };
        }
        let Some(flag) = text.strip_prefix("--") else {
            kept.push(arg);
            continue;
        };
        let (name, inline) = match flag.split_once('=') {
            Some((name, _)) => (name, true),
            None => (flag, false),
        };
        let name = name.strip_prefix("no-").unwrap_or(name);
        let known = EVERYWHERE.iter().chain(command).find(|(n, ..)| *n == name);
        let Some((_, takes, why)) = known else {
            kept.push(arg);
            continue;
        };
        said.push(format!("--{name} has no effect: {why}"));
        if *takes == Takes::Value && !inline {
            args.next();
        }
    }
    (kept, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(args: &[&str]) -> (Vec<String>, usize) {
        let (kept, said) = without_effect(args.iter().map(OsString::from));
        let kept = kept.iter().map(|a| a.to_string_lossy().into_owned());
        (kept.collect(), said.len())
    }

    #[test]
    fn a_flag_without_effect_goes_with_its_value() {
        let (kept, said) = split(&[
            "varve",
            "store",
            "--chunk-pool-size",
            "2GB",
            "--index-cache-size=250MB",
            "--no-cache-index-header",
            "--data-dir",
            "/data",
        ]);
        assert_eq!(kept, ["varve", "store", "--data-dir", "/data"]);
        assert_eq!(said, 3);
    }

    #[test]
    fn a_flag_of_another_component_is_left_to_be_refused() {
        let (kept, said) = split(&["varve", "compact", "--chunk-pool-size=2GB"]);
        assert_eq!(kept, ["varve", "compact", "--chunk-pool-size=2GB"]);
        assert_eq!(said, 0);
    }
}
