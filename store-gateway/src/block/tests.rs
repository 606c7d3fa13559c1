//! One suite for both kinds of blocks: golden blocks, put into a bucket in memory. And what only one kind does.

mod answers;
mod cached;
mod cost;
mod damaged;
pub(super) mod fixture;
mod flipped;
mod headers;
mod prefetch;
mod trips;
