//! What no right can bound, and admission refuses: rules about the inside of
//! objects that tenants may otherwise write.

use serde_json::{Value, json};

use crate::labels::NAMESPACE_ID;

/// One validating admission policy, and what it is for.
pub(crate) struct Guard {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    group: &'static str,
    resources: &'static [&'static str],
    operations: &'static [&'static str],
    /// Of which kind of object each is a parameter of the rules, and all have to agree.
    parameters: Option<[&'static str; 2]>,
    /// CEL expressions that the rules name.
    variables: &'static [(&'static str, &'static str)],
    /// CEL expressions that have to hold, with the sentence for whom they refuse.
    rules: &'static [(&'static str, &'static str)],
}

/// No probe and no hook of these containers names a host. Containers of different lists
/// have different types in CEL, so that no one expression holds for both.
macro_rules! names_no_host {
    ($containers:literal) => {
        concat!(
            $containers,
            ".all(c, [?c.?livenessProbe.httpGet.host, ?c.?livenessProbe.tcpSocket.host, \
             ?c.?readinessProbe.httpGet.host, ?c.?readinessProbe.tcpSocket.host, \
             ?c.?startupProbe.httpGet.host, ?c.?startupProbe.tcpSocket.host, \
             ?c.?lifecycle.postStart.httpGet.host, ?c.?lifecycle.postStart.tcpSocket.host, \
             ?c.?lifecycle.preStop.httpGet.host, ?c.?lifecycle.preStop.tcpSocket.host]\
             .all(host, host == ''))"
        )
    };
}

/// What the operator lets the pods of this namespace name: a list of words, which the
/// control plane writes on the namespace. Nothing is one empty word.
macro_rules! allowed {
    ($annotation:literal) => {
        concat!(
            "namespaceObject.metadata.?annotations[?'",
            $annotation,
            "'].orValue('').split(',')"
        )
    };
}

const WRITES: [&str; 2] = ["CREATE", "UPDATE"];
/// For fields that no update can change. An update by the cluster itself, which takes
/// a finalizer away, must get through also where the object is older than the guard.
const CREATES: [&str; 1] = ["CREATE"];

