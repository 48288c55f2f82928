//! What only a cluster with its admission and its controllers enforces: run on the
//! real control plane alone. `docs/tenant-baseline.md` has the table of what is
//! tried here.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use remotegpu_cluster::prerequisites;
use remotegpu_namespaces::{CredentialMint, Namespace, TokenLifetime};
use remotegpu_test_support::left_out::left_out;
use serde_json::{Value, json};

use super::versions;
use crate::{
    actor::Actor,
    subject::{CREDENTIALS, Subject, identity, path_of, until_status},
};

const RBAC: &str = "rbac.authorization.k8s.io";
/// What a tenant asks for and does not get.
const FORBIDDEN: &str = "
    # Identities and rights.
    GET {own}/serviceaccounts
    POST {own}/serviceaccounts
    PATCH {own}/serviceaccounts/default
    POST {own}/serviceaccounts/default/token
    GET {credentials}
    POST {credentials}/{identity}/token
    GET /apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles
    POST /apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles
    GET /apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings
    POST /apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings
    PATCH /apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings/remotegpu-writers
    DELETE /apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings/remotegpu-readers
    GET /apis/rbac.authorization.k8s.io/v1/clusterroles
    GET /apis/rbac.authorization.k8s.io/v1/clusterroles/remotegpu:tenant
    POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings
    POST /apis/certificates.k8s.io/v1/certificatesigningrequests
    POST /apis/authentication.k8s.io/v1/tokenreviews
    POST /apis/authorization.k8s.io/v1/subjectaccessreviews
    # What binds the tenant.
    PATCH {own}
    PUT {own}/finalize
    DELETE {own}
    POST {own}/resourcequotas
    PATCH {own}/resourcequotas/remotegpu-objects
    PATCH {own}/resourcequotas/remotegpu-objects/status
    DELETE {own}/resourcequotas/remotegpu-objects
    DELETE {own}/resourcequotas
    POST {own}/limitranges
    GET /apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies
    POST /apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies
    DELETE /apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies/remotegpu-tenant
    DELETE /apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies
    # What leads other people's traffic, or past the scheduler.
    POST {own}/endpoints
    POST /apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices
    POST {own}/pods/made/binding
    POST {own}/bindings
    PATCH {own}/pods/made/status
    PATCH {own}/pods/made/ephemeralcontainers
    PATCH {own}/pods/made/resize
    POST {own}/pods/made/eviction
    GET {own}/pods/made/proxy
    GET {own}/services/any/proxy
    PATCH {own}/services/any/status
    # What stands beside or above it.
    GET /api/v1/namespaces
    GET /api/v1/namespaces?watch=true
    GET {own}/status
    GET {there}
    GET /api/v1/namespaces/no-such-namespace
    GET {there}/pods
    GET {there}/secrets
    POST {there}/pods
    GET /api/v1/pods
    GET /api/v1/secrets
    GET /api/v1/namespaces/kube-system/configmaps
    GET /api/v1/namespaces/remotegpu-system/serviceaccounts
    GET /api/v1/nodes
    GET /api/v1/nodes/any/proxy/metrics
    GET /api/v1/persistentvolumes
    GET /apis/storage.k8s.io/v1/storageclasses
    POST /apis/scheduling.k8s.io/v1/priorityclasses
    # What acts by itself, or sees what others do.
    POST {own}/events
    POST /apis/coordination.k8s.io/v1/namespaces/{ns}/leases
    POST /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations
    DELETE /apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/remotegpu-tenant-secrets
    POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions
    POST /apis/apiregistration.k8s.io/v1/apiservices
    GET /metrics
    GET /logs
    GET /debug/pprof/
";
/// The number of seconds that Kubernetes extends to a year.
const EXTENDED: u32 = 3607;

pub struct Tenant {
    pub namespace: Namespace,
    token: String,
    pub actor: Actor,
    identity: remotegpu_namespaces::CredentialIdentity,
}

pub async fn tenant(subject: &Subject, label: &str) -> Tenant {
    let namespace = subject.namespace(label).await;
    let identity = identity(&namespace, 1);
    subject.clusters.make(&identity).await.unwrap();
    let minted = subject
        .clusters
        .mint(&identity, TokenLifetime::MIN)
        .await
        .unwrap();
    let token = minted.token.reveal().to_owned();
    let actor = subject.actor(&token).await;
    until_status(&actor, &format!("{}/pods", path_of(&namespace)), 200).await;
    Tenant {
        namespace,
        token,
        actor,
        identity,
    }
}

