//! The store gateway: serves the blocks of a bucket over Thanos's StoreAPI.
//!
//! ```text
//! bucket ──listing──▶ sync ──▶ Catalog ─┐
//!                                       ├─ select ─▶ blocks ─▶ store: block streams ─▶ merge ─▶ api
//! request ─────────── api ──────────────┘               ▲
//!                                                       └── block, fetch: reading one block
//! ```

mod api;
mod block;
mod budget;
mod catalog;
mod config;
mod error;
mod fetch;
mod memory;
mod metrics;
mod reader;
mod request;
mod run;
mod select;
mod store;
mod sync;
#[cfg(test)]
mod testing;
mod usage;

pub use crate::{
    api::StoreApi,
    config::{Config, Deps, IndexHeaders, Limits, MemoryBudget},
    error::GatewayError,
    fetch::Caches,
    reader::{Chunks, ReadRequest, Reader, SeriesStream},
    run::{Gateway, run},
    sync::SyncHandle,
};