pub(crate) const GUARDS: [Guard; 6] = [
    Guard {
        name: "remotegpu-tenant-secrets",
        why: "A Secret of this kind is filled by the cluster with a token that never ends. It \
              would outlive every key.",
        group: "",
        resources: &["secrets"],
        operations: &WRITES,
        parameters: None,
        variables: &[],
        rules: &[(
            "!has(object.type) || object.type != 'kubernetes.io/service-account-token'",
            "Secrets of the type kubernetes.io/service-account-token are not allowed: their tokens \
             never end",
        )],
    },
    Guard {
        name: "remotegpu-tenant-services",
        why: "A Service leads to the tenant's own pods and nowhere else. External IPs would take \
              other people's traffic; an external name would lead an ingress controller, which no \
              network policy of the tenant's binds, to any place.",
        group: "",
        resources: &["services"],
        operations: &WRITES,
        parameters: None,
        variables: &[],
        rules: &[
            (
                "!has(object.spec.externalIPs) || object.spec.externalIPs.size() == 0",
                "Services with external IPs are not allowed",
            ),
            (
                "!has(object.spec.type) || object.spec.type != 'ExternalName'",
                "Services of the type ExternalName are not allowed",
            ),
        ],
    },
    Guard {
        name: "remotegpu-tenant-pods",
        why: "What a machine does for a pod, no network policy of the tenant's binds: it mounts \
              the pod's volumes, of which Pod Security's baseline forbids only paths of its own, \
              and connects for its probes and hooks. Which machine that is, and who makes room for \
              whom, is the scheduler's to say. None of these fields can change once the pod stands.",
        group: "",
        resources: &["pods"],
        operations: &CREATES,
        parameters: None,
        variables: &[],
        rules: &[
            (
                "object.spec.?volumes.orValue([]).all(v, has(v.configMap) || has(v.secret) || \
                 has(v.emptyDir) || has(v.projected) || has(v.downwardAPI) || \
                 has(v.persistentVolumeClaim) || has(v.ephemeral))",
                "Volumes other than configMap, secret, emptyDir, projected, downwardAPI, \
                 persistentVolumeClaim and ephemeral are not allowed: the machine itself would \
                 mount them",
            ),
            (
                names_no_host!("object.spec.containers"),
                "A host in a probe or a lifecycle hook is not allowed: the machine itself would \
                 connect to it",
            ),
            (
                names_no_host!("object.spec.?initContainers.orValue([])"),
                "A host in a probe or a lifecycle hook is not allowed: the machine itself would \
                 connect to it",
            ),
            (
                "object.spec.?nodeName.orValue('') == ''",
                "Pods with a nodeName are not allowed: the scheduler places them",
            ),
            (
                "!object.spec.?priorityClassName.orValue('').startsWith('system-')",
                "Pods with a priority class of the system are not allowed: others would make room \
                 for them",
            ),
        ],
    },
    Guard {
        name: "remotegpu-tenant-placement",
        why: "Taints keep machines for others, and another scheduler may mind neither taints nor \
              anybody's priority. What the cluster itself adds to a pod passes: it tolerates for a \
              while that its machine is away, and pods of daemon sets tolerate more. Tolerations alone can be added to a pod that \
              stands, and may still wait for its machine; those that it has stay.",
        group: "",
        resources: &["pods"],
        operations: &WRITES,
        parameters: None,
        variables: &[
            ("tolerations", allowed!("remotegpu.ai/tolerations")),
            ("schedulers", allowed!("remotegpu.ai/schedulers")),
            (
                "isOfDaemonSet",
                "request.userInfo.username in \
                 ['system:serviceaccount:kube-system:daemon-set-controller', \
                 'system:kube-controller-manager']",
            ),
        ],
        rules: &[
            (
                // What is compared last are the ways to name a taint: by its key, with its
                // effect, with its value, with both. Without a key all taints are meant.
                "object.spec.?tolerations.orValue([]).all(t, \
                 request.operation == 'UPDATE' && \
                 oldObject.spec.?tolerations.orValue([]).exists(old, old == t) || \
                 t.?effect.orValue('') == 'NoExecute' && t.?key.orValue('') in \
                 ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'] || \
                 t.?effect.orValue('') == 'NoSchedule' && \
                 (t.?key.orValue('') == 'node.kubernetes.io/memory-pressure' || \
                 variables.isOfDaemonSet && t.?key.orValue('') in \
                 ['node.kubernetes.io/disk-pressure', 'node.kubernetes.io/pid-pressure', \
                 'node.kubernetes.io/unschedulable', 'node.kubernetes.io/network-unavailable']) || \
                 t.?key.orValue('') != '' && (t.key in variables.tolerations || \
                 t.key + ':' + t.?effect.orValue('') in variables.tolerations || \
                 t.?operator.orValue('Equal') in ['', 'Equal'] && \
                 (t.key + '=' + t.?value.orValue('') in variables.tolerations || \
                 t.key + '=' + t.?value.orValue('') + ':' + t.?effect.orValue('') in \
                 variables.tolerations)))",
                "Pods with tolerations other than those that the operator allows are not allowed: \
                 taints keep machines for others",
            ),
            (
                "request.operation == 'UPDATE' || \
                 object.spec.?schedulerName.orValue('') in ['', 'default-scheduler'] || \
                 object.spec.schedulerName in variables.schedulers",
                "Pods with a schedulerName other than those that the operator allows are not \
                 allowed: the cluster's own scheduler places them",
            ),
        ],
    },
    Guard {
        name: "remotegpu-tenant-priorities",
        why: "Others' pods are ended to make room for those of a higher priority. What a pod gets \
              that names no class, the cluster's default one, passes whatever it is called. Each \
              class of the cluster is asked in turn; those of the system are there always.",
        group: "",
        resources: &["pods"],
        operations: &CREATES,
        parameters: Some(["scheduling.k8s.io/v1", "PriorityClass"]),
        variables: &[("classes", allowed!("remotegpu.ai/priority-classes"))],
        rules: &[(
            "object.spec.?priorityClassName.orValue('') != params.metadata.name || \
             params.?globalDefault.orValue(false) || params.metadata.name in variables.classes",
            "Pods with a priority class other than those that the operator allows are not allowed: \
             others would make room for them",
        )],
    },
    Guard {
        name: "remotegpu-tenant-histories",
        why: "Each old template that a workload keeps is an object in the cluster's own database. \
              What leaves the specification alone passes: the cluster ends with such updates what \
              is older than this guard.",
        group: "apps",
        resources: &["deployments", "statefulsets", "daemonsets"],
        operations: &WRITES,
        parameters: None,
        variables: &[],
        rules: &[(
            "object.spec.?revisionHistoryLimit.orValue(10) <= 10 || \
             (request.operation == 'UPDATE' && object.spec == oldObject.spec)",
            "A revisionHistoryLimit of more than 10 is not allowed",
        )],
    },
];

impl Guard {
    /// Completes the policy.
    pub(crate) fn policy(&self, mut policy: Value) -> Value {
        let rules = self.rules.iter();
        let rules = rules.map(|(expression, message)| {
            json!({"expression": expression, "message": message, "reason": "Forbidden"})
        });
        policy["spec"] = json!({
            // What cannot be judged is refused.
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [self.group],
                "apiVersions": ["v1"],
                "operations": self.operations,
                "resources": self.resources,
            }]},
            "validations": rules.collect::<Vec<_>>(),
        });
        if !self.variables.is_empty() {
            let variables = self.variables.iter();
            let variables =
                variables.map(|(name, expression)| json!({"name": name, "expression": expression}));
            policy["spec"]["variables"] = variables.collect();
        }
        if let Some([version, kind]) = self.parameters {
            policy["spec"]["paramKind"] = json!({"apiVersion": version, "kind": kind});
        }
        policy
    }

    /// Completes the policy's binding.
    pub(crate) fn binding(&self, mut binding: Value) -> Value {
        binding["spec"] = json!({
            "policyName": self.name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchExpressions": [
                {"key": NAMESPACE_ID, "operator": "Exists"},
            ]}},
        });
        if self.parameters.is_some() {
            binding["spec"]["paramRef"] =
                json!({"selector": {}, "parameterNotFoundAction": "Deny"});
        }
        binding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::{PRIORITY_CLASSES, SCHEDULERS, TOLERATIONS};

    #[test]
    fn what_is_allowed_is_read_from_where_it_is_written() {
        let variables = GUARDS.iter().flat_map(|guard| guard.variables);
        let text: String = variables.map(|(_, expression)| *expression).collect();
        for annotation in [PRIORITY_CLASSES, SCHEDULERS, TOLERATIONS] {
            assert!(text.contains(&format!("[?'{annotation}']")), "{annotation}");
        }
    }
}
