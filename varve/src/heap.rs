//! The profile of the heap, which the allocator keeps.

/// What turns it on.
const HOW: &str =
    "there is no heap profile; _RJEM_MALLOC_CONF=prof:true in the environment makes one";

/// The heap in use as a profile of pprof, in gzip.
///
/// # Errors
/// When the allocator keeps none, or cannot write it to a temporary file.
pub(crate) fn profile() -> Result<Vec<u8>, String> {
    let control = jemalloc_pprof::PROF_CTL.as_ref().ok_or(HOW)?;
    let dumped = control.blocking_lock().dump_pprof();
    dumped.map_err(|error| format!("heap profile: {error:#}"))
}
