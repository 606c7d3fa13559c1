//! Counts the memory that decoders take.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// What a decoder may take whatever its input: contexts of compression, threads of a pool.
const BASE: usize = 16 << 20;
/// More than any decoder may have at once; who asks for it gets nothing, and aborts.
const LIMIT: usize = 1 << 30;

#[global_allocator]
static COUNTING: Counting = Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

/// Runs a decoder, which may take up to `factor` bytes for each of the `len` of its input.
///
/// # Panics
/// When it takes more.
pub fn bounded<T>(len: usize, factor: usize, decode: impl FnOnce() -> T) -> T {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = decode();
    let taken = PEAK.load(Relaxed).saturating_sub(before);
    let allowed = BASE + len * factor;
    assert!(
        taken <= allowed,
        "{taken} bytes taken for an input of {len}, at most {allowed} expected"
    );
    result
}

fn take(size: usize) -> bool {
    let live = LIVE.fetch_add(size, Relaxed) + size;
    if live > LIMIT {
        LIVE.fetch_sub(size, Relaxed);
        return false;
    }
    PEAK.fetch_max(live, Relaxed);
    true
}

// SAFETY: all memory is the system allocator's; this one counts, and at times gives none.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above; `ptr` came from the system allocator.
        unsafe { System.dealloc(ptr, layout) }
    }
}
