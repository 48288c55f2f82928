//! Certificates that no authority has signed.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what cannot be made ends the test"
)]

use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

/// What a server of these names speaks TLS with, and the certificate that its clients have
/// to trust, in PEM.
pub fn self_signed<const N: usize>(names: [&str; N]) -> (ServerConfig, String) {
    let made = rcgen::generate_simple_self_signed(names.map(str::to_owned)).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (config, made.cert.pem())
}
