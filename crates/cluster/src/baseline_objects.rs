//! The objects of the tenant baseline in one namespace: how they are made, and
//! whether they are as they should be.

use std::collections::BTreeMap;

use http::StatusCode;
use k8s_openapi::api::{
    core::v1::{ResourceQuota, ServiceAccount},
    networking::v1::NetworkPolicy,
    rbac::v1::RoleBinding,
};
use kube::Resource;
use remotegpu_namespaces::{ClusterError, Namespace};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    TenantBaseline,
    account_bindings::{AccountBinding, BINDINGS, RoleRef},
    cluster::KubeCluster,
    labels::{ACCOUNT_ID, FIELD_MANAGER, MANAGED_BY, NAMESPACE_ID, OURS},
    listing::Listed,
    placement::Placement,
    request::{Ask, Fault, item},
};

/// The quotas' names, and that of the network policy: the control plane's rights
/// are bound to these.
pub(crate) const QUOTAS: [&str; 3] = [
    "remotegpu-objects",
    "remotegpu-compute",
    "remotegpu-best-effort",
];
pub(crate) const NETWORK_POLICY: &str = "remotegpu-tenant";
/// The account that pods run as which name none. The cluster makes it; it is the
/// one object that we change without having made it.
pub(crate) const DEFAULT_ACCOUNT: &str = "default";

/// How often an object that somebody else changes at the same time is tried.
const ATTEMPTS: usize = 4;

/// The labels of everything that is ours in the namespace.
pub(crate) fn owner_labels(namespace: &str, account: &str) -> BTreeMap<String, String> {
    [
        (MANAGED_BY, OURS),
        (NAMESPACE_ID, namespace),
        (ACCOUNT_ID, account),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn account_of(labels: &BTreeMap<String, String>) -> &str {
    labels.get(ACCOUNT_ID).map_or("", String::as_str)
}

/// The baseline as it is compared and applied, the same for every namespace.
pub(crate) struct Baseline {
    pub(crate) parts: Vec<Part>,
    /// What pods may ask of the scheduler.
    pub(crate) placement: Placement,
    namespace_labels: BTreeMap<String, String>,
}

impl Baseline {
    pub(crate) fn new(profile: &TenantBaseline) -> Self {
        let quotas = [
            profile.object_quota(),
            profile.compute_quota(),
            profile.best_effort_quota(),
        ];
        let quotas = QUOTAS.into_iter().zip(quotas);
        // What keeps traffic out comes first.
        let mut parts = vec![
            Part {
                name: NETWORK_POLICY,
                content: Content::NetworkPolicy(profile.network_policy()),
            },
            Part {
                name: DEFAULT_ACCOUNT,
                content: Content::ServiceAccount,
            },
        ];
        parts.extend(quotas.map(|(name, spec)| Part {
            name,
            content: Content::Quota(spec),
        }));
        // Who may come in comes last.
        parts.extend(BINDINGS.map(|binding| Part {
            name: binding.name,
            content: Content::Binding(binding),
        }));
        let labels = profile.pod_security_labels();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            parts,
            placement: Placement::of(profile),
            namespace_labels: labels.map(owned).into(),
        }
    }

    /// All labels of the namespace itself.
    pub(crate) fn namespace_labels(
        &self,
        mut owner: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        owner.extend(self.namespace_labels.clone());
        owner
    }
}

/// One object of the baseline.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    content: Content,
}

enum Content {
    NetworkPolicy(Value),
    Quota(Value),
    ServiceAccount,
    Binding(AccountBinding),
}

/// What of an object that was found is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    pub(crate) metadata: FoundMetadata,
    spec: Option<Value>,
    status: Option<Value>,
    #[serde(rename = "automountServiceAccountToken")]
    automount: Option<bool>,
    role_ref: Option<RoleRef>,
    subjects: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FoundMetadata {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) namespace: String,
    pub(crate) uid: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    pub(crate) deletion_timestamp: Option<String>,
    #[serde(default)]
    managed_fields: Vec<ManagedFields>,
}