pub fn pod(name: &str, spec: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "example.org/image"}]},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][field] = value.clone();
    }
    pod
}

/// Refused with this status, and a message that says so.
pub async fn refused(actor: &Actor, path: &str, body: Value, status: u16, why: &str) {
    let (answered, answer) = actor.ask("POST", path, Some(body)).await;
    assert_eq!(answered, status, "{path}: {answer}");
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(message.contains(why), "{message}");
}

pub async fn rights_of_a_tenant_are_those_of_the_golden_file(
    subject: &Subject,
) -> Result<(), &'static str> {
    // X9
    let tenant = tenant(subject, "golden").await;
    let Some(kubectl) = kubectl() else {
        left_out("kubectl");
        return Err("kubectl");
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let mut kubeconfig: Value = serde_json::from_str(&subject.admin_kubeconfig).unwrap();
    kubeconfig["users"] = json!([{"name": "tenant", "user": {"token": tenant.token}}]);
    kubeconfig["contexts"][0]["context"]["user"] = json!("tenant");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let output = Command::new(kubectl)
        .arg("--kubeconfig")
        .arg(&file)
        .args(["auth", "can-i", "--list", "--namespace"])
        .arg(tenant.namespace.kubernetes_namespace.as_str())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // Columns are as wide as their widest word; the order is the server's.
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.join(" ")
    });
    let mut lines: BTreeSet<String> = lines.collect();
    if versions::TRUST_BUNDLES_ARE_READ.holds_on(subject) {
        let trust_bundles = "clustertrustbundles.certificates.k8s.io [] [] [get list watch]";
        assert!(lines.remove(trust_bundles), "{lines:?}");
    }
    let lines: Vec<String> = lines.into_iter().collect();
    insta::assert_snapshot!("can_i_list", lines.join("\n"));
    Ok(())
}

/// The one beside the control plane, else the one of the machine.
fn kubectl() -> Option<std::path::PathBuf> {
    let beside = std::env::var_os("KUBEBUILDER_ASSETS")
        .unwrap_or_else(|| "/usr/local/kubebuilder/bin".into());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(beside.into()).chain(std::env::split_paths(&path));
    folders
        .map(|folder| folder.join("kubectl"))
        .find(|kubectl| kubectl.is_file())
}

pub async fn tenant_is_refused_whatever_leads_out_of_its_namespace(subject: &Subject) {
    // X9, C6
    let tenant = tenant(subject, "inside").await;
    let other = subject.namespace("outside").await;
    let own = path_of(&tenant.namespace);
    let made = pod("made", &json!({}));
    let actor = &tenant.actor;
    actor.done("POST", &format!("{own}/pods"), Some(made)).await;
    let asks = FORBIDDEN
        .replace("{own}", &own)
        .replace("{ns}", tenant.namespace.kubernetes_namespace.as_str())
        .replace("{there}", &path_of(&other))
        .replace("{credentials}", CREDENTIALS)
        .replace("{identity}", &tenant.identity.object_name());
    let asks = asks
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .filter(|(method, _)| *method != "#");
    let mut count = 0;
    for (method, path) in asks {
        let body = (method != "GET").then(|| json!({"metadata": {"name": "any"}}));
        let (status, answer) = actor.ask(method, path, body).await;
        assert_eq!(status, 403, "{method} {path}: {answer}");
        count += 1;
    }
    println!("      {count} requests refused");
    for who in ["admin", "system:serviceaccount:kube-system:default"] {
        let status = actor.get_as(&format!("{own}/pods"), who).await;
        assert_eq!(status, 403, "as {who}");
    }
}

