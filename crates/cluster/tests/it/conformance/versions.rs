//! What versions of Kubernetes do differently, where a check has to know it. Each stands
//! here by name, with why it is harmless; `docs/conformance.md` repeats it.

use std::ops::RangeInclusive;

use crate::subject::Subject;

pub struct Difference {
    /// Of Kubernetes 1.
    minors: RangeInclusive<u32>,
    checks: &'static [&'static str],
    what: &'static str,
}

/// A volume that is an image is left away.
pub const IMAGES_ARE_DROPPED: Difference = Difference {
    minors: 0..=34,
    checks: &["machine_mounts_nothing_for_a_tenants_pod"],
    what: "a pod with an `image` volume is not refused: the feature is off by default, and the \
           API server makes the pod without the volume and what mounts it.",
};

/// What everybody with a ServiceAccount may read besides.
pub const TRUST_BUNDLES_ARE_READ: Difference = Difference {
    minors: 37..=u32::MAX,
    checks: &[
        "rights_of_a_tenant_are_those_of_the_golden_file",
        "nothing_that_a_tenant_makes_outlives_its_key",
    ],
    what: "`system:cluster-trust-bundle-discovery` lets every ServiceAccount, and so every \
           tenant, read `clustertrustbundles.certificates.k8s.io`. They hold nothing but \
           certificates of authorities (the API server refuses all else in them), whose names \
           and signers a tenant sees, and only the cluster's administrators write them.",
};

const ALL: [Difference; 2] = [IMAGES_ARE_DROPPED, TRUST_BUNDLES_ARE_READ];

impl Difference {
    pub fn holds_on(&self, subject: &Subject) -> bool {
        self.minors.contains(&subject.minor)
    }
}

/// All of them, as lines of the report.
pub fn told() -> Vec<String> {
    let line = |difference: &Difference| {
        let (first, last) = (difference.minors.start(), difference.minors.end());
        let versions = match (first, last) {
            (0, last) => format!("Up to v1.{last}"),
            (first, &u32::MAX) => format!("From v1.{first} on"),
            (first, last) => format!("v1.{first} to v1.{last}"),
        };
        let checks = difference.checks.join("`, `");
        format!("- **{versions}** (`{checks}`): {}", difference.what)
    };
    ALL.iter().map(line).collect()
}
