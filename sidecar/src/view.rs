//! What the last heartbeat found of Prometheus.

use std::{collections::BTreeSet, sync::Arc};

use model::{Labels, Timestamp};

use crate::{SidecarError, prometheus::Prometheus};

/// What a Prometheus says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Its external labels, at least one.
    pub(crate) labels: Labels,
    /// The time of its first sample, or the earliest.
    pub(crate) lowest: Timestamp,
    /// The names of the labels of its own series; none where it does not say.
    pub(crate) own_names: Option<Arc<BTreeSet<String>>>,
    /// Whether it looks for names and values of labels among series that match.
    pub(crate) matches_labels: bool,
}

impl View {
    /// Asks `prometheus`, whose version is `version`.
    ///
    /// # Errors
    /// When it does not answer, or has no external labels.
    pub(crate) async fn of(prometheus: &Prometheus, version: &str) -> Result<Self, SidecarError> {
        let lowest = prometheus.lowest_timestamp().await?;
        let labels = prometheus.external_labels().await?;
        if labels.is_empty() {
            return Err(SidecarError::NoExternalLabels);
        }
        let own_names = match prometheus.own_names().await {
            Ok(names) => Some(Arc::new(names)),
            Err(error) => {
                // Answers are right without them, but more of each is held back.
                tracing::warn!(%error, "reading the label names of prometheus failed");
                None
            }
        };
        Ok(Self {
            labels,
            lowest,
            own_names,
            matches_labels: matches_labels(version),
        })
    }

    /// Whether series may have a label called so that is no external one.
    pub(crate) fn may_have(&self, name: &[u8]) -> bool {
        match (&self.own_names, str::from_utf8(name)) {
            (Some(names), Ok(name)) => names.contains(name),
            _ => true,
        }
    }
}

/// Whether a version takes matchers for names and values of labels: 2.24 and newer.
fn matches_labels(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.');
    let mut number = || parts.next().and_then(|p| p.parse::<u32>().ok());
    matches!((number(), number()), (Some(major), Some(minor)) if (major, minor) >= (2, 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_for_labels_came_with_2_24() {
        for new in ["2.24.0", "2.42.0", "3.9.1", "v3.0.0-rc.1", "10.0"] {
            assert!(matches_labels(new), "{new}");
        }
        for old in ["2.23.9", "1.8.2", "", "main"] {
            assert!(!matches_labels(old), "{old}");
        }
    }
}
