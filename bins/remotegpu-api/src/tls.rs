//! The server's own certificates (contract A7, T6).

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result, bail};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::{config::TlsFiles, text_files::read_bytes};

/// The certificate that a listener shows, and its key; another pair may replace them while
/// it serves.
#[derive(Debug)]
pub struct OwnCertificate {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
}

impl OwnCertificate {
    /// Reads the certificate chain and its key.
    pub fn read(files: &TlsFiles) -> Result<Arc<Self>> {
        let current = RwLock::new(Arc::new(read_pair(files)?));
        Ok(Arc::new(Self {
            files: files.clone(),
            current,
        }))
    }

    /// Where it comes from.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Reads both files again. Who connects from now on sees what they hold, unless it
    /// is no pair.
    pub fn read_again(&self) -> Result<()> {
        let pair = Arc::new(read_pair(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(())
    }

    /// How connections are encrypted.
    pub fn server_config(self: &Arc<Self>) -> ServerConfig {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(resolver)
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

fn read_pair(files: &TlsFiles) -> Result<CertifiedKey> {
    let [cert_setting, key_setting] = files.settings;
    let chain: Vec<CertificateDer<'static>> = read_bytes(&files.cert)
        .map_err(pem::Error::Io)
        .and_then(|text| CertificateDer::pem_slice_iter(&text).collect())
        .with_context(|| {
            format!(
                "{cert_setting}: {} is no readable certificate in PEM",
                files.cert.display()
            )
        })?;
    if chain.is_empty() {
        bail!(
            "{cert_setting}: {} holds no certificate",
            files.cert.display()
        );
    }
    let key = read_bytes(&files.key)
        .map_err(pem::Error::Io)
        .and_then(|text| PrivateKeyDer::from_pem_slice(&text))
        .with_context(|| {
            format!(
                "{key_setting}: {} is no readable private key in PEM",
                files.key.display()
            )
        })?;
    let provider = CryptoProvider::get_default().context("TLS is not available")?;
    CertifiedKey::from_der(chain, key, provider).with_context(|| {
        format!(
            "{key_setting}: {} is not the key of {}",
            files.key.display(),
            files.cert.display()
        )
    })
}
