//! The baseline as people read it (contract H2).

use crate::{PodSecurity, TenantBaseline};

impl TenantBaseline {
    /// What applies in a tenant's namespace, in sentences.
    pub fn in_words(&self) -> Vec<String> {
        let standard = self.pod_security.as_str();
        let mut said = vec![match self.pod_security {
            PodSecurity::Baseline => format!(
                "Pod Security `{standard}` is enforced: no host networks, no host paths, no \
                 privileged containers. What `restricted` would refuse is warned of."
            ),
            PodSecurity::Restricted => format!(
                "Pod Security `{standard}` is enforced: nothing runs as root, and nothing reaches \
                 into the machine."
            ),
        }];
        said.push(
            "Quotas bound what all pods request together, and how many objects there are. Pods \
             that request CPU request memory as well, or neither."
                .to_owned(),
        );
        let enter = match &*self.ingress_namespaces {
            [] => String::new(),
            names => format!(" and from the ingress controllers in {}", names.join(", ")),
        };
        said.push(format!(
            "Pods are reached from within the namespace{enter}, and from nowhere else."
        ));
        said.push(
            "Pods reach each other, DNS and the internet; not the operator's private networks, \
             and not where clouds tell a machine's credentials."
                .to_owned(),
        );
        said.push("Pods get no token of a service account unless they ask for it.".to_owned());
        said.push(
            "Keys open it with the role `remotegpu:tenant`: workloads, services, ingresses, \
             config maps, secrets and volume claims are yours; quotas, network policies, roles \
             and service accounts are not."
                .to_owned(),
        );
        said.push(
            "Access tokens open it as their member's role says: `write` and `admin` as keys do, \
             `read` with the role `remotegpu:viewer`, which sees all but secrets."
                .to_owned(),
        );
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_that_holds_is_the_one_that_is_told() {
        let told = TenantBaseline::default().in_words().join("\n");
        assert!(told.contains("`baseline` is enforced"), "{told}");
        assert!(told.contains("within the namespace, and"), "{told}");
        let own = TenantBaseline {
            pod_security: PodSecurity::Restricted,
            ingress_namespaces: vec!["ingress-nginx".to_owned()],
            ..TenantBaseline::default()
        };
        let told = own.in_words().join("\n");
        assert!(told.contains("`restricted` is enforced"), "{told}");
        assert!(told.contains("controllers in ingress-nginx,"), "{told}");
    }
}
