//! What an API server is given so that it asks us who a token is (contract T6): a file in the
//! form of a kubeconfig.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::manifest::{ManifestError, comment, yaml};

/// How an API server asks.
#[derive(Clone, Copy)]
pub struct TokenWebhook<'a> {
    /// The cluster, as we call it.
    pub cluster: &'a str,
    /// Where it asks.
    pub url: &'a str,
    /// Whose certificates it believes, as PEM.
    pub ca_pem: &'a str,
    /// The cluster's own credential.
    pub credential: &'a str,
}

const HEAD: [&str; 4] = [
    "This file holds a secret: keep it where only the API server reads it, with mode 0600.",
    "Start each API server of the cluster with --authentication-token-webhook-config-file=FILE \
     --authentication-token-webhook-version=v1 --authentication-token-webhook-cache-ttl=10s",
    "The version: without the flag it asks in v1beta1, which is refused.",
    "The cache: for so long a deleted token, a removed member or a changed role still counts. \
     Without the flag that is two minutes.",
];

/// The file, which holds a secret.
pub fn token_webhook_config(webhook: TokenWebhook<'_>) -> Result<String, ManifestError> {
    let mut text = String::new();
    for sentence in HEAD {
        comment(&mut text, sentence);
    }
    text.push_str(&yaml(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "remotegpu", "cluster": {
            "server": webhook.url,
            "certificate-authority-data": STANDARD.encode(webhook.ca_pem),
        }}],
        "users": [{"name": webhook.cluster, "user": {"token": webhook.credential}}],
        "contexts": [{"name": "remotegpu", "context": {
            "cluster": "remotegpu", "user": webhook.cluster,
        }}],
        "current-context": "remotegpu",
    }))?);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_file_says_where_by_what_and_how_to_start_the_api_server() {
        // T6
        let text = token_webhook_config(TokenWebhook {
            cluster: "eu",
            url: "https://api.example.org:8443/webhooks/token-review/eu",
            ca_pem: "PEM",
            credential: "rgwh_a",
        })
        .unwrap();
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        let server = &read["clusters"][0]["cluster"];
        assert_eq!(server["certificate-authority-data"], "UEVN");
        assert!(
            server["server"]
                .as_str()
                .unwrap()
                .ends_with("/token-review/eu")
        );
        assert_eq!(read["users"][0]["user"]["token"], "rgwh_a");
        assert_eq!(read["contexts"][0]["name"], read["current-context"]);
        let said: String = text.lines().filter(|line| line.starts_with('#')).collect();
        for flag in ["-version=v1", "-cache-ttl=10s", "-config-file=FILE", "0600"] {
            assert!(said.contains(flag), "{flag}");
        }
    }
}
