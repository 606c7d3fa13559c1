//! The flags of Thanos that Varve does not have, and how each is handled.

use super::{Accepted, Takes};

/// Of every component.
pub(super) const EVERYWHERE: &[Accepted] = &[
    Accepted {
        names: &["enable-auto-gomemlimit"],
        takes: Takes::Nothing,
        why: "there is no Go runtime",
    },
    Accepted {
        names: &["auto-gomemlimit.ratio"],
        takes: Takes::Value,
        why: "there is no Go runtime",
    },
    Accepted {
        names: &["block-discovery-strategy"],
        takes: Takes::Value,
        why: "each sync is one recursive listing",
    },
];

/// Of `thanos sidecar`.
pub(super) const SIDECAR: &[Accepted] = &[Accepted {
    names: &["shipper.skip-corrupted-blocks"],
    takes: Takes::Nothing,
    why: "a block that cannot be read never keeps the others from being uploaded",
}];

/// Of `thanos compact`.
pub(super) const COMPACT: &[Accepted] = &[
    Accepted {
        names: &["hash-func"],
        takes: Takes::Value,
        why: "an output is read back from the bucket and compared before it is committed",
    },
    Accepted {
        names: &["compact.concurrency", "downsample.concurrency"],
        takes: Takes::Value,
        why: "each merge uses all cores",
    },
    Accepted {
        names: &["block-files-concurrency"],
        takes: Takes::Value,
        why: "--compact.blocks-fetch-concurrency counts files",
    },
    Accepted {
        names: &["debug.halt-on-error"],
        takes: Takes::Nothing,
        why: "a group that fails is set aside, nothing halts",
    },
    Accepted {
        names: &["debug.accept-malformed-index"],
        takes: Takes::Nothing,
        why: "a block whose index is malformed is marked and set aside, the rest goes on",
    },
    Accepted {
        names: &["compact.block-max-index-size"],
        takes: Takes::Value,
        why: "the output has no such limit",
    },
    Accepted {
        names: &["compact.skip-block-with-out-of-order-chunks"],
        takes: Takes::Nothing,
        why: "chunks that are out of order are sorted and merged",
    },
    Accepted {
        names: &["compact.enable-vertical-compaction"],
        takes: Takes::Nothing,
        why: "overlapping blocks are always merged, sample by sample",
    },
    Accepted {
        names: &["compact.cleanup-interval"],
        takes: Takes::Value,
        why: "each run begins with cleaning",
    },
    Accepted {
        names: &["compact.progress-interval"],
        takes: Takes::Value,
        why: "progress is known from each plan",
    },
];

/// Of `thanos store`.
pub(super) const STORE: &[Accepted] = &[
    Accepted {
        names: &["chunk-pool-size"],
        takes: Takes::Value,
        why: "--store.memory-budget bounds the memory",
    },
    Accepted {
        names: &["store.enable-index-header-lazy-reader"],
        takes: Takes::Nothing,
        why: "blocks are always opened when first asked",
    },
    Accepted {
        names: &[
            "store.index-header-lazy-download-strategy",
            "store.index-header-lazy-reader-idle-timeout",
            "store.index-header-posting-offsets-in-mem-sampling",
        ],
        takes: Takes::Value,
        why: "blocks are always opened when first asked",
    },
    Accepted {
        names: &["store.enable-lazy-expanded-postings"],
        takes: Takes::Nothing,
        why: "postings are always taken in order of cost",
    },
    Accepted {
        names: &["store.posting-group-max-key-series-ratio"],
        takes: Takes::Value,
        why: "postings are always taken in order of cost",
    },
    Accepted {
        names: &[
            "debug.series-batch-size",
            "debug.estimated-max-series-size",
            "debug.estimated-max-chunk-size",
            "matcher-cache-size",
        ],
        takes: Takes::Value,
        why: "nothing is tuned by hand here",
    },
    Accepted {
        names: &["objstore-parquet.config", "objstore-parquet.config-file"],
        takes: Takes::Only(&[""]),
        why: "blocks that another program has converted are not hidden, so they would be served twice",
    },
];

/// Of `thanos tools bucket`.
pub(super) const TOOLS: &[Accepted] = &[
    Accepted {
        names: &["hash-func"],
        takes: Takes::Value,
        why: "meta.json holds no hashes; what is uploaded is compared by size or by content",
    },
    Accepted {
        names: &["downsample.concurrency", "block-files-concurrency"],
        takes: Takes::Value,
        why: "each block uses all cores, and its files are fetched together",
    },
    Accepted {
        names: &["prom-blocks"],
        takes: Takes::Nothing,
        why: "a block without external labels is rewritten as any other",
    },
];