pub async fn admission_refuses_what_no_right_tells_apart(subject: &Subject) {
    // X9, N7
    let tenant = tenant(subject, "admitted").await;
    let own = path_of(&tenant.namespace);
    let actor = &tenant.actor;
    let secrets = format!("{own}/secrets");
    let token_secret = json!({
        "metadata": {
            "name": "forever",
            "annotations": {"kubernetes.io/service-account.name": "default"},
        },
        "type": "kubernetes.io/service-account-token",
    });
    refused(
        actor,
        &secrets,
        token_secret.clone(),
        403,
        "their tokens never end",
    )
    .await;
    // Not by its administrator either.
    refused(&subject.admin, &secrets, token_secret, 403, "never end").await;
    let services = format!("{own}/services");
    let service = |spec: Value| json!({"metadata": {"name": "any"}, "spec": spec});
    for (spec, why) in [
        (
            json!({"externalIPs": ["192.0.2.1"], "ports": [{"port": 80}]}),
            "external IPs are not allowed",
        ),
        (
            json!({"type": "ExternalName", "externalName": "kubernetes.default.svc"}),
            "ExternalName are not allowed",
        ),
        (
            json!({"type": "NodePort", "ports": [{"port": 80}]}),
            "exceeded quota: remotegpu-objects",
        ),
        (
            json!({"type": "LoadBalancer", "ports": [{"port": 80}]}),
            "exceeded quota: remotegpu-objects",
        ),
    ] {
        refused(actor, &services, service(spec), 403, why).await;
    }
    let plain = service(json!({"ports": [{"port": 80}]}));
    actor.done("POST", &services, Some(plain)).await;
    let bent = json!({"spec": {"externalIPs": ["192.0.2.1"]}});
    let (status, _) = actor
        .ask("PATCH", &format!("{services}/any"), Some(bent))
        .await;
    assert_eq!(status, 403);

    let pods = format!("{own}/pods");
    for spec in [
        json!({"hostNetwork": true}),
        json!({"hostPID": true}),
        json!({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
        json!({"containers": [{
            "name": "main", "image": "any", "securityContext": {"privileged": true},
        }]}),
        json!({"containers": [{
            "name": "main", "image": "any", "ports": [{"containerPort": 80, "hostPort": 80}],
        }]}),
    ] {
        let why = "violates PodSecurity \"baseline:v1.34\"";
        refused(actor, &pods, pod("bold", &spec), 403, why).await;
    }
    for (resource, amount) in [("nvidia.com/gpu", "9"), ("ephemeral-storage", "1025Gi")] {
        let limits = json!({"limits": {resource: amount}});
        let greedy = json!({"containers": [{"name": "main", "image": "any", "resources": limits}]});
        let why = "exceeded quota: remotegpu-objects";
        refused(actor, &pods, pod("greedy", &greedy), 403, why).await;
    }
    let requests = json!({"requests": {"cpu": "257", "memory": "1Gi"}});
    let greedy = json!({"containers": [{"name": "main", "image": "any", "resources": requests}]});
    let why = "exceeded quota: remotegpu-compute";
    refused(actor, &pods, pod("greedy", &greedy), 403, why).await;
    // N7: what asks for nothing runs.
    actor
        .done("POST", &pods, Some(pod("plain", &json!({}))))
        .await;
}

/// The tokens that the account of the tenant's own pods can get open nothing, and
/// nothing else becomes a credential.
pub async fn nothing_that_a_tenant_makes_outlives_its_key(subject: &Subject) {
    // X9
    let tenant = tenant(subject, "outlived").await;
    let own = path_of(&tenant.namespace);
    let actor = &tenant.actor;
    let pods = format!("{own}/pods");
    let token = json!({"serviceAccountToken": {"path": "token", "expirationSeconds": EXTENDED}});
    let spec = json!({
        "automountServiceAccountToken": true,
        "volumes": [{"name": "token", "projected": {"sources": [token]}}],
    });
    let made = actor.done("POST", &pods, Some(pod("holder", &spec))).await;
    // As the kubelet asks for what the pod mounts.
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": EXTENDED, "boundObjectRef": {
            "kind": "Pod", "apiVersion": "v1", "name": "holder", "uid": made["metadata"]["uid"],
        }},
    });
    let path = format!("{own}/serviceaccounts/default/token");
    let answer = subject.admin.done("POST", &path, Some(request)).await;
    let pod_token = answer["status"]["token"].as_str().unwrap();
    assert!(lifetime(pod_token) > Duration::from_hours(24 * 360));
    let workload = subject.actor(pod_token).await;
    let everything = [
        pods.clone(),
        format!("{own}/secrets"),
        format!("{own}/configmaps"),
        format!("{own}/serviceaccounts"),
        own.clone(),
        "/api/v1/namespaces".to_owned(),
        "/api/v1/nodes".to_owned(),
        format!("/apis/{RBAC}/v1/clusterroles"),
    ];
    for path in &everything {
        assert_eq!(workload.get(path).await.0, 403, "{path}");
    }
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": tenant.namespace.kubernetes_namespace.as_str()},
    });
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let rules = workload.done("POST", reviews, Some(review)).await;
    for rule in rules["status"]["resourceRules"].as_array().unwrap() {
        if rule["resources"] == json!(["clustertrustbundles"]) {
            assert!(versions::TRUST_BUNDLES_ARE_READ.holds_on(subject), "{rule}");
            assert_eq!(rule["verbs"], json!(["get", "list", "watch"]), "{rule}");
            continue;
        }
        // Asking what one may is all that anybody may.
        assert_eq!(rule["verbs"], json!(["create"]), "{rule}");
        for resource in rule["resources"].as_array().unwrap() {
            assert!(
                resource.as_str().unwrap().starts_with("selfsubject"),
                "{rule}"
            );
        }
    }

    // A Secret that only looks like one of the refused kind is never filled.
    let alike = json!({"metadata": {
        "name": "alike",
        "annotations": {"kubernetes.io/service-account.name": "default"},
    }});
    let secrets = format!("{own}/secrets");
    actor.done("POST", &secrets, Some(alike)).await;
    let bent = json!({"type": "kubernetes.io/service-account-token"});
    let alike = format!("{secrets}/alike");
    let (status, _) = actor.ask("PATCH", &alike, Some(bent)).await;
    assert!(matches!(status, 403 | 422), "{status}");
    // No pod runs as an account of another namespace.
    for account in [
        tenant.identity.object_name(),
        "remotegpu-control-plane".to_owned(),
    ] {
        let spec = json!({"serviceAccountName": account});
        let stolen = pod("stolen", &spec);
        refused(actor, &pods, stolen, 403, "not found").await;
    }

    let located = subject.clusters.locate(&tenant.identity).await.unwrap();
    subject.clusters.remove(&located).await.unwrap();
    until_status(actor, &pods, 401).await;
    for path in &everything {
        assert_eq!(actor.get(path).await.0, 401, "{path}");
        assert_eq!(workload.get(path).await.0, 403, "{path}");
    }
    let found = subject.admin.done("GET", &alike, None).await;
    assert_eq!(found["data"], Value::Null);
    let holder = format!("{pods}/holder?gracePeriodSeconds=0");
    subject.admin.done("DELETE", &holder, None).await;
    until_status(&workload, &pods, 401).await;
}