/// Which limits of a quota somebody has set.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ManagedFields {
    manager: String,
    operation: String,
    fields_v1: OwnedFields,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OwnedFields {
    #[serde(rename = "f:spec")]
    spec: OwnedSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OwnedSpec {
    #[serde(rename = "f:hard")]
    hard: Map<String, Value>,
}

impl Listed for Found {
    fn name(&self) -> (&str, &str) {
        (&self.metadata.namespace, &self.metadata.name)
    }
}

impl Found {
    fn read(object: Value) -> Result<Self, ClusterError> {
        serde_json::from_value(object).map_err(|_| Fault::NotInKind.into())
    }

    pub(crate) fn is_going(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// The limits of a quota that we have applied, where the cluster remembers who has.
    fn own_limits(&self) -> impl Iterator<Item = &str> {
        let managed = self.metadata.managed_fields.iter();
        managed
            .filter(|fields| fields.manager == FIELD_MANAGER && fields.operation == "Apply")
            .flat_map(|fields| fields.fields_v1.spec.hard.keys())
            .filter_map(|field| field.strip_prefix("f:"))
    }

    /// Whether it is a namespace whose pods may ask for this and no more.
    pub(crate) fn allows(&self, placement: &Placement) -> bool {
        let found = |name: &str| self.metadata.annotations.get(name).map(String::as_str);
        let wanted = placement.annotations();
        // One that is not there is an empty one.
        let mut wanted = wanted.iter();
        wanted.all(|(name, value)| found(name).unwrap_or_default() == value)
    }

    /// Whether it has all these labels; others do no harm.
    pub(crate) fn has_labels(&self, wanted: &BTreeMap<String, String>) -> bool {
        let labels = &self.metadata.labels;
        wanted
            .iter()
            .all(|(name, value)| labels.get(name) == Some(value))
    }
}

impl Part {
    /// Where such objects are, in one namespace or in all.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        match &self.content {
            Content::NetworkPolicy(_) => NetworkPolicy::url_path(&(), namespace),
            Content::Quota(_) => ResourceQuota::url_path(&(), namespace),
            Content::ServiceAccount => ServiceAccount::url_path(&(), namespace),
            Content::Binding(_) => RoleBinding::url_path(&(), namespace),
        }
    }

    fn manifest(&self, labels: &BTreeMap<String, String>) -> Value {
        let metadata = json!({"name": self.name, "labels": labels});
        match &self.content {
            Content::NetworkPolicy(spec) => json!({
                "apiVersion": NetworkPolicy::api_version(&()), "kind": "NetworkPolicy",
                "metadata": metadata, "spec": spec,
            }),
            Content::Quota(spec) => json!({
                "apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec,
            }),
            Content::ServiceAccount => json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata,
                "automountServiceAccountToken": false,
            }),
            Content::Binding(binding) => json!({
                "apiVersion": RoleBinding::api_version(&()), "kind": "RoleBinding",
                "metadata": metadata, "roleRef": binding.role_ref(),
                "subjects": binding.subjects(account_of(labels)),
            }),
        }
    }

    /// Whether what was found is what stands in the baseline, with these labels.
    pub(crate) fn is_whole(&self, found: &Found, labels: &BTreeMap<String, String>) -> bool {
        let spec = found.spec.as_ref();
        let same = match &self.content {
            Content::NetworkPolicy(wanted) => spec == Some(wanted),
            // A limit that somebody added binds the tenant more, and stays; one that we
            // have set ourselves and want no longer goes.
            Content::Quota(wanted) => spec.is_some_and(|spec| {
                spec["scopes"] == wanted["scopes"]
                    && has_all(&spec["hard"], &wanted["hard"])
                    && found
                        .own_limits()
                        .all(|limit| !wanted["hard"][limit].is_null())
            }),
            Content::ServiceAccount => found.automount == Some(false),
            Content::Binding(binding) => {
                let (role, subjects) = (found.role_ref.as_ref(), found.subjects.as_ref());
                binding.is_whole(role, subjects, account_of(labels))
            }
        };
        same && !found.is_going() && found.has_labels(labels)
    }

    /// Whether it binds already: the API server counts against a quota only once
    /// its controller has taken it up.
    fn is_in_force(&self, found: &Found) -> bool {
        let Content::Quota(wanted) = &self.content else {
            return true;
        };
        let status = found.status.as_ref();
        status.is_some_and(|status| has_all(&status["hard"], &wanted["hard"]))
    }

    /// Whether it may be changed though it does not carry our labels.
    fn is_adopted(&self) -> bool {
        matches!(self.content, Content::ServiceAccount)
    }

    /// Makes the object, or makes it what it should be; answers whether it is in
    /// force.
    pub(crate) async fn ensure(
        &self,
        cluster: &KubeCluster,
        namespace: &Namespace,
    ) -> Result<bool, ClusterError> {
        let id = namespace.id.to_string();
        let labels = owner_labels(&id, &namespace.account_id.to_string());
        let collection = self.collection(Some(namespace.kubernetes_namespace.as_str()));
        let path = item(&collection, self.name)?;
        for _ in 0..ATTEMPTS {
            let mut wanted = self.manifest(&labels);
            let found = cluster.find(path.clone(), "reading the baseline").await?;
            let ask = match found.map(Found::read).transpose()? {
                None if self.is_never_changed() => Ask::post(collection.clone(), &wanted),
                // Not by force: what came in between is looked at first.
                None => Ask::apply_new(&path, &wanted),
                Some(found) if self.is_whole(&found, &labels) => {
                    return Ok(self.is_in_force(&found));
                }
                Some(found) if self.is_ours(&found, &id) && self.is_never_changed() => {
                    let (uid, act) = (&found.metadata.uid, "removing what was bent");
                    cluster.delete(path.clone(), uid, act).await?;
                    continue;
                }
                Some(found) if self.is_ours(&found, &id) => {
                    wanted["metadata"]["uid"] = json!(found.metadata.uid);
                    Ask::apply(&path, &wanted)
                }
                Some(_) => {
                    let name = self.name;
                    return Err(ClusterError::Refused {
                        reason: format!("{name} stands there already and is not ours"),
                    });
                }
            };
            let answer = cluster.ask(&ask).await?;
            if answer.status != StatusCode::CONFLICT {
                let applied = answer.object("applying the baseline")?;
                return Ok(self.is_in_force(&Found::read(applied)?));
            }
        }
        Err(Fault::Unsettled.into())
    }

    /// Whether it is deleted and made anew where it is not as it should be. What a binding
    /// binds to cannot change, and the control plane has no right to change one.
    fn is_never_changed(&self) -> bool {
        matches!(self.content, Content::Binding(_))
    }

    fn is_ours(&self, found: &Found, id: &str) -> bool {
        let label = found.metadata.labels.get(NAMESPACE_ID);
        self.is_adopted() || label.is_some_and(|label| label == id)
    }
}

fn has_all(found: &Value, wanted: &Value) -> bool {
    let wanted = wanted.as_object().into_iter().flatten();
    wanted
        .into_iter()
        .all(|(name, value)| &found[name] == value)
}
