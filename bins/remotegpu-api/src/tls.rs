//! The API's own certificate (contract A7).

use anyhow::{Context, Result, bail};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::config::TlsFiles;

/// Reads the certificate chain and its key.
pub fn server_config(files: &TlsFiles) -> Result<ServerConfig> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .with_context(|| {
            format!(
                "tls_cert: {} is no readable certificate in PEM",
                files.cert.display()
            )
        })?;
    if chain.is_empty() {
        bail!("tls_cert: {} holds no certificate", files.cert.display());
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).with_context(|| {
        format!(
            "tls_key: {} is no readable private key in PEM",
            files.key.display()
        )
    })?;
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| {
            format!(
                "tls_key: {} is not the key of {}",
                files.key.display(),
                files.cert.display()
            )
        })
}
