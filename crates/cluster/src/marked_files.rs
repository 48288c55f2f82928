//! Certificates and keys in files that a kubeconfig names and that begin with a byte order mark,
//! as some editors write them: the client would not find them behind it.

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::config::{AuthInfo, Cluster};
use remotegpu_primitives::without_byte_order_mark;

/// Puts the authority into the kubeconfig's cluster itself, if its file is marked.
pub(crate) fn take_authority_in(cluster: &mut Cluster) {
    let marked = unmarked(cluster.certificate_authority.as_ref());
    cluster.certificate_authority_data = cluster.certificate_authority_data.take().or(marked);
}

/// The same for a user's certificate and key.
pub(crate) fn take_identity_in(user: &mut AuthInfo) {
    let marked = unmarked(user.client_certificate.as_ref());
    user.client_certificate_data = user.client_certificate_data.take().or(marked);
    let marked = unmarked(user.client_key.as_ref()).map(Into::into);
    user.client_key_data = user.client_key_data.take().or(marked);
}

/// What a marked file holds, as a kubeconfig has it. Whether it can be read at all, the
/// client says.
fn unmarked(path: Option<&String>) -> Option<String> {
    let bytes = std::fs::read(path?).ok()?;
    let text = without_byte_order_mark(&bytes);
    (text.len() < bytes.len()).then(|| STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use crate::connection::Opened;

    #[tokio::test]
    async fn marked_certificates_and_keys_are_read() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["k8s.example".to_owned()]).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
            path
        };
        let certificate = write("tls.crt", made.cert.pem());
        let key = write("tls.key", made.signing_key.serialize_pem());
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {
                "server": "https://[fd00::1]:6443", "certificate-authority": certificate,
            }}],
            "users": [{"name": "a", "user": {
                "client-certificate": certificate, "client-key": key,
            }}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        });
        let opened = Opened::read("a", &kubeconfig.to_string(), None).await;
        let opened = opened.unwrap();
        assert_eq!(opened.server, "https://[fd00::1]:6443");
        opened.transport().map(drop).unwrap();
    }
}
