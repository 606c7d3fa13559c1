//! Prometheus's configuration before it is Prometheus's: gzip, and variables.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecar::{UnsetVariables, render};

fuzz_target!(|data: &[u8]| {
    let variable = |name: &str| (name == "A").then(|| "$(B)".to_owned());
    let kept = render(data, variable, UnsetVariables::Keep);
    let strict = render(data, variable, UnsetVariables::Refuse);
    match (kept, strict) {
        (Ok(kept), Ok(strict)) => {
            assert!(kept.unset.is_empty());
            assert_eq!(kept, strict);
        }
        (Ok(kept), Err(_)) => {
            // Names that are kept are in the text, and the text without values is what it was.
            assert!(!kept.unset.is_empty());
            let unset = |_: &str| None;
            let again = render(&kept.bytes, unset, UnsetVariables::Keep);
            if let Ok(again) = again
                && !kept.bytes.starts_with(&[0x1f, 0x8b, 0x08])
            {
                assert_eq!(again.bytes, kept.bytes);
            }
        }
        (Err(_), strict) => assert!(strict.is_err()),
    }
});
