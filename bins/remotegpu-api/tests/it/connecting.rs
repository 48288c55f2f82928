//! `docs/connecting-a-cluster.md`, block by block, as it stands, before a real API server.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use remotegpu_test_support::{
    control_plane::ControlPlane,
    postgres::{TestDatabase, TestPostgres},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Kubectl, command};

/// Where the document puts files, and where it says that the cluster is.
const FOLDER: &str = "/etc/remotegpu";
const SERVER: &str = "https://eu.k8s.example.org";

/// One block of the document: its language and its text.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
}

/// The document, and where it is followed.
struct Scene {
    blocks: Vec<Block>,
    plane: ControlPlane,
    kubectl: Kubectl,
    folder: TempDir,
    database: TestDatabase,
}

impl Scene {
    async fn new() -> Option<Self> {
        let Some(plane) = ControlPlane::start().await else {
            println!(
                "REAL CONTROL PLANE: DID NOT RUN: no etcd, kube-apiserver and \
                 kube-controller-manager in KUBEBUILDER_ASSETS or /usr/local/kubebuilder/bin"
            );
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let kubectl = Kubectl::new(plane.admin_kubeconfig());
        let document: Value = serde_saphyr::from_str(plane.admin_kubeconfig()).unwrap();
        let server = document["clusters"][0]["cluster"]["server"]
            .as_str()
            .unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let text = std::fs::read_to_string(root.join("docs/connecting-a-cluster.md")).unwrap();
        let here = text
            .replace(FOLDER, folder.path().to_str().unwrap())
            .replace(SERVER, server);
        Some(Self {
            blocks: blocks(&here),
            plane,
            kubectl,
            folder,
            database: TestPostgres::shared().unwrap().create_database().unwrap(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The blocks of a language that hold this.
    fn find(&self, language: &str, part: &str) -> &str {
        let found: Vec<&Block> = self
            .blocks
            .iter()
            .filter(|block| block.language == language && block.text.contains(part))
            .collect();
        let [block] = found[..] else {
            panic!("{} blocks of {language} with {part:?}", found.len())
        };
        &block.text
    }

    /// Runs a text in a shell, as the cluster's administrator on the server's machine.
    #[track_caller]
    fn run(&self, text: &str) -> (Option<i32>, String) {
        let ours = Path::new(env!("CARGO_BIN_EXE_remotegpu-api"));
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", text])
            .env_clear()
            .env(
                "PATH",
                format!("{}:{path}", ours.parent().unwrap().display()),
            )
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.kubectl.kubeconfig())
            .env("REMOTEGPU_DATABASE_URL", self.database.url())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        println!("$ {text}\n{said}{errors}");
        (output.status.code(), said)
    }

    /// As a server would have made it.
    fn prepare_database(&self) {
        self.succeed("remotegpu-api migrate || remotegpu-api admin account list");
    }

    #[track_caller]
    fn succeed(&self, text: &str) -> String {
        let (code, said) = self.run(text);
        assert_eq!(code, Some(0), "{text}");
        said
    }

    /// Runs the command of a block without a language, and gives what it has said and
    /// what the document says that it says.
    #[track_caller]
    fn shown(&self, part: &str) -> (String, String) {
        let block = self.find("", part);
        let (command, expected) = block.split_once('\n').unwrap();
        let (_, said) = self.run(command.strip_prefix("$ ").unwrap());
        (said, expected.to_owned())
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut parts = text.split("```");
    let mut blocks = Vec::new();
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        let (language, text) = block.split_once('\n').unwrap();
        blocks.push(Block {
            language: language.to_owned(),
            text: text.to_owned(),
        });
    }
    blocks
}

/// What a run has said, without what differs from cluster to cluster.
fn comparable(said: &str) -> Vec<String> {
    let words = |line: &str| {
        let version = |word: &&str| !word.starts_with("v1.");
        let kept: Vec<&str> = line.split(' ').filter(version).collect();
        kept.join(" ")
    };
    said.lines().map(words).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_connected_as_the_document_says() {
    // R2, R3
    let Some(scene) = Scene::new().await else {
        return;
    };
    // What the administrator applies, and what the document shows of it.
    scene.succeed(scene.find("sh", "cluster manifest | kubectl apply"));
    let (said, expected) = scene.shown("grep -B3");
    assert_eq!(said, expected);

    // From outside of the cluster.
    scene.succeed("kubectl -n remotegpu-system create token remotegpu-control-plane --duration=8h");
    scene.succeed(scene.find("sh", "kind: Secret"));
    std::fs::write(
        scene.path("eu.kubeconfig"),
        scene.find("yaml", "kind: Config"),
    )
    .unwrap();
    let config = scene.path("remotegpu.toml");
    std::fs::write(&config, scene.find("toml", "kubeconfig =")).unwrap();
    scene.succeed("timeout 20 remotegpu-api --config remotegpu.toml config");
    scene.prepare_database();
    let (said, expected) = scene.shown("remotegpu.toml check\n");
    assert_eq!(comparable(&said), comparable(&expected));

    // After somebody took a rule out of two roles and removed a guard.
    let patch = |role: &str, part: &str| {
        let role = format!("clusterrole/{role}");
        let found = scene.succeed(&format!("kubectl get {role} -o json"));
        let found: Value = serde_json::from_str(&found).unwrap();
        let rules = found["rules"].as_array().unwrap();
        let place = rules
            .iter()
            .position(|rule| rule.to_string().contains(part));
        let less = format!(
            r#"[{{"op": "remove", "path": "/rules/{}"}}]"#,
            place.unwrap()
        );
        scene.succeed(&format!("kubectl patch {role} --type=json -p '{less}'"));
    };
    patch("remotegpu:control-plane", "networkpolicies");
    patch("remotegpu:viewer", "ingresses");
    scene.succeed("kubectl delete validatingadmissionpolicybinding remotegpu-tenant-secrets");
    let expected = scene.find("", "may not get, list, create and patch networkpolicies");
    let mut said = String::new();
    for _ in 0..50 {
        let (code, all) = scene.run("remotegpu-api --config remotegpu.toml check");
        assert_eq!(code, Some(1));
        let wrong = all.lines().filter(|line| line.starts_with("wrong"));
        said = ended(wrong);
        if said == expected {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(said, expected);

    // Every setting of the other table is one, too.
    let inside = scene.path("inside.toml");
    let text = scene.find("toml", "in_cluster = true");
    std::fs::write(&inside, text).unwrap();
    std::fs::write(scene.path("here-ca.crt"), "").unwrap();
    let said = scene.succeed(&format!(
        "remotegpu-api --config {} config",
        inside.display()
    ));
    assert!(said.contains("here"), "{said}");
    let _ = &scene.plane;
}

/// Lines as they were, each with its end.
fn ended<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.fold(String::new(), |all, line| all + line + "\n")
}

/// A workload that asks of the scheduler what nobody has allowed.
fn bold(kind: &str, version: &str, name: &str, spec: &Value) -> Value {
    let mut template = json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "any"}]},
    });
    for (field, value) in spec.as_object().unwrap() {
        template["spec"][field] = value.clone();
    }
    let metadata = json!({"name": name, "namespace": "team-ml-x7k2pq"});
    let mut made = json!({"apiVersion": version, "kind": kind, "metadata": metadata});
    let selector = json!({"matchLabels": {"app": name}});
    made["spec"] = match kind {
        "Pod" => template["spec"].clone(),
        "Job" => {
            template["spec"]["restartPolicy"] = "Never".into();
            json!({"template": template})
        }
        "CronJob" => {
            template["spec"]["restartPolicy"] = "Never".into();
            json!({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}})
        }
        "StatefulSet" => json!({"serviceName": "a", "selector": selector, "template": template}),
        _ => json!({"selector": selector, "template": template}),
    };
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_refused_is_told_before_anything_is_enforced() {
    // R3, R6, X9
    let Some(scene) = Scene::new().await else {
        return;
    };
    let apply = |object: &Value| {
        std::fs::write(scene.path("object.json"), object.to_string()).unwrap();
        scene.succeed("kubectl apply -f object.json");
    };
    // The previous version's manifest.
    let previous = include_str!("manifests/without-placement.yaml");
    std::fs::write(scene.path("previous.yaml"), previous).unwrap();
    scene.succeed("kubectl apply -f previous.yaml");
    scene.succeed(
        "kubectl create priorityclass high --value=1000
         kubectl create priorityclass usual --value=5 --global-default
         for namespace in team-ml-x7k2pq other; do
             kubectl create namespace $namespace
             until kubectl -n $namespace get serviceaccount default; do sleep 0.1; done
         done
         kubectl label namespace team-ml-x7k2pq remotegpu.ai/namespace-id=one",
    );
    let config = |lists: &str| {
        let text = format!("[tenant_baseline]\n{lists}\n");
        std::fs::write(scene.path("remotegpu.toml"), text).unwrap();
    };
    let gpu = json!({"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]});
    apply(&bold("Deployment", "apps/v1", "trainer", &gpu));
    config("");
    scene.prepare_database();
    let (said, expected) = scene.shown("eu=$KUBECONFIG check");
    // That namespace was made by hand, and no database knows it.
    let lines = said
        .lines()
        .filter(|line| !line.contains("No database has claimed it"));
    let said = ended(lines);
    assert_eq!(comparable(&said), comparable(&expected));
    scene.succeed("kubectl -n team-ml-x7k2pq delete deployment trainer");

    let everything = json!({"tolerations": [{"operator": "Exists"}]});
    let gpus = json!({"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]});
    for (kind, version, name, spec) in [
        (
            "Deployment",
            "apps/v1",
            "high",
            json!({"priorityClassName": "high"}),
        ),
        ("StatefulSet", "apps/v1", "tolerant", everything.clone()),
        ("DaemonSet", "apps/v1", "gpus", gpus),
        (
            "Job",
            "batch/v1",
            "scheduled",
            json!({"schedulerName": "bold"}),
        ),
        (
            "CronJob",
            "batch/v1",
            "nightly",
            json!({"priorityClassName": "high"}),
        ),
        ("Pod", "v1", "bare", everything.clone()),
        (
            "Deployment",
            "apps/v1",
            "plain",
            json!({"priorityClassName": "usual"}),
        ),
        ("DaemonSet", "apps/v1", "plain-too", json!({})),
    ] {
        apply(&bold(kind, version, name, &spec));
    }
    // It is no tenant's.
    let mut foreign = bold("Deployment", "apps/v1", "foreign", &everything);
    foreign["metadata"]["namespace"] = "other".into();
    apply(&foreign);
    let told = |kubeconfig: &Path| {
        let check = format!(
            "remotegpu-api --config remotegpu.toml --clusters eu={} check",
            kubeconfig.display()
        );
        // The namespace was made by hand, and no database knows it.
        let said = scene.run(&check).1;
        let lines = said.lines();
        let lines = lines.filter(|line| !line.contains("No database has claimed it"));
        ended(lines)
    };
    // By the administrator, who sees all of it.
    let said = told(scene.kubectl.kubeconfig());
    for workload in [
        "the Deployment team-ml-x7k2pq/high, for the priority class high, would be refused",
        "the StatefulSet team-ml-x7k2pq/tolerant, for the toleration of everything, would",
        "the DaemonSet team-ml-x7k2pq/gpus, for the toleration nvidia.com/gpu, would be",
        "the Job team-ml-x7k2pq/scheduled, for the scheduler bold, would be refused",
        "the CronJob team-ml-x7k2pq/nightly, for the priority class high, would be refused",
        "the Pod team-ml-x7k2pq/bare, for the toleration of everything, would be refused",
        "is missing: ValidatingAdmissionPolicy remotegpu-tenant-placement, ",
    ] {
        assert!(said.contains(workload), "{workload}: {said}");
    }
    let count = |said: &str| said.matches("New pods of ").count();
    assert_eq!(count(&said), 6, "{said}");
    config("priority_classes = [\"high\"]\ntolerations = [\"nvidia.com/gpu\"]");
    assert_eq!(count(&told(scene.kubectl.kubeconfig())), 3);

    // By the control plane, which reads no workloads, and whose rights are of before.
    let mut own: Value = serde_saphyr::from_str(scene.plane.admin_kubeconfig()).unwrap();
    let token = scene.succeed("kubectl -n remotegpu-system create token remotegpu-control-plane");
    own["users"][0]["user"] = json!({"token": token.trim()});
    let kubeconfig = scene.path("own.kubeconfig");
    std::fs::write(&kubeconfig, own.to_string()).unwrap();
    let said = told(&kubeconfig);
    for part in [
        "named remotegpu-tenant-placement and remotegpu-tenant-priorities: have the cluster's",
        "Whether it stands there unchanged cannot be seen: ValidatingAdmissionPolicy \
         remotegpu-tenant-placement, ",
        "warn   cluster eu: Which workloads of tenants the guards would refuse is not looked at",
        "which may not list pods, deployments, ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // What the document says to do: look, mend, and apply.
    scene.succeed("remotegpu-api cluster manifest | kubectl apply -f -");
    let mut said = String::new();
    for _ in 0..50 {
        said = told(&kubeconfig);
        if !said.contains("wrong  cluster eu") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert!(
        !said.contains("wrong  cluster") && !said.contains("warn   cluster"),
        "{said}"
    );
    let said = told(scene.kubectl.kubeconfig());
    assert!(
        said.contains("the Pod team-ml-x7k2pq/bare, for the toleration of everything, are"),
        "{said}"
    );
}

/// What the document counts is counted here.
#[test]
fn the_numbers_of_the_document_are_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let output = command(&["cluster".to_owned(), "manifest".to_owned()]);
    let output = { output }.output().unwrap();
    let manifest = String::from_utf8(output.stdout).unwrap();
    let policies = manifest
        .lines()
        .filter(|line| *line == "kind: ValidatingAdmissionPolicy")
        .count();
    let words = ["Four", "Five", "Six", "Seven", "Eight"];
    let word = words[policies - 4];
    for name in ["connecting-a-cluster.md", "tenant-baseline.md"] {
        let said = format!("{word} ValidatingAdmissionPolicies");
        assert!(read(name).contains(&said), "{name}: {said}");
    }
}
