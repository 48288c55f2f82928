//! One object that a real API server fails at, and the API server itself (contract R10,
//! X9).

use std::{net::TcpListener, process::Command};

use super::*;

/// X9: how soon a token is unknown whose binding stays.
const UNKNOWN: Duration = Duration::from_secs(15);

impl World {
    /// Another namespace, and where its pods are.
    async fn other(&self, name: &str) -> (Value, String) {
        let made = self.person.namespace(name).await;
        let (_, url) = cluster_client(self.cluster.plane.admin_kubeconfig());
        let name = made["kubernetes_namespace"].as_str().unwrap();
        let pods = format!("{url}/api/v1/namespaces/{name}/pods");
        (made, pods)
    }

    /// Uses the token there until it gets this status.
    async fn until_at(&self, pods: &str, token: &str, wanted: u16, within: Duration) -> Duration {
        let began = Stopwatch::start();
        eventually("the token's status", within, async || {
            let asked = self.client.get(pods).bearer_auth(token).send().await;
            asked.is_ok_and(|answer| answer.status().as_u16() == wanted)
        })
        .await;
        began.elapsed()
    }

    /// A namespace beside the one that fails is served as ever: mints, revocations, and
    /// the making and removal of namespaces.
    async fn serves_the_rest(&self, pods: &str, namespace: &Value) {
        let key = self.key().await;
        let token = key.token(namespace).await;
        let mut mints = Vec::new();
        for _ in 0..15 {
            let began = Stopwatch::start();
            key.mint(namespace).await.expect(200);
            mints.push(began.elapsed());
        }
        mints.sort();
        self.revoke(&key).await;
        let refused = self
            .until_at(pods, &token, 403, Duration::from_secs(1))
            .await;
        let began = Stopwatch::start();
        let made = self.person.namespace("made-meanwhile").await;
        let making = began.elapsed();
        let began = Stopwatch::start();
        let path = format!("/v1/kubernetes/namespaces/{}", made["id"].as_str().unwrap());
        self.person.delete(&path).await.expect(202);
        eventually("it is gone", Duration::from_secs(20), async || {
            let listed = self
                .person
                .get("/v1/kubernetes/namespaces")
                .await
                .expect(200);
            let items = listed["items"].as_array().unwrap();
            items.iter().all(|item| item["id"] != made["id"])
        })
        .await;
        println!(
            "elsewhere: a mint takes {:?}, a revocation {refused:?}, a namespace {making:?} to \
             make and {:?} to remove",
            mints[mints.len() / 2],
            began.elapsed()
        );
        assert!(
            mints[mints.len() / 2] < Duration::from_millis(250),
            "{mints:?}"
        );
        assert!(making < Duration::from_secs(5), "{making:?}");
        assert_eq!(self.cluster_status().await, "available");
    }

    async fn cluster_status(&self) -> String {
        let clusters = self.person.get("/v1/kubernetes/clusters").await.expect(200);
        clusters["items"][0]["status"].as_str().unwrap().to_owned()
    }

    fn apply(&self, name: &str, objects: &Value) {
        let path = self.cluster.write(name, objects);
        self.cluster
            .kubectl(&["apply", "-f", path.to_str().unwrap()]);
    }

    /// Whether the API server lets a binding in our namespace be removed.
    fn may_unbind(&self, binding: &str) -> bool {
        let name = self.namespace["kubernetes_namespace"].as_str().unwrap();
        let arguments = [
            "-n",
            name,
            "delete",
            "rolebinding",
            binding,
            "--dry-run=server",
        ];
        let kubectl = &self.cluster.kubectl;
        let deleted = kubectl.command(None, &arguments).output().unwrap();
        deleted.status.success()
    }

