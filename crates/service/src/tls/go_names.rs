//! Cipher suites and curves by Go's names, as Thanos's flags and Prometheus's web configuration have them.

use rustls::{
    SupportedCipherSuite,
    crypto::{
        SupportedKxGroup,
        ring::{cipher_suite as ring, kx_group},
    },
};

/// Cipher suites that Go has and ring has not.
const OTHER_SUITES: &[&str] = &[
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
];

/// Curves that Go has and ring has not.
const OTHER_CURVES: &[&str] = &[
    "CurveP521",
    "X25519MLKEM768",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
];

/// The suites of TLS 1.2 with these names, in their order, and all of TLS 1.3, which cannot be chosen, as in Go.
/// `place` names the setting. Suites that are not supported are left out with a warning.
///
/// # Errors
/// When there is no such suite, or none is left for TLS 1.2.
pub(crate) fn cipher_suites(
    place: &str,
    names: &[String],
) -> Result<Vec<SupportedCipherSuite>, String> {
    let mut suites = vec![
        ring::TLS13_AES_128_GCM_SHA256,
        ring::TLS13_AES_256_GCM_SHA384,
        ring::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    let of_tls13 = suites.len();
    for name in names {
        let suite = match name.as_str() {
            "TLS_AES_128_GCM_SHA256"
            | "TLS_AES_256_GCM_SHA384"
            | "TLS_CHACHA20_POLY1305_SHA256" => continue,
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => {
                ring::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            }
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => {
                ring::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            }
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => {
                ring::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            }
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => ring::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => ring::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => {
                ring::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
            }
            other if OTHER_SUITES.contains(&other) => {
                tracing::warn!(
                    "{place}: {other} is left out, as only suites with AEAD are supported"
                );
                continue;
            }
            other => return Err(format!("unknown cipher suite {other:?}")),
        };
        suites.push(suite);
    }
    if suites.len() == of_tls13 {
        return Err("no supported cipher suite of TLS 1.2 is among them".to_owned());
    }
    Ok(suites)
}

/// The curves with these names, in their order. `place` names the setting. Curves that are not supported are left out
/// with a warning.
///
/// # Errors
/// When there is no such curve, or none is left.
pub(crate) fn key_exchange(
    place: &str,
    names: &[String],
) -> Result<Vec<&'static dyn SupportedKxGroup>, String> {
    let mut groups = Vec::new();
    for name in names {
        match name.as_str() {
            "X25519" => groups.push(kx_group::X25519),
            "CurveP256" => groups.push(kx_group::SECP256R1),
            "CurveP384" => groups.push(kx_group::SECP384R1),
            other if OTHER_CURVES.contains(&other) => {
                tracing::warn!(
                    "{place}: {other} is left out, as only X25519, CurveP256 and CurveP384 are supported"
                );
            }
            other => return Err(format!("unknown curve {other:?}")),
        }
    }
    if groups.is_empty() {
        return Err("none of X25519, CurveP256 and CurveP384 is among them".to_owned());
    }
    Ok(groups)
}
