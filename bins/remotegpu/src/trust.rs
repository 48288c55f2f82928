//! Whose certificates are believed: those of one file, or the system's, or, where the system has
//! none, the public ones that come with this program.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustls_native_certs::{load_certs_from_paths, load_native_certs};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Whose certificates are believed.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TrustOptions {
    /// File with the certificate authorities to trust, in PEM, instead of the system's.
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        env = "REMOTEGPU_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,
}

impl TrustOptions {
    pub fn root_certificates(&self) -> Result<RootCerts> {
        match &self.ca_file {
            Some(path) => read_certificates(path),
            None => system_certificates(),
        }
    }

    /// What to try where nobody who is trusted has signed.
    pub fn advice(&self) -> String {
        match &self.ca_file {
            Some(path) => format!(
                "only {} is trusted, which REMOTEGPU_CA_FILE or --ca-file names",
                path.display()
            ),
            None => "name the file of its certificate authority with REMOTEGPU_CA_FILE".to_owned(),
        }
    }
}

fn read_certificates(path: &Path) -> Result<RootCerts> {
    let named = || {
        let path = path.display();
        format!("cannot read {path}, which REMOTEGPU_CA_FILE or --ca-file names")
    };
    let pem = std::fs::read(path).with_context(named)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.with_context(named)? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        bail!(
            "{} holds no certificate; REMOTEGPU_CA_FILE or --ca-file names it",
            path.display()
        );
    }
    Ok(RootCerts::from(certificates))
}

/// As `kubectl` and curl find them: `SSL_CERT_FILE` and `SSL_CERT_DIR` take the place of what the
/// system has.
fn system_certificates() -> Result<RootCerts> {
    let mut found = load_native_certs().certs;
    if found.is_empty() {
        let named = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
            if named(name) {
                bail!("{name} names nothing that holds a certificate");
            }
        }
        // A variable that is empty would have stood in the way.
        let probed = openssl_probe::probe();
        let folder = probed.cert_dir.first().map(PathBuf::as_path);
        found = load_certs_from_paths(probed.cert_file.as_deref(), folder).certs;
    }
    if found.is_empty() {
        return Ok(RootCerts::WebPki);
    }
    let certificates = found
        .iter()
        .map(|found| Certificate::from_der(found).to_owned());
    Ok(RootCerts::from(certificates.collect::<Vec<_>>()))
}
