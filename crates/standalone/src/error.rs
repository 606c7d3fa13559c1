//! What ends the process.

use compactor::CompactError;
use service::ServiceError;
use sidecar::SidecarError;

/// Why the three cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    /// The sidecar ended with an error.
    #[error("sidecar: {0}")]
    Sidecar(#[from] SidecarError),
    /// The compactor ended with an error.
    #[error("compactor: {0}")]
    Compactor(#[from] CompactError),
    /// The gRPC server could not start, or broke, or did not end in time.
    #[error(transparent)]
    Service(#[from] ServiceError),
}
