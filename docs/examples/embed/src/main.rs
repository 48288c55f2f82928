//! Issues an API key, checks it when it comes back, and renders the kubeconfig that uses it.

use std::collections::HashMap;
use std::error::Error;

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use remotegpu_keys::{HashedApiKey, PlainApiKey};
use remotegpu_kubeconfig::{ClusterEndpoint, ExecContext, Plugin, filename, render_exec};
use remotegpu_scopes::Scopes;

/// What the service remembers of its keys: hashes, never the keys themselves.
#[derive(Default)]
struct Keys(HashMap<HashedApiKey, Scopes>);

impl Keys {
    fn issue(&mut self, scopes: Scopes) -> PlainApiKey {
        let key = PlainApiKey::generate(&mut UnwrapErr(SysRng));
        self.0.insert(key.hash(), scopes);
        key
    }

    /// What a presented text may do. A text that is malformed is refused without a look-up.
    fn check(&self, presented: &str) -> Option<&Scopes> {
        let key = PlainApiKey::parse(presented).ok()?;
        self.0.get(&key.hash())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let payload =
        r#"{"kubernetes_exec": {"namespace_ids": ["0198c0de-0000-7000-8000-000000000001"]}}"#;
    let scopes = Scopes::parse(payload)?;
    let namespace = scopes.namespace_ids().next().ok_or("no namespace")?;

    let mut keys = Keys::default();
    let key = keys.issue(scopes);

    let allowed = keys.check(key.reveal()).ok_or("the key is unknown")?;
    assert!(allowed.allow_kubernetes_exec(namespace));
    assert!(!allowed.allow_inference());
    assert!(keys.check("rgpu_made_up").is_none());

    let context = ExecContext {
        cluster: ClusterEndpoint {
            name: "fra1".into(),
            server: "https://fra1.clusters.example.com".into(),
            certificate_authority_pem: None,
        },
        kubernetes_namespace: "team-ml-x7k2pq".into(),
        exec_credential_url: format!(
            "https://api.example.com/namespaces/{namespace}/exec-credential"
        ),
    };
    let kubeconfig = render_exec(&[context], Plugin::Remotegpu)?;
    assert!(!kubeconfig.contains(key.reveal()));

    println!(
        "# {} for the key {}...",
        filename("team-ml"),
        key.prefix().as_str()
    );
    print!("{kubeconfig}");
    Ok(())
}
