//! Memcached and Redis as caches that several processes share, under the settings of Thanos's `--index-cache.config` and
//! `--store.caching-bucket.config`.
//!
//! A cache that fails, is slow or gone costs its hits and nothing else: what is asked of it is given up after its
//! timeout, and after some failures nothing is asked for a while. What it gives is verified by a checksum of the key and
//! the value.
//!
//! The client of memcached is ours: of the crates that there are, those that a program of this licence may use know no
//! TLS, or take memory for whatever length a server names.

mod breaker;
mod config;
mod connect;
mod memcached;
mod metrics;
mod redis;
mod remote;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use crate::{
    config::{CacheConfig, InMemory, Items},
    remote::{Lookup, RemoteCache},
};

#[cfg(test)]
mod tests;
