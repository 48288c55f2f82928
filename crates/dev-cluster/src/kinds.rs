//! The kinds that the development cluster knows: the table of the README as data.

/// What can be done with a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    /// Objects are stored; every verb works.
    Stored,
    /// Nothing makes these here, so the list is always empty.
    ReadOnly,
    /// A question with an answer; it is created and never stored.
    Review,
}

type Text = &'static str;
type Texts = &'static [&'static str];

/// One kind; all of them are in the version `v1` of their group.
#[derive(Debug)]
pub(crate) struct Kind {
    pub group: &'static str,
    pub plural: &'static str,
    pub name: &'static str,
    pub namespaced: bool,
    pub short: &'static [&'static str],
    pub subresources: &'static [&'static str],
    pub family: Family,
}

pub(crate) const APPS: &str = "apps";
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The groups in the order in which discovery lists them.
pub(crate) const GROUPS: &[&str] = &["", ADMISSION, APPS, AUTHENTICATION, AUTHORIZATION, "batch", NETWORKING, RBAC];

/// A kind whose objects are in namespaces.
const fn spaced(group: Text, plural: Text, name: Text, short: Texts, subresources: Texts) -> Kind {
    Kind { group, plural, name, namespaced: true, short, subresources, family: Family::Stored }
}

/// A kind whose objects are in no namespace.
const fn wide(group: Text, plural: Text, name: Text, short: Texts, subresources: Texts) -> Kind {
    Kind { namespaced: false, ..spaced(group, plural, name, short, subresources) }
}

/// A question with an answer.
const fn review(group: Text, plural: Text, name: Text, namespaced: bool) -> Kind {
    Kind { namespaced, family: Family::Review, ..spaced(group, plural, name, &[], &[]) }
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        group_version(self.group)
    }

    /// `pods` or `deployments.apps`, as messages name it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    pub fn verbs(&self) -> &'static [&'static str] {
        match self.family {
            Family::Stored => ALL_VERBS,
            Family::ReadOnly => &["get", "list", "watch"],
            Family::Review => &["create"],
        }
    }

    /// Whether `metadata.generation` counts changes of the spec.
    pub fn has_generation(&self) -> bool {
        matches!(self.group, APPS | "batch" | NETWORKING)
    }

    pub fn has_status(&self) -> bool {
        self.subresources.contains(&"status")
    }
}

pub(crate) fn group_version(group: &str) -> String {
    if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") }
}

/// The kind that a path names; `None` is outside the table.
pub(crate) fn find(group: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.group == group && kind.plural == plural)
}

/// The kind with this plural, which is unique within the table.
pub(crate) fn by_plural(plural: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.plural == plural).unwrap_or(&NAMESPACE)
}

const STATUS: Texts = &["status"];
const SCALE: Texts = &["scale", "status"];

/// What a service account's `token` subresource takes; it has no path of its own.
pub(crate) const TOKEN_REQUEST: Kind = review(AUTHENTICATION, "tokenrequests", "TokenRequest", true);
const NAMESPACE: Kind = wide("", "namespaces", "Namespace", &["ns"], STATUS);

pub(crate) static KINDS: &[Kind] = &[
    spaced("", "configmaps", "ConfigMap", &["cm"], &[]),
    spaced("", "endpoints", "Endpoints", &["ep"], &[]),
    spaced("", "events", "Event", &["ev"], &[]),
    spaced("", "limitranges", "LimitRange", &["limits"], &[]),
    NAMESPACE,
    Kind { family: Family::ReadOnly, ..wide("", "nodes", "Node", &["no"], &[]) },
    spaced("", "persistentvolumeclaims", "PersistentVolumeClaim", &["pvc"], STATUS),
    spaced("", "pods", "Pod", &["po"], &["log", "status"]),
    spaced("", "resourcequotas", "ResourceQuota", &["quota"], STATUS),
    spaced("", "secrets", "Secret", &[], &[]),
    spaced("", "serviceaccounts", "ServiceAccount", &["sa"], &["token"]),
    spaced("", "services", "Service", &["svc"], STATUS),
    wide(ADMISSION, "validatingadmissionpolicies", "ValidatingAdmissionPolicy", &[], STATUS),
    wide(ADMISSION, "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", &[], &[]),
    spaced(APPS, "daemonsets", "DaemonSet", &["ds"], STATUS),
    spaced(APPS, "deployments", "Deployment", &["deploy"], SCALE),
    spaced(APPS, "replicasets", "ReplicaSet", &["rs"], SCALE),
    spaced(APPS, "statefulsets", "StatefulSet", &["sts"], SCALE),
    review(AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview", false),
    review(AUTHENTICATION, "tokenreviews", "TokenReview", false),
    review(AUTHORIZATION, "localsubjectaccessreviews", "LocalSubjectAccessReview", true),
    review(AUTHORIZATION, "selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
    review(AUTHORIZATION, "selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
    review(AUTHORIZATION, "subjectaccessreviews", "SubjectAccessReview", false),
    spaced("batch", "cronjobs", "CronJob", &["cj"], STATUS),
    spaced("batch", "jobs", "Job", &[], STATUS),
    spaced(NETWORKING, "ingresses", "Ingress", &["ing"], STATUS),
    spaced(NETWORKING, "networkpolicies", "NetworkPolicy", &["netpol"], &[]),
    wide(RBAC, "clusterrolebindings", "ClusterRoleBinding", &[], &[]),
    wide(RBAC, "clusterroles", "ClusterRole", &[], &[]),
    spaced(RBAC, "rolebindings", "RoleBinding", &[], &[]),
    spaced(RBAC, "roles", "Role", &[], &[]),
];
