//! A cluster under test, prepared as an operator would.

use std::time::Duration;

use rand::{rand_core::UnwrapErr, rngs::SysRng};
use remotegpu_cluster::{KubeClusters, apply_prerequisites, control_plane_connection};
use remotegpu_namespaces::{
    ClusterAccess, ClusterName, CredentialIdentity, IdentitySubject, KubernetesNamespaceName,
    Namespace, NamespaceName, NamespaceProvisioner, NamespaceStatus,
};
use remotegpu_primitives::{AccountId, ApiKeyId, IdentityId, KeySecretId, NamespaceId};
use remotegpu_test_support::stopwatch::eventually;
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};

use crate::actor::Actor;

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

pub const CREDENTIALS: &str = "/api/v1/namespaces/remotegpu-credentials/serviceaccounts";

pub struct Subject {
    pub admin_kubeconfig: String,
    pub admin: Actor,
    pub clusters: KubeClusters,
    /// Which Kubernetes 1 it is.
    pub minor: u32,
}

impl Subject {
    pub async fn prepare(admin_kubeconfig: String) -> Self {
        apply_prerequisites(&admin_kubeconfig).await.unwrap();
        // What stands already is applied again at every start.
        apply_prerequisites(&admin_kubeconfig).await.unwrap();
        let title = "Under test".to_owned();
        let connection = control_plane_connection(name(), title, &admin_kubeconfig);
        let connection = connection.await.unwrap();
        let admin = Actor::of_kubeconfig(&admin_kubeconfig).await;
        let version = admin.done("GET", "/version", None).await;
        let version = version["gitVersion"].as_str().unwrap();
        Self {
            minor: version.split('.').nth(1).unwrap().parse().unwrap(),
            admin,
            clusters: KubeClusters::connect(vec![connection]).await.unwrap(),
            admin_kubeconfig,
        }
    }

    pub async fn actor(&self, token: &str) -> Actor {
        Actor::with_token(&self.admin_kubeconfig, token).await
    }

    /// A namespace that stands.
    pub async fn namespace(&self, label: &str) -> Namespace {
        let namespace = namespace(label);
        self.clusters.provision(&namespace).await.unwrap();
        namespace
    }

    /// Somebody with the control plane's own account.
    pub async fn control_plane(&self) -> Actor {
        let path =
            "/api/v1/namespaces/remotegpu-system/serviceaccounts/remotegpu-control-plane/token";
        let answer = self.admin.done("POST", path, Some(token_request())).await;
        self.actor(answer["status"]["token"].as_str().unwrap())
            .await
    }
}

pub fn name() -> ClusterName {
    ClusterName::parse("under-test").unwrap()
}

pub fn token_request() -> Value {
    json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": 600},
    })
}

/// A namespace that nobody has made yet.
pub fn namespace(label: &str) -> Namespace {
    Namespace {
        id: NamespaceId::generate(NOW, &mut rng()),
        account_id: AccountId::generate(NOW, &mut rng()),
        name: NamespaceName::from_stored(label.to_owned()),
        kubernetes_namespace: KubernetesNamespaceName::from_stored(format!("{label}-x7k2pq")),
        cluster: name(),
        status: NamespaceStatus::Provisioning.into(),
        message: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// An identity for the namespace, of the making of that millisecond.
pub fn identity(namespace: &Namespace, millis: u64) -> CredentialIdentity {
    CredentialIdentity {
        id: making(millis),
        subject: IdentitySubject::KeySecret {
            key_id: ApiKeyId::generate(NOW, &mut rng()),
            secret_id: KeySecretId::generate(NOW, &mut rng()),
        },
        account_id: namespace.account_id,
        namespace_id: namespace.id,
        kubernetes_namespace: namespace.kubernetes_namespace.clone(),
        cluster: namespace.cluster.clone(),
        access: ClusterAccess::Tenant,
        bound: false,
        ends_at: None,
    }
}

pub fn making(millis: u64) -> IdentityId {
    IdentityId::generate(NOW + Duration::from_millis(millis), &mut rng())
}

fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

pub fn path_of(namespace: &Namespace) -> String {
    format!("/api/v1/namespaces/{}", namespace.kubernetes_namespace)
}

/// Asks until the answer has this status, for at most 15 seconds; says how long
/// it took.
pub async fn until_status(actor: &Actor, path: &str, wanted: u16) -> Duration {
    let what = format!("{path} is {wanted}");
    eventually(&what, Duration::from_secs(15), async || {
        actor.get(path).await.0 == wanted
    })
    .await
}

/// The object bears the marks of ours, and of that namespace (contract N5).
pub fn is_labelled_for(object: &Value, namespace: &Namespace) {
    let labels = &object["metadata"]["labels"];
    for (label, wanted) in [
        ("app.kubernetes.io/managed-by", "remotegpu".to_owned()),
        ("remotegpu.ai/namespace-id", namespace.id.to_string()),
        ("remotegpu.ai/account-id", namespace.account_id.to_string()),
    ] {
        assert_eq!(labels[label], wanted, "{label}");
    }
}
