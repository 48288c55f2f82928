//! What makes the cluster itself over restarts: its CA, its key for tokens and its administrator.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use p256::ecdsa::SigningKey;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{error::DevClusterError, journal::private_file};

const FILE: &str = "identity.json";
const VALID_YEARS: i32 = 20;
/// Addresses that every certificate is for.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// One file, so that a crash leaves all of it or nothing.
#[derive(Serialize, Deserialize)]
struct Stored {
    ca_pem: String,
    server_pem: String,
    server_key_pem: String,
    token_key_pem: String,
    admin_token: String,
    /// Another address that the server's certificate is for.
    #[serde(default)]
    address: Option<IpAddr>,
}

pub(crate) struct Identity {
    pub ca_pem: String,
    pub admin_token: String,
    pub token_key: SigningKey,
    stored: Stored,
}

impl Identity {
    /// Reads the folder's identity, or makes one at the first start, for clients that reach the server
    /// at `address`.
    pub fn open(folder: &Path, address: IpAddr) -> Result<Self, DevClusterError> {
        let path = folder.join(FILE);
        let failed = |error| DevClusterError::Folder(path.clone(), error);
        let stored = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Stored>(&bytes)
                .map_err(|error| DevClusterError::Corrupt(path.clone(), error.to_string()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let stored = generate(address).map_err(|error| DevClusterError::Certificates(error.to_string()))?;
                let new_path = path.with_extension("new");
                let mut new =
                    private_file().append(false).write(true).truncate(true).open(&new_path).map_err(failed)?;
                let text = json!(stored).to_string();
                new.write_all(text.as_bytes()).and_then(|()| new.sync_all()).map_err(failed)?;
                std::fs::rename(&new_path, &path).map_err(failed)?;
                stored
            }
            Err(error) => return Err(failed(error)),
        };
        if !LOOPBACK.contains(&address) && stored.address != Some(address) {
            return Err(DevClusterError::NotCertified(address, folder.to_owned()));
        }
        let token_key = SigningKey::from_pkcs8_pem(&stored.token_key_pem)
            .map_err(|error| DevClusterError::Corrupt(path.clone(), error.to_string()))?;
        Ok(Self { ca_pem: stored.ca_pem.clone(), admin_token: stored.admin_token.clone(), token_key, stored })
    }

    pub fn tls(&self) -> Result<rustls::ServerConfig, DevClusterError> {
        let failed = |error: &dyn std::fmt::Display| DevClusterError::Certificates(error.to_string());
        let chain = CertificateDer::pem_slice_iter(self.stored.server_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| failed(&error))?;
        let key =
            PrivateKeyDer::from_pem_slice(self.stored.server_key_pem.as_bytes()).map_err(|error| failed(&error))?;
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| failed(&error))
    }
}

/// Makes everything new. The CA's own key is dropped: nothing else is ever signed with it.
fn generate(address: IpAddr) -> Result<Stored, Box<dyn std::error::Error>> {
    let this_year = time::OffsetDateTime::now_utc().year();
    let dated = |mut params: CertificateParams, name: &str| {
        params.not_before = rcgen::date_time_ymd(this_year - 1, 1, 1);
        params.not_after = rcgen::date_time_ymd(this_year + VALID_YEARS, 1, 1);
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut ca = dated(CertificateParams::default(), "remotegpu-dev-cluster-ca");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca_key = KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();

    let own = Some(address).filter(|own| !LOOPBACK.contains(own));
    let addresses = LOOPBACK.into_iter().chain(own).map(|address| address.to_string());
    let names = ["localhost", "kubernetes", "kubernetes.default.svc"].map(str::to_owned);
    let names = names.into_iter().chain(addresses).collect::<Vec<_>>();
    let mut server = dated(CertificateParams::new(names)?, "remotegpu-dev-cluster");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let server_key = KeyPair::generate()?;
    let server_pem = server.signed_by(&server_key, &Issuer::from_params(&ca, &ca_key))?.pem();

    // Fewer than one in four billion values is no P-256 scalar, so the first one is nearly always taken.
    let token_key = std::iter::repeat_with(rand::random::<[u8; 32]>)
        .find_map(|bytes| SigningKey::from_slice(&bytes).ok())
        .ok_or("no signing key")?;
    Ok(Stored {
        ca_pem,
        server_pem,
        server_key_pem: server_key.serialize_pem(),
        token_key_pem: token_key.to_pkcs8_pem(LineEnding::LF)?.to_string(),
        admin_token: rand::random::<[u8; 32]>().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")),
        address: own,
    })
}

/// The administrator's kubeconfig for a server at `url`.
pub(crate) fn kubeconfig(url: &str, ca_pem: &str, token: &str) -> String {
    use base64::Engine as _;
    let ca = base64::engine::general_purpose::STANDARD.encode(ca_pem);
    let name = "remotegpu-dev-cluster";
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": ca}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    });
    // JSON is YAML too, so the answer is right even where the YAML library refuses.
    serde_saphyr::to_string(&config).unwrap_or_else(|_| config.to_string())
}
