//! The tenant baseline: what every tenant's namespace holds before anybody works
//! in it. `docs/tenant-baseline.md` says why each line stands.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use remotegpu_namespaces::check_dns_label;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::placement::{is_subdomain, is_taint};

/// What no tenant reaches, whatever is configured: where clouds tell a machine who it
/// is, and with which credentials.
const ALWAYS_UNREACHABLE: [&str; 7] = [
    // The link's own addresses, where most do.
    "169.254.0.0/16",
    "fe80::/10",
    // Azure, Alibaba, AWS and Google.
    "168.63.129.16/32",
    "100.100.100.200/32",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
    // What translators of the network's own may put IPv4 addresses into (RFC 8215),
    // each at a place of its own choice.
    "64:ff9b:1::/48",
];
/// Where translators put IPv4 addresses in IPv6: a way around every IPv4 rule, were
/// it not closed for the same ranges (RFC 6052). IPv4-mapped addresses never travel.
const TRANSLATED: u128 = 0x0064_ff9b << 96;

/// Which Pod Security Standard a tenant's pods must meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// What reaches into the machine is refused.
    Baseline,
    /// Running as root and every privilege beyond are refused too.
    Restricted,
}

impl PodSecurity {
    /// The word of the Pod Security Standards.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// What every tenant's namespace is bounded by. All counts hold for one namespace.
/// What a file leaves out is as in [`TenantBaseline::default`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantBaseline {
    /// The standard that is enforced; `restricted` is warned of and audited always.
    pub pod_security: PodSecurity,
    /// The version of the standards, such as `v1.34`: an upgrade of the cluster
    /// must not change what is refused.
    pub pod_security_version: String,
    /// Pods that have not ended.
    pub pods: u32,
    /// Of these, pods that ask for neither CPU nor memory.
    pub best_effort_pods: u32,
    /// Pods as objects, ended ones included.
    pub pod_objects: u32,
    /// Deployments, stateful sets, daemon sets, jobs and cron jobs, of each kind.
    pub workloads: u32,
    /// Services of all types.
    pub services: u32,
    /// Services of type `LoadBalancer`.
    pub load_balancers: u32,
    /// Ports on the machines, those of load balancers included.
    pub node_ports: u32,
    /// Ingresses.
    pub ingresses: u32,
    /// Config maps, those included that the cluster itself puts there.
    pub config_maps: u32,
    /// Secrets.
    pub secrets: u32,
    /// Claims of volumes.
    pub claims: u32,
    /// What the claims ask for together, in GiB.
    pub storage_gib: u32,
    /// What the pods ask for together of the machines' own disks, in GiB.
    pub ephemeral_storage_gib: u32,
    /// What the pods ask for together, in CPUs.
    pub cpus: u32,
    /// What the pods ask for together, in GiB.
    pub memory_gib: u32,
    /// GPUs that the pods ask for together, of each of `gpu_resources`.
    pub gpus: u32,
    /// How the cluster calls GPUs.
    pub gpu_resources: Vec<String>,
    /// Where pods cannot connect to, besides where clouds tell credentials.
    pub private_networks: Vec<IpNet>,
    /// The namespace whose pods answer DNS.
    pub dns_namespace: String,
    /// Addresses that answer DNS besides, such as that of a cache on each machine.
    pub dns_addresses: Vec<IpAddr>,
    /// Namespaces whose pods may connect to tenants' pods: those of ingress
    /// controllers.
    pub ingress_namespaces: Vec<String>,
    /// Priority classes that pods may name, besides the cluster's default one.
    pub priority_classes: Vec<String>,
    /// What pods may tolerate, as taints are written: `key`, `key:Effect`, `key=value`
    /// or `key=value:Effect`.
    pub tolerations: Vec<String>,
    /// Schedulers that pods may name, besides the cluster's own.
    pub schedulers: Vec<String>,
}

/// A value of the baseline that the cluster would refuse, or read as something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value:?} is wrong; {expected} is expected")]
pub struct InvalidBaseline {
    /// The field.
    pub field: &'static str,
    /// What it holds.
    pub value: String,
    /// What it may hold.
    pub expected: &'static str,
}