/// How long the token lives, by its own claims.
fn lifetime(token: &str) -> Duration {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = token.split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let seconds = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    Duration::from_secs(seconds)
}

/// Every right of the control plane was used by the suite: none is too many.
pub fn every_right_of_the_control_plane_is_used(audit_log: &Path) {
    let began = Instant::now();
    let mut used = BTreeSet::new();
    for line in std::fs::read_to_string(audit_log).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        if event["annotations"]["authorization.k8s.io/decision"] != "allow" {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = &event["objectRef"];
        let mut resource = text(&object["resource"]);
        if let Some(subresource) = object["subresource"].as_str() {
            resource = format!("{resource}/{subresource}");
        }
        let place = text(&object["namespace"]) == "remotegpu-credentials";
        let group = text(&object["apiGroup"]);
        // To apply what does not stand takes the right to create it.
        if event["verb"] == "patch" && event["responseStatus"]["code"] == 201 {
            used.insert((place, group.clone(), resource.clone(), "create".to_owned()));
        }
        used.insert((place, group, resource, text(&event["verb"])));
    }
    for object in prerequisites() {
        let among_identities = object["kind"] == "Role";
        let names = object["metadata"]["name"] == "remotegpu:control-plane";
        let rules = object["rules"].as_array().filter(|_| names);
        for rule in rules.into_iter().flatten() {
            for (resource, verb) in each(&rule["resources"], &rule["verbs"]) {
                let group = rule["apiGroups"][0].as_str().unwrap().to_owned();
                // Used inside of the making of bindings; and the cluster makes the
                // account nearly always before it is applied.
                let unseen = verb == "bind"
                    || (!among_identities && verb == "create" && resource == "serviceaccounts");
                let right = (among_identities, group, resource, verb);
                assert!(unseen || used.contains(&right), "{right:?} is not needed");
            }
        }
    }
    println!("      compared in {} ms", began.elapsed().as_millis());
}

fn each(resources: &Value, verbs: &Value) -> Vec<(String, String)> {
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let verbs = texts(verbs);
    let pairs = texts(resources).into_iter().flat_map(|resource| {
        let verbs = verbs.clone().into_iter();
        verbs.map(move |verb| (resource.clone(), verb))
    });
    pairs.collect()
}
