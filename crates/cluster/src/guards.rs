//! What no right can bound, and admission refuses: rules about the inside of
//! objects that tenants may otherwise write.

use serde_json::{Value, json};

use crate::labels::NAMESPACE_ID;

/// One validating admission policy, and what it is for.
pub(crate) struct Guard {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    resource: &'static str,
    /// CEL expressions that have to hold, with the sentence for whom they refuse.
    rules: &'static [(&'static str, &'static str)],
}

pub(crate) const GUARDS: [Guard; 2] = [
    Guard {
        name: "remotegpu-tenant-secrets",
        why: "A Secret of this kind is filled by the cluster with a token that never ends. It \
              would outlive every key.",
        resource: "secrets",
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
        resource: "services",
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
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": [self.resource],
            }]},
            "validations": rules.collect::<Vec<_>>(),
        });
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
        binding
    }
}
