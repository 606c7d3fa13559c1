//! What a half that fails means for the answer.

use tonic::{Code, Status};

/// What failed of one answer.
pub(super) struct Failures {
    /// Whether the other half may answer alone.
    partial: bool,
    /// What one half said.
    first: Option<Status>,
}

impl Failures {
    pub(super) const fn new(partial: bool) -> Self {
        Self {
            partial,
            first: None,
        }
    }

    /// What the client is told of a half that failed, if the other half may answer without it.
    ///
    /// # Errors
    /// When it may not, when the request goes past a limit, and when the other half has failed too.
    pub(super) fn warning(&mut self, status: Status) -> Result<String, Status> {
        if !self.partial || status.code() == Code::ResourceExhausted {
            return Err(status);
        }
        if let Some(first) = &self.first {
            if first.message() == status.message() {
                return Err(status);
            }
            let both = format!("{}; {}", first.message(), status.message());
            return Err(Status::new(first.code(), both));
        }
        let warning = status.message().to_owned();
        self.first = Some(status);
        Ok(warning)
    }
}
