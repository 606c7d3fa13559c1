//! How many threads share work that is over soon.

use std::{num::NonZeroUsize, thread};

/// One a core, and at most so many.
pub(crate) fn threads(most: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    cores.min(most)
}