impl Default for TenantBaseline {
    fn default() -> Self {
        let networks = [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "fc00::/7",
        ];
        Self {
            pod_security: PodSecurity::Baseline,
            pod_security_version: "v1.34".to_owned(),
            pods: 100,
            best_effort_pods: 50,
            pod_objects: 1000,
            workloads: 100,
            services: 50,
            load_balancers: 0,
            node_ports: 0,
            ingresses: 50,
            config_maps: 200,
            secrets: 200,
            claims: 50,
            storage_gib: 2048,
            ephemeral_storage_gib: 1024,
            cpus: 256,
            memory_gib: 2048,
            gpus: 8,
            gpu_resources: vec!["nvidia.com/gpu".to_owned()],
            private_networks: networks.iter().filter_map(|net| net.parse().ok()).collect(),
            dns_namespace: "kube-system".to_owned(),
            dns_addresses: Vec::new(),
            ingress_namespaces: Vec::new(),
            priority_classes: Vec::new(),
            tolerations: Vec::new(),
            schedulers: Vec::new(),
        }
    }
}

impl TenantBaseline {
    /// Refuses what the cluster would refuse at the first namespace.
    pub fn check(&self) -> Result<(), InvalidBaseline> {
        let wrong = |field, value: &str, expected| {
            let value = value.to_owned();
            Err(InvalidBaseline {
                field,
                value,
                expected,
            })
        };
        let minor = self.pod_security_version.strip_prefix("v1.");
        if !minor.is_some_and(|minor| minor.parse::<u16>().is_ok_and(|n| n.to_string() == minor)) {
            let expected = "a version such as v1.34";
            return wrong("pod_security_version", &self.pod_security_version, expected);
        }
        let resources = self.gpu_resources.iter();
        if let Some(odd) = resources
            .into_iter()
            .find(|name| !is_extended_resource(name))
        {
            let expected = "an extended resource such as nvidia.com/gpu";
            return wrong("gpu_resources", odd, expected);
        }
        for (field, names) in [
            ("dns_namespace", std::slice::from_ref(&self.dns_namespace)),
            ("ingress_namespaces", &self.ingress_namespaces),
        ] {
            if let Some(odd) = names.iter().find(|name| !is_label(name)) {
                return wrong(field, odd, "the name of a namespace");
            }
        }
        if let Some(odd) = self.tolerations.iter().find(|taint| !is_taint(taint)) {
            let expected =
                "a taint such as nvidia.com/gpu, dedicated=ml or dedicated=ml:NoSchedule";
            return wrong("tolerations", odd, expected);
        }
        for (field, names, expected) in [
            (
                "priority_classes",
                &self.priority_classes,
                "the name of a class that is not the system's",
            ),
            ("schedulers", &self.schedulers, "the name of a scheduler"),
        ] {
            let fits = |name: &String| is_subdomain(name) && !name.starts_with("system-");
            if let Some(odd) = names.iter().find(|name| !fits(name)) {
                return wrong(field, odd, expected);
            }
        }
        let (four, six) = self.unreachable();
        for everything in ["0.0.0.0/0", "::/0"] {
            if four.iter().chain(&six).any(|network| network == everything) {
                let expected = "what leaves some address to be reached";
                return wrong("private_networks", everything, expected);
            }
        }
        Ok(())
    }

