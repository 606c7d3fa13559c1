use std::path::PathBuf;

use super::*;

/// The error for these files.
fn refused(files: &Files, change: impl FnOnce(&mut GrpcTlsOptions)) -> String {
    let mut options = options(files);
    change(&mut options);
    let opened = GrpcTls::open(&options, &Metrics::new(), &Reload::new());
    let error = opened.unwrap_err();
    // Neither form may show more than the other is tested for.
    format!("{error} {error:?}")
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_its_secrets_are_not_shown() {
    let (files, authority) = (Files::new(), Authority::new("ours"));
    let good = authority.server();
    let named = |name: &str, text: &str| format!("{}: {text}", files.path(name).display());
    let missing = refused(&files, |_| {});
    assert!(
        missing.starts_with(&named("server.pem", "No such file")),
        "{missing}"
    );
    files.identity("server", &good);
    let marked = "c2VjcmV0LW1hcmtlZA";
    for (key, text) in [
        (String::new(), "no private key in PEM that is not encrypted"),
        (
            good.certificate.clone(),
            "no private key in PEM that is not encrypted",
        ),
        (
            format!("-----BEGIN PRIVATE KEY----- {marked}\n"),
            "a section of PEM has no valid first line",
        ),
        (
            format!("-----BEGIN PRIVATE KEY-----\n{marked}\n"),
            "a section of PEM has no end",
        ),
        (
            format!("-----BEGIN PRIVATE KEY-----\n{marked}?\n-----END PRIVATE KEY-----\n"),
            "a section of PEM is no valid base64",
        ),
    ] {
        files.write("server.key", &key);
        let error = refused(&files, |_| {});
        assert!(error.starts_with(&named("server.key", text)), "{error}");
        assert!(!error.contains(marked), "{error}");
    }
    files.write("server.key", authority.server().key);
    let mismatched = refused(&files, |_| {});
    let text = format!(
        "it does not match the key of {}",
        files.path("server.key").display()
    );
    assert!(
        mismatched.starts_with(&named("server.pem", &text)),
        "{mismatched}"
    );
    files.identity("server", &good);
    files.write("ca.pem", "nothing");
    let empty = refused(&files, |options| {
        options.client_ca_file = Some(files.path("ca.pem"));
    });
    assert!(
        empty.starts_with(&named("ca.pem", "no certificate in PEM")),
        "{empty}"
    );
}

#[test]
fn names_of_suites_and_curves_are_gos_and_unknown_ones_are_named() {
    let (files, authority) = (Files::new(), Authority::new("ours"));
    files.identity("server", &authority.server());
    let strings = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let mut known = options(&files);
    known.cipher_suites = strings(&[
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_AES_128_GCM_SHA256",
    ]);
    known.curves = strings(&["CurveP521", "CurveP256"]);
    let tls = GrpcTls::open(&known, &Metrics::new(), &Reload::new()).unwrap();
    let config = tls.config();
    let provider = config.crypto_provider();
    // One of TLS 1.2, all three of TLS 1.3.
    assert_eq!(provider.cipher_suites.len(), 4);
    assert_eq!(provider.kx_groups.len(), 1);
    for (suites, curves, text) in [
        (
            &["TLS_WHAT"][..],
            &[][..],
            "--grpc-server-tls-ciphers: unknown cipher suite \"TLS_WHAT\"",
        ),
        (
            &["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"],
            &[],
            "--grpc-server-tls-ciphers: no supported cipher suite of TLS 1.2 is among them",
        ),
        (
            &[],
            &["P256"],
            "--grpc-server-tls-curves: unknown curve \"P256\"",
        ),
        (
            &[],
            &["CurveP521"],
            "--grpc-server-tls-curves: none of X25519, CurveP256 and CurveP384 is among them",
        ),
    ] {
        let error = refused(&files, |options| {
            options.cipher_suites = strings(suites);
            options.curves = strings(curves);
        });
        assert!(error.starts_with(text), "{error}");
    }
}

#[test]
fn versions_that_are_not_safe_are_refused_with_the_reason() {
    assert_eq!("1.2".parse(), Ok(TlsVersion::V12));
    assert_eq!("TLS13".parse(), Ok(TlsVersion::V13));
    for old in ["1.0", "1.1", "TLS10", "TLS11"] {
        let error = old.parse::<TlsVersion>().unwrap_err();
        assert!(
            error.contains("not supported, as it is not safe"),
            "{error}"
        );
    }
    let error = "2".parse::<TlsVersion>().unwrap_err();
    assert_eq!(error, "expected TLS 1.2 or 1.3, found \"2\"");
}

#[test]
fn a_client_names_its_own_file_that_is_missing() {
    let nowhere = PathBuf::from("/nowhere/client.pem");
    let client = GrpcClientTls {
        identity: Some((nowhere.clone(), nowhere)),
        verification: Verification::Off,
        ..GrpcClientTls::default()
    };
    let error = GrpcConnector::open(&client).unwrap_err().to_string();
    assert!(
        error.starts_with("/nowhere/client.pem: No such file"),
        "{error}"
    );
}