    /// A binding of an identity in our namespace.
    fn binding(&self) -> String {
        let name = self.namespace["kubernetes_namespace"].as_str().unwrap();
        let selector = "--selector=remotegpu.ai/identity-id";
        let found =
            self.cluster
                .kubectl(&["-n", name, "get", "rolebindings", selector, "-o", "name"]);
        let first = found.lines().next().unwrap();
        first.rsplit_once('/').unwrap().1.to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_control_plane_ends_keys_whose_bindings_a_policy_keeps() {
    // X9, R10
    let Some(mut world) = World::new().await else {
        return;
    };
    let (other, other_pods) = world.other("other").await;
    let key = world.key().await;
    let token = world.token(&key).await;
    let binding = world.binding();
    let name = world.namespace["kubernetes_namespace"].as_str().unwrap();
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    let policy = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": "bindings-stay.example.org"}, "spec": spec,
        })
    };
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        policy("ValidatingAdmissionPolicy", json!({
            "failurePolicy": "Fail",
            "matchConstraints": {"namespaceSelector": selector, "resourceRules": [{
                "apiGroups": ["rbac.authorization.k8s.io"], "apiVersions": ["*"],
                "operations": ["DELETE"], "resources": ["rolebindings"],
            }]},
            "validations": [{"expression": "false", "message": "bindings stay"}],
        })),
        policy("ValidatingAdmissionPolicyBinding", json!({
            "policyName": "bindings-stay.example.org", "validationActions": ["Deny"],
        })),
    ]});
    world.apply("policy.json", &objects);
    eventually("the policy holds", Duration::from_secs(20), async || {
        !world.may_unbind(&binding)
    })
    .await;
    world.revoke(&key).await;
    let took = world.until(&token, 401, UNKNOWN).await;
    println!("unknown after {took:?} although its binding stays");
    assert_eq!(world.binding(), binding);
    world.serves_the_rest(&other_pods, &other).await;

    let kinds = "validatingadmissionpolicybinding,validatingadmissionpolicy";
    world
        .cluster
        .kubectl(&["delete", kinds, "bindings-stay.example.org"]);
    let began = Stopwatch::start();
    eventually("nothing is left", Duration::from_secs(45), async || {
        world.identities().is_empty()
    })
    .await;
    println!("the binding is gone {:?} after the policy", began.elapsed());
    assert!(world.server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn real_control_plane_is_up_while_a_webhook_hangs_for_one_namespace() {
    // X9, R10
    let Some(mut world) = World::new().await else {
        return;
    };
    let (other, other_pods) = world.other("other").await;
    let keys = [world.key().await, world.key().await];
    let tokens = [world.token(&keys[0]).await, world.token(&keys[1]).await];
    // It takes connections, and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/hang", silent.local_addr().unwrap());
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let name = world.namespace["kubernetes_namespace"].as_str().unwrap();
    let webhook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "hangs.example.org"},
        "webhooks": [{
            "name": "hangs.example.org", "admissionReviewVersions": ["v1"],
            "sideEffects": "None", "timeoutSeconds": 30, "failurePolicy": "Fail",
            "clientConfig": {"url": url, "caBundle": STANDARD.encode(own.cert.pem())},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
            "rules": [{
                "apiGroups": ["rbac.authorization.k8s.io"], "apiVersions": ["*"],
                "operations": ["*"], "resources": ["rolebindings"],
            }],
        }],
    });
    world.apply("webhook.json", &webhook);
    // It is asked from the moment that the API server has heard of it.
    let binding = world.binding();
    eventually("the webhook is asked", Duration::from_mins(1), async || {
        let patch = [
            "-n",
            name,
            "label",
            "rolebinding",
            &*binding,
            "a=b",
            "--overwrite",
        ];
        let patch = [&patch[..], &["--dry-run=server", "--request-timeout=2s"]].concat();
        let kubectl = &world.cluster.kubectl;
        !kubectl
            .command(None, &patch)
            .output()
            .unwrap()
            .status
            .success()
    })
    .await;
    for key in &keys {
        world.revoke(key).await;
    }
    let began = Stopwatch::start();
    let new = world.key().await;
    let refused = new.mint(&world.namespace).await;
    refused.problem(503, "cluster_unavailable");
    assert!(!began.is_over(Duration::from_secs(5)), "C7");
    for token in &tokens {
        world.until(token, 401, UNKNOWN).await;
    }
    println!(
        "unknown after {:?} although their bindings hang",
        began.elapsed()
    );
    for _ in 0..3 {
        world.serves_the_rest(&other_pods, &other).await;
    }
    assert!(
        !world.server.log().contains("is down"),
        "{}",
        world.server.log()
    );
    assert!(world.server.stop().success());
    drop(silent);
}

/// A process that is frozen, until this is dropped.
struct Frozen(String);

impl Frozen {
    /// The etcd of this control plane, by the folder that it was given.
    fn etcd(cluster: &Cluster) -> Self {
        let audit_log = cluster.plane.audit_log();
        let data = audit_log.with_file_name("etcd").display().to_string();
        let of = |pid: &str| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            let mut words = line.split('\0');
            let program = words.next().unwrap_or_default().to_owned();
            program.ends_with("/etcd") && words.any(|word| word == format!("--data-dir={data}"))
        };
        let mut all = std::fs::read_dir("/proc").unwrap().map(Result::unwrap);
        let found = all.find_map(|entry| {
            let pid = entry.file_name().into_string().ok()?;
            of(&pid).then_some(pid)
        });
        let frozen = Self(found.unwrap());
        frozen.signal("-STOP");
        frozen
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_control_plane_without_its_store_counts_as_down() {
    // R10, C7, N5
    let Some(mut world) = World::new().await else {
        return;
    };
    let key = world.key().await;
    let token = world.token(&key).await;
    assert_eq!(world.cluster_status().await, "available");
    let frozen = Frozen::etcd(&world.cluster);
    let began = Stopwatch::start();
    eventually("the cluster is down", Duration::from_secs(12), async || {
        world.cluster_status().await == "unavailable"
    })
    .await;
    println!("down after {:?}", began.elapsed());
    // The API server itself goes on to answer what needs no store.
    let (_, url) = cluster_client(world.cluster.plane.admin_kubeconfig());
    let version = world.client.get(format!("{url}/version")).send().await;
    assert_eq!(version.unwrap().status(), 200);
    let began = Stopwatch::start();
    key.mint(&world.namespace)
        .await
        .problem(503, "cluster_unavailable");
    let body = json!({"name": "waits"});
    let waits = world.person.post("/v1/kubernetes/namespaces", body).await;
    let waits = waits.expect(201);
    assert_eq!(waits["status"], "provisioning");
    world.revoke(&key).await;
    assert!(
        !began.is_over(Duration::from_secs(1)),
        "{:?}",
        began.elapsed()
    );

    drop(frozen);
    let began = Stopwatch::start();
    eventually("the cluster is back", Duration::from_secs(20), async || {
        world.cluster_status().await == "available"
    })
    .await;
    println!("back after {:?}", began.elapsed());
    world.until_refused(&token).await;
    eventually(
        "the namespace is made",
        Duration::from_secs(20),
        async || {
            let listed = world
                .person
                .get("/v1/kubernetes/namespaces")
                .await
                .expect(200);
            let items = listed["items"].as_array().unwrap();
            items.iter().all(|item| item["status"] == "active")
        },
    )
    .await;
    println!("all is done after {:?}", began.elapsed());
    assert!(world.server.stop().success());
}
