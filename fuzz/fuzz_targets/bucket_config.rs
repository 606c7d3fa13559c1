//! The objstore YAML.

#![no_main]

use bucket::BucketConfig;
use libfuzzer_sys::fuzz_target;
use varve_fuzz::bounded;

fuzz_target!(|text: &str| {
    let variable = |name: &str| (name == "A").then(|| "value".to_owned());
    let config = bounded(text.len(), 1024, || BucketConfig::from_yaml(text, variable));
    if let Ok(config) = config {
        let _ = format!("{config:?}");
    }
});
