//! Versions of TLS.

use std::str::FromStr;

use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};

/// A version of TLS that can be served. Read from Thanos's `1.2` and Prometheus's `TLS12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

impl TlsVersion {
    /// The versions from `min` to `max`, both inclusive.
    pub(crate) fn range(min: Self, max: Self) -> Vec<&'static SupportedProtocolVersion> {
        let all = [(Self::V12, &TLS12), (Self::V13, &TLS13)];
        let inside = all.into_iter().filter(|(v, _)| (min..=max).contains(v));
        inside.map(|(_, version)| version).collect()
    }
}

impl FromStr for TlsVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1.2" | "TLS12" => Ok(Self::V12),
            "1.3" | "TLS13" => Ok(Self::V13),
            "1.0" | "1.1" | "TLS10" | "TLS11" => Err(format!(
                "{text} is not supported, as it is not safe (RFC 8996): expected TLS 1.2 or 1.3"
            )),
            _ => Err(format!("expected TLS 1.2 or 1.3, found {text:?}")),
        }
    }
}