    /// The labels by which the cluster's Pod Security admission knows what to refuse.
    pub(crate) fn pod_security_labels(&self) -> [(&'static str, &str); 6] {
        let version = self.pod_security_version.as_str();
        let restricted = PodSecurity::Restricted.as_str();
        [
            (
                "pod-security.kubernetes.io/enforce",
                self.pod_security.as_str(),
            ),
            ("pod-security.kubernetes.io/enforce-version", version),
            ("pod-security.kubernetes.io/warn", restricted),
            ("pod-security.kubernetes.io/warn-version", version),
            ("pod-security.kubernetes.io/audit", restricted),
            ("pod-security.kubernetes.io/audit-version", version),
        ]
    }

    /// How many objects there may be, and how much of what counts without being
    /// asked for in each pod.
    pub(crate) fn object_quota(&self) -> Value {
        let mut hard = Map::new();
        let mut limit = |resource: &str, count: u32| {
            hard.insert(resource.to_owned(), json!(decimal(count)));
        };
        limit("pods", self.pods);
        limit("count/pods", self.pod_objects);
        for workload in [
            "deployments.apps",
            "statefulsets.apps",
            "daemonsets.apps",
            "jobs.batch",
            "cronjobs.batch",
        ] {
            limit(&format!("count/{workload}"), self.workloads);
        }
        // A deployment keeps one for each template that it had; stateful and daemon
        // sets share the other.
        for history in ["replicasets.apps", "controllerrevisions.apps"] {
            let count = self.workloads.saturating_mul(HISTORY);
            limit(&format!("count/{history}"), count);
        }
        limit("services", self.services);
        limit("services.loadbalancers", self.load_balancers);
        limit("services.nodeports", self.node_ports);
        limit("count/ingresses.networking.k8s.io", self.ingresses);
        limit("configmaps", self.config_maps);
        limit("secrets", self.secrets);
        limit("persistentvolumeclaims", self.claims);
        for resource in &self.gpu_resources {
            limit(&format!("requests.{resource}"), self.gpus);
        }
        // Unlike CPU and memory, a quota over these refuses no pod that names none.
        for (resource, gib) in [
            ("requests.storage", self.storage_gib),
            ("requests.ephemeral-storage", self.ephemeral_storage_gib),
        ] {
            hard.insert(resource.to_owned(), json!(gibibytes(gib)));
        }
        json!({"hard": hard})
    }

    /// What the pods that ask for CPU and memory may ask for. A quota over both
    /// refuses pods that name only one or none, so the scope leaves out the latter
    /// ones: without it an empty namespace would not take deployments like any
    /// other (contract N7).
    pub(crate) fn compute_quota(&self) -> Value {
        json!({
            "hard": {
                "requests.cpu": decimal(self.cpus),
                "requests.memory": gibibytes(self.memory_gib),
            },
            "scopes": ["NotBestEffort"],
        })
    }

    /// How many pods there may be that [`Self::compute_quota`] does not see.
    pub(crate) fn best_effort_quota(&self) -> Value {
        json!({"hard": {"pods": decimal(self.best_effort_pods)}, "scopes": ["BestEffort"]})
    }

    /// Who may connect to the pods, and where to the pods may connect. All fields
    /// stand as the API server gives them back, so that what is found compares.
    pub(crate) fn network_policy(&self) -> Value {
        let namespace = |name: &String| json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}});
        let same_namespace = json!({"podSelector": {}});
        let mut sources = vec![same_namespace.clone()];
        sources.extend(self.ingress_namespaces.iter().map(namespace));
        let mut resolvers = vec![namespace(&self.dns_namespace)];
        resolvers.extend(
            self.dns_addresses
                .iter()
                .map(|address| json!({"ipBlock": {"cidr": IpNet::from(*address).to_string()}})),
        );
        let (private4, private6) = self.unreachable();
        json!({
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": sources}],
            "egress": [
                {"to": [same_namespace]},
                {
                    "to": resolvers,
                    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
                },
                {"to": [
                    {"ipBlock": {"cidr": "0.0.0.0/0", "except": private4}},
                    {"ipBlock": {"cidr": "::/0", "except": private6}},
                ]},
            ],
        })
    }

    /// The networks where no pod connects to, apart by family, IPv4 ones in their
    /// IPv6 clothes included.
    fn unreachable(&self) -> (Vec<String>, Vec<String>) {
        let always = ALWAYS_UNREACHABLE.iter().filter_map(|net| net.parse().ok());
        let mut networks: Vec<IpNet> = always.chain(self.private_networks.clone()).collect();
        let translated: Vec<IpNet> = networks
            .iter()
            .filter_map(|network| match network {
                IpNet::V4(network) => translate(*network),
                IpNet::V6(_) => None,
            })
            .collect();
        networks.extend(translated);
        let networks = IpNet::aggregate(&networks);
        let (four, six): (Vec<IpNet>, Vec<IpNet>) = networks
            .iter()
            .partition(|network| matches!(network, IpNet::V4(_)));
        let texts = |networks: Vec<IpNet>| networks.iter().map(IpNet::to_string).collect();
        (texts(four), texts(six))
    }
}

/// How many templates a workload is reckoned with: today's, and the ten old ones that
/// `guards.rs` lets it keep.
const HISTORY: u32 = 11;

fn is_label(text: &str) -> bool {
    check_dns_label(text, 63).is_ok()
}

