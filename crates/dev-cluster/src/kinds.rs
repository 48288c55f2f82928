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

/// One kind; all of them are in the version `v1` of their group.
#[derive(Debug)]
pub(crate) struct Kind {
    pub group: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
    pub short: &'static [&'static str],
    pub subresources: &'static [&'static str],
    pub family: Family,
}

pub(crate) const APPS: &str = "apps";
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const ALL_VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// The groups in the order in which discovery lists them.
pub(crate) const GROUPS: &[&str] = &[
    "",
    APPS,
    AUTHENTICATION,
    AUTHORIZATION,
    "batch",
    NETWORKING,
    RBAC,
];

const fn namespaced(group: &'static str, plural: &'static str, kind: &'static str) -> Kind {
    Kind {
        group,
        plural,
        kind,
        namespaced: true,
        short: &[],
        subresources: &[],
        family: Family::Stored,
    }
}

impl Kind {
    const fn cluster_wide(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn short(mut self, short: &'static [&'static str]) -> Self {
        self.short = short;
        self
    }

    const fn subresources(mut self, subresources: &'static [&'static str]) -> Self {
        self.subresources = subresources;
        self
    }

    const fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        group_version(self.group)
    }

    /// `pods` or `deployments.apps`, as messages name it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
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
    if group.is_empty() {
        "v1".to_owned()
    } else {
        format!("{group}/v1")
    }
}

/// The kind that a path names; `None` is outside the table.
pub(crate) fn find(group: &str, plural: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|kind| kind.group == group && kind.plural == plural)
}

/// The kind with this plural, which is unique within the table.
pub(crate) fn by_plural(plural: &str) -> &'static Kind {
    KINDS
        .iter()
        .find(|kind| kind.plural == plural)
        .unwrap_or(&NAMESPACE)
}

const STATUS: &[&str] = &["status"];
const SCALE: &[&str] = &["scale", "status"];

const NAMESPACE: Kind = namespaced("", "namespaces", "Namespace")
    .cluster_wide()
    .short(&["ns"])
    .subresources(STATUS);

/// What a service account's `token` subresource takes; it has no path of its own.
pub(crate) const TOKEN_REQUEST: Kind = namespaced(AUTHENTICATION, "tokenrequests", "TokenRequest");

pub(crate) static KINDS: &[Kind] = &[
    namespaced("", "configmaps", "ConfigMap").short(&["cm"]),
    namespaced("", "endpoints", "Endpoints").short(&["ep"]),
    namespaced("", "events", "Event").short(&["ev"]),
    namespaced("", "limitranges", "LimitRange").short(&["limits"]),
    NAMESPACE,
    namespaced("", "nodes", "Node")
        .cluster_wide()
        .short(&["no"])
        .family(Family::ReadOnly),
    namespaced("", "persistentvolumeclaims", "PersistentVolumeClaim")
        .short(&["pvc"])
        .subresources(STATUS),
    namespaced("", "pods", "Pod")
        .short(&["po"])
        .subresources(&["log", "status"]),
    namespaced("", "resourcequotas", "ResourceQuota")
        .short(&["quota"])
        .subresources(STATUS),
    namespaced("", "secrets", "Secret"),
    namespaced("", "serviceaccounts", "ServiceAccount")
        .short(&["sa"])
        .subresources(&["token"]),
    namespaced("", "services", "Service")
        .short(&["svc"])
        .subresources(STATUS),
    namespaced(APPS, "daemonsets", "DaemonSet")
        .short(&["ds"])
        .subresources(STATUS),
    namespaced(APPS, "deployments", "Deployment")
        .short(&["deploy"])
        .subresources(SCALE),
    namespaced(APPS, "replicasets", "ReplicaSet")
        .short(&["rs"])
        .subresources(SCALE),
    namespaced(APPS, "statefulsets", "StatefulSet")
        .short(&["sts"])
        .subresources(SCALE),
    namespaced(AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview")
        .cluster_wide()
        .family(Family::Review),
    namespaced(AUTHENTICATION, "tokenreviews", "TokenReview")
        .cluster_wide()
        .family(Family::Review),
    namespaced(
        AUTHORIZATION,
        "localsubjectaccessreviews",
        "LocalSubjectAccessReview",
    )
    .family(Family::Review),
    namespaced(
        AUTHORIZATION,
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
    )
    .cluster_wide()
    .family(Family::Review),
    namespaced(
        AUTHORIZATION,
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
    )
    .cluster_wide()
    .family(Family::Review),
    namespaced(AUTHORIZATION, "subjectaccessreviews", "SubjectAccessReview")
        .cluster_wide()
        .family(Family::Review),
    namespaced("batch", "cronjobs", "CronJob")
        .short(&["cj"])
        .subresources(STATUS),
    namespaced("batch", "jobs", "Job").subresources(STATUS),
    namespaced(NETWORKING, "ingresses", "Ingress")
        .short(&["ing"])
        .subresources(STATUS),
    namespaced(NETWORKING, "networkpolicies", "NetworkPolicy").short(&["netpol"]),
    namespaced(RBAC, "clusterrolebindings", "ClusterRoleBinding").cluster_wide(),
    namespaced(RBAC, "clusterroles", "ClusterRole").cluster_wide(),
    namespaced(RBAC, "rolebindings", "RoleBinding"),
    namespaced(RBAC, "roles", "Role"),
];
