//! Certificates and passwords, as a user gives them to a daemon.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;

use crate::daemon::{Daemon, run, text};

/// bcrypt of `pass-marked`.
const HASH: &str = "$2y$04$abcdefghijklmnopqrstuuDw920Esz44zGEGFa7IMAbQcTeLE5E5i";

/// Files of certificates, and the authority that signs them.
pub(crate) struct Files {
    dir: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(dir.path().join("ca.pem"), authority.pem())?;
        Ok(Self { dir, authority })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn flag(&self, flag: &str, name: &str) -> String {
        format!("--{flag}={}", self.path(name).display())
    }

    /// Writes a new `<name>.pem` and `<name>.key`; returns the key.
    pub(crate) fn issue(
        &self,
        name: &str,
        purpose: ExtendedKeyUsagePurpose,
    ) -> anyhow::Result<String> {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![purpose];
        params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority)?;
        fs::write(self.path(&format!("{name}.pem")), certificate.pem())?;
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem())?;
        Ok(key.serialize_pem())
    }
}

/// ann:pass-marked
const ANN: &str = "Authorization: Basic YW5uOnBhc3MtbWFya2Vk\r\n";

/// The answer to a request over TLS.
fn https(address: &str, ca: &Path, path: &str, authorization: &str) -> anyhow::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1")?;
    let client = ClientConnection::new(Arc::new(config), name)?;
    let mut stream = StreamOwned::new(client, TcpStream::connect(address)?);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\n{authorization}Connection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_store_with_certificates_and_users_serves_those_who_have_them_and_shows_no_secret()
-> anyhow::Result<()> {
    let files = Files::new()?;
    let mut secrets = vec![files.issue("server", ExtendedKeyUsagePurpose::ServerAuth)?];
    secrets.push(files.issue("client", ExtendedKeyUsagePurpose::ClientAuth)?);
    fs::write(
        files.path("web.yaml"),
        format!(
            "tls_server_config: {{cert_file: server.pem, key_file: server.key}}\nbasic_auth_users: {{ann: {HASH}}}\n"
        ),
    )?;
    fs::create_dir(files.path("bucket"))?;
    let bucket = format!(
        "--objstore.config={{type: FILESYSTEM, config: {{directory: {}}}}}",
        files.path("bucket").display()
    );
    let mut store = Daemon::start(&[
        "store",
        &bucket,
        &files.flag("data-dir", "data"),
        "--http-address=127.0.0.1:0",
        "--grpc-address=127.0.0.1:0",
        "--log.level=debug",
        &files.flag("grpc-server-tls-cert", "server.pem"),
        &files.flag("grpc-server-tls-key", "server.key"),
        &files.flag("grpc-server-tls-client-ca", "ca.pem"),
        &files.flag("http.config", "web.yaml"),
    ])?;
    let http = store.address("listening for service metrics")?;
    let grpc = store.address("listening for serving gRPC")?;
    let endpoint = format!("--endpoint={grpc}");
    let ca = files.flag("grpc-client-tls-ca", "ca.pem");
    let cert = files.flag("grpc-client-tls-cert", "client.pem");
    let key = files.flag("grpc-client-tls-key", "client.key");
    let series = |more: &[&str]| {
        let asked = [
            "tools",
            "series",
            &endpoint,
            "--grpc-client-tls-secure",
            "up",
        ];
        run(&[&asked[..], more].concat())
    };
    let answer = series(&[&ca, &cert, &key, "--wait=60s"])?;
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    // Nobody without a certificate, and nobody who expects another server.
    for refused in [
        &[ca.as_str()][..],
        &["--grpc-client-tls-skip-verify"],
        &[&cert, &key],
    ] {
        let answer = series(refused)?;
        assert!(!answer.status.success(), "{refused:?}");
    }
    let metrics = https(&http, &files.path("ca.pem"), "/metrics", ANN)?;
    assert!(metrics.starts_with("HTTP/1.1 200 "), "{metrics}");
    assert!(
        metrics.contains("varve_grpc_tls_last_reload_successful 1\n"),
        "{metrics}"
    );
    for path in ["/metrics", "/", "/api/v1/blocks", "/api/v1/status/flags"] {
        let nobody = https(&http, &files.path("ca.pem"), path, "")?;
        assert!(nobody.starts_with("HTTP/1.1 401 "), "{path}: {nobody}");
        let ann = https(&http, &files.path("ca.pem"), path, ANN)?;
        assert!(ann.starts_with("HTTP/1.1 200 "), "{path}: {ann}");
        assert!(!ann.contains("FILESYSTEM"), "{path}: {ann}");
    }
    // It is read again on request, if not before; what is broken changes nothing.
    secrets.push(files.issue("server", ExtendedKeyUsagePurpose::ServerAuth)?);
    store.signal("-HUP")?;
    store.says("the certificates of gRPC were read again")?;
    let answer = series(&[&ca, &cert, &key])?;
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    fs::write(files.path("server.pem"), "nothing")?;
    store.signal("-HUP")?;
    store.says("the certificates of gRPC cannot be used; those from before stay in use")?;
    let answer = series(&[&ca, &cert, &key])?;
    assert!(answer.status.success(), "{}", text(&answer.stderr));
    let said = store.end()?;
    let named = format!(
        "{}: no certificate in PEM",
        files.path("server.pem").display()
    );
    assert!(said.contains(&named), "{said}");
    secrets.push(HASH.to_owned());
    secrets.push("pass-marked".to_owned());
    for secret in &secrets {
        // The first line of a key is no secret.
        for line in secret.lines().filter(|line| !line.starts_with("-----")) {
            assert!(
                !said.contains(line) && !metrics.contains(line),
                "{line}: {said}"
            );
        }
    }
    Ok(())
}