fn is_extended_resource(text: &str) -> bool {
    let Some((domain, name)) = text.split_once('/') else {
        return false;
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    domain.split('.').all(is_label) && (1..=63).contains(&name.len()) && name.bytes().all(fits)
}

fn translate(network: Ipv4Net) -> Option<IpNet> {
    let address = Ipv6Addr::from_bits(TRANSLATED | u128::from(network.network().to_bits()));
    let network = Ipv6Net::new(address, 96 + network.prefix_len());
    network.ok().map(IpNet::V6)
}

/// A count as the API server writes it: what it gives back is compared with this.
fn decimal(count: u32) -> String {
    canonical(count.into(), 1000, &["", "k", "M", "G"])
}

/// So many GiB as the API server writes them.
fn gibibytes(count: u32) -> String {
    canonical(count.into(), 1024, &["Gi", "Ti", "Pi", "Ei"])
}

fn canonical(mut count: u64, base: u64, suffixes: &[&str]) -> String {
    if count == 0 {
        return "0".to_owned();
    }
    let mut suffixes = suffixes.iter().peekable();
    let mut suffix = suffixes.next().copied().unwrap_or_default();
    while count.is_multiple_of(base)
        && let Some(next) = suffixes.next()
    {
        count /= base;
        suffix = next;
    }
    format!("{count}{suffix}")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn quantities_are_written_as_the_api_server_writes_them() {
        for (count, counted, bytes) in [
            (0, "0", "0"),
            (1, "1", "1Gi"),
            (999, "999", "999Gi"),
            (1000, "1k", "1000Gi"),
            (1024, "1024", "1Ti"),
            (1500, "1500", "1500Gi"),
            (3072, "3072", "3Ti"),
            (2_000_000, "2M", "2000000Gi"),
        ] {
            assert_eq!(decimal(count), counted);
            assert_eq!(gibibytes(count), bytes);
        }
    }

    #[test]
    fn no_private_address_is_reached_in_the_clothes_of_ipv6_either() {
        let (four, six) = TenantBaseline::default().unreachable();
        for address in ["169.254.169.254", "10.96.0.1", "192.168.1.1", "100.64.0.1"] {
            let address: Ipv4Addr = address.parse().unwrap();
            let covers = |networks: &[String], address: IpAddr| {
                let mut networks = networks.iter().map(|net| net.parse::<IpNet>().unwrap());
                networks.any(|network| network.contains(&address))
            };
            assert!(covers(&four, address.into()), "{address}");
            let translated: Ipv6Addr = format!("64:ff9b::{address}").parse().unwrap();
            assert!(covers(&six, translated.into()), "{translated}");
        }
        assert!(six.contains(&"fe80::/10".to_owned()) && six.contains(&"fc00::/7".to_owned()));
    }

    #[test]
    fn what_the_cluster_would_refuse_is_refused_before() {
        assert_eq!(TenantBaseline::default().check(), Ok(()));
        let check = |change: &dyn Fn(&mut TenantBaseline), sentence: &str| {
            let mut changed = TenantBaseline::default();
            change(&mut changed);
            assert_eq!(changed.check().unwrap_err().to_string(), sentence);
        };
        for version in ["", "latest", "1.34", "v1.", "v1.x", "v1.034", "v2.1"] {
            check(
                &|baseline| version.clone_into(&mut baseline.pod_security_version),
                &format!(
                    "pod_security_version: {version:?} is wrong; a version such as v1.34 is expected"
                ),
            );
        }
        check(
            &|baseline| baseline.gpu_resources = vec!["gpu".to_owned()],
            "gpu_resources: \"gpu\" is wrong; an extended resource such as nvidia.com/gpu is expected",
        );
        for (odd, says) in [("a,b", "a,b"), ("", ""), ("a:Never", "a:Never")] {
            check(
                &|baseline| baseline.tolerations = vec![odd.to_owned()],
                &format!(
                    "tolerations: {says:?} is wrong; a taint such as nvidia.com/gpu, dedicated=ml \
                     or dedicated=ml:NoSchedule is expected"
                ),
            );
        }
        check(
            &|baseline| baseline.priority_classes = vec!["system-node-critical".to_owned()],
            "priority_classes: \"system-node-critical\" is wrong; the name of a class that is not \
             the system's is expected",
        );
        check(
            &|baseline| baseline.schedulers = vec!["a,b".to_owned()],
            "schedulers: \"a,b\" is wrong; the name of a scheduler is expected",
        );
        check(
            &|baseline| baseline.ingress_namespaces = vec!["Ingress".to_owned()],
            "ingress_namespaces: \"Ingress\" is wrong; the name of a namespace is expected",
        );
        check(
            &|baseline| {
                let halves = ["0.0.0.0/1", "128.0.0.0/1"];
                baseline.private_networks = halves.map(|net| net.parse().unwrap()).into();
            },
            "private_networks: \"0.0.0.0/0\" is wrong; what leaves some address to be reached is \
             expected",
        );
    }

    #[test]
    fn where_clouds_tell_credentials_is_out_of_reach_whatever_is_configured() {
        let open = TenantBaseline {
            private_networks: Vec::new(),
            ..TenantBaseline::default()
        };
        let (four, six) = open.unreachable();
        assert_eq!(
            four,
            ["100.100.100.200/32", "168.63.129.16/32", "169.254.0.0/16"]
        );
        assert_eq!(
            six,
            [
                "64:ff9b::6464:64c8/128",
                "64:ff9b::a83f:8110/128",
                "64:ff9b::a9fe:0/112",
                "64:ff9b:1::/48",
                "fd00:ec2::254/128",
                "fd20:ce::254/128",
                "fe80::/10",
            ]
        );
    }
}
