//! From sign-in to `kubectl`, and to the end of what a key has opened.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    Backend, KeyHolder, Kubectl, Person, Pods, Server, Stopwatch, Workload, cluster_client,
};

struct Journey {
    server: Server,
    person: Person,
    plugin: &'static str,
}

impl Journey {
    async fn start(backend: Backend, plugin: &'static str) -> Self {
        let server = Server::start(backend).await;
        let person = server.operator().await;
        Self {
            server,
            person,
            plugin,
        }
    }

    /// Signed in, a namespace, a key that opens only this one, and a kubeconfig.
    async fn prepare(&self, name: &str) -> (Value, KeyHolder, Kubectl) {
        let namespace = self.person.namespace(name).await;
        let scopes = json!({"kubernetes_exec": {"namespace_ids": [namespace["id"]]}});
        let key = self.person.key(scopes).await;
        let kubeconfig = self.person.kubeconfig(&namespace, self.plugin).await;
        assert!(
            !kubeconfig.contains(&key.key),
            "X2: the kubeconfig holds the key"
        );
        (namespace, key, Kubectl::new(&kubeconfig))
    }

    async fn path(&self) {
        let (namespace, key, kubectl) = self.prepare("team-ml").await;
        let name = namespace["kubernetes_namespace"].as_str().unwrap();
        kubectl.succeed(&key.key, &["get", "pods"]);
        let whoami = kubectl.succeed(&key.key, &["auth", "whoami"]);
        assert!(
            whoami.contains("system:serviceaccount:remotegpu-credentials:key-"),
            "{whoami}"
        );
        for manifest in Workload::ALL {
            let file = self.server.path(manifest.name());
            std::fs::write(&file, manifest.text(name)).unwrap();
            let file = file.to_str().unwrap();
            let applied = kubectl.succeed(&key.key, &["apply", "-f", file]);
            assert!(applied.contains("created"), "{applied}");
            let again = kubectl.succeed(&key.key, &["apply", "-f", file]);
            assert!(again.contains("unchanged"), "{again}");
        }
        let found = kubectl.succeed(&key.key, &["get", "deployments", "-o", "name"]);
        assert_eq!(
            found,
            "deployment.apps/demo-cpu\ndeployment.apps/demo-gpu-full\n"
        );

        // Its own namespace, which clients such as kubens look up before they use it.
        let own = kubectl.succeed(&key.key, &["get", "namespace", name, "-o", "name"]);
        assert_eq!(own, format!("namespace/{name}\n"));

        // N4: a rename keeps the cluster namespace, and yesterday's file works.
        let path = format!(
            "/v1/kubernetes/namespaces/{}",
            namespace["id"].as_str().unwrap()
        );
        let renamed = self
            .person
            .patch(&path, json!({"name": "team-nlp"}))
            .await
            .expect(200);
        assert_eq!(renamed["kubernetes_namespace"], name);
        kubectl.succeed(&key.key, &["get", "pods"]);

        // X9: no other namespace opens, and what could outlive the key is closed.
        let other = self.person.namespace("other").await;
        let other = other["kubernetes_namespace"].as_str().unwrap();
        for arguments in [
            &["get", "pods", "-n", other][..],
            &["get", "pods", "-A"],
            &["get", "namespaces"],
            &["get", "namespace", other],
            &["get", "nodes"],
            &["create", "token", "default"],
            &["create", "serviceaccount", "mine"],
            &[
                "create",
                "rolebinding",
                "mine",
                "--clusterrole=cluster-admin",
                "--user=x",
            ],
            &["delete", "namespace", name],
            &["get", "secrets", "-n", "remotegpu-credentials"],
        ] {
            let said = kubectl.fail(&key.key, arguments);
            assert!(said.contains("orbidden"), "{arguments:?}: {said}");
        }
    }

    /// A key is used, then ended by `end`: the next `kubectl` fails with `line`,
    /// and the token from before is refused within a second.
    async fn ends(
        &self,
        name: &str,
        end: impl AsyncFnOnce(&Person, &Value, &KeyHolder),
        line: Option<&str>,
    ) {
        let (namespace, key, kubectl) = self.prepare(name).await;
        kubectl.succeed(&key.key, &["get", "pods"]);
        let token = key.token(&namespace).await;
        let kubeconfig = std::fs::read_to_string(kubectl.kubeconfig()).unwrap();
        let pods = Pods::of(&kubeconfig, &namespace);
        assert!(
            pods.open(&token).await,
            "the token opens the namespace before the key ends"
        );

        end(&self.person, &namespace, &key).await;
        let ended = Stopwatch::start();
        while pods.open(&token).await {
            assert!(
                !ended.is_over(Duration::from_secs(1)),
                "{name}: the token still opens"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let said = kubectl.fail(&key.key, &["get", "pods"]);
        if let Some(line) = line {
            assert!(
                said.lines().any(|said| said.contains(line)),
                "{name}: {said}"
            );
        }
    }

    async fn ends_in_every_way(&self) {
        const INVALID: Option<&str> = Some("Invalid API key");
        const NOT_ALLOWED: Option<&str> =
            Some("This API key does not allow Kubernetes exec for this namespace");
        let key_path = |key: &KeyHolder| format!("/v1/account/api-keys/{}", key.id());
        self.ends(
            "revoked",
            async |person, _, key| {
                let path = format!("{}/revoke", key_path(key));
                person.post(&path, json!({})).await.expect(200);
            },
            INVALID,
        )
        .await;
        self.ends(
            "scope-taken-away",
            async |person, _, key| {
                let change = json!({"scopes": {"inference": true}});
                person.patch(&key_path(key), change).await.expect(200);
            },
            NOT_ALLOWED,
        )
        .await;
        self.ends(
            "rotated",
            async |person, _, key| {
                let path = format!("{}/rotate", key_path(key));
                person.post(&path, json!({})).await.expect(200);
            },
            INVALID,
        )
        .await;
        self.ends(
            "expired",
            async |person, _, key| {
                let end = (time::OffsetDateTime::from(std::time::UNIX_EPOCH)
                    + std::time::UNIX_EPOCH.elapsed().unwrap()
                    + Duration::from_millis(1500))
                .format(&time::format_description::well_known::Rfc3339)
                .unwrap();
                person
                    .patch(&key_path(key), json!({"expires_at": end}))
                    .await
                    .expect(200);
                tokio::time::sleep(Duration::from_millis(1500)).await;
            },
            INVALID,
        )
        .await;
        self.ends(
            "deleted",
            async |person, namespace, _| {
                let id = namespace["id"].as_str().unwrap();
                person
                    .delete(&format!("/v1/kubernetes/namespaces/{id}"))
                    .await
                    .expect(202);
            },
            NOT_ALLOWED,
        )
        .await;
    }

    /// X4: the key stands in no process's arguments while `kubectl` runs.
    async fn key_is_in_no_argument_list(&self) {
        let (_, key, kubectl) = self.prepare("arguments").await;
        let done = Arc::new(AtomicBool::new(false));
        let (watched, needle) = (Arc::clone(&done), key.key.clone());
        let look_out = std::thread::spawn(move || {
            let (mut looks, mut plugins) = (0_u32, 0_u32);
            while !watched.load(Ordering::Relaxed) {
                for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                    let Ok(line) = std::fs::read(entry.path().join("cmdline")) else {
                        continue;
                    };
                    let line = String::from_utf8_lossy(&line);
                    assert!(!line.contains(&needle), "the key stands in {line}");
                    plugins += u32::from(line.contains("exec-credential"));
                }
                looks += 1;
            }
            (looks, plugins)
        });
        for _ in 0..5 {
            kubectl.succeed(&key.key, &["get", "pods"]);
        }
        done.store(true, Ordering::Relaxed);
        let (looks, plugins) = look_out.join().expect("the watcher saw the key");
        assert!(
            looks > 10 && plugins > 0,
            "it watched nothing: {looks} looks, {plugins} plugins"
        );
    }

    /// X4: what is wrong with the variable is said in one line, each time.
    async fn odd_keys_are_told(&self) {
        let (_, key, kubectl) = self.prepare("odd").await;
        let revoked = self.person.key(json!({"all": true})).await;
        self.person.revoke(&revoked).await;
        let mut malformed = key.key.clone();
        malformed.replace_range(40.., if key.key.ends_with('0') { "1" } else { "0" });
        for (value, line) in [
            (None, "REMOTEGPU_API_KEY is not set"),
            (Some(""), "REMOTEGPU_API_KEY is not set"),
            (Some("rgpu_$(id)"), "REMOTEGPU_API_KEY holds a character"),
            (Some("rgpu_a\nb"), "REMOTEGPU_API_KEY holds a character"),
            (Some(malformed.as_str()), "Invalid API key"),
            (Some(revoked.key.as_str()), "Invalid API key"),
        ] {
            let output = kubectl.command(value, &["get", "pods"]).output().unwrap();
            assert!(!output.status.success());
            let said = String::from_utf8(output.stderr).unwrap();
            let own: Vec<&str> = said
                .lines()
                .filter(|line| line.starts_with("remotegpu: "))
                .collect();
            assert!(
                !own.is_empty() && own.iter().all(|said| said.contains(line)),
                "{said}"
            );
        }
    }

    async fn all(backend: Backend, plugin: &'static str) {
        // No limit of keys or namespaces stands in the way of so many ends.
        let journey = Self::start(backend, plugin).await;
        journey.path().await;
        journey.ends_in_every_way().await;
        journey.key_is_in_no_argument_list().await;
        journey.odd_keys_are_told().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_with_sqlite_and_the_shell_plugin() {
    Journey::all(Backend::Sqlite, "shell").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_with_sqlite_and_the_binary_plugin() {
    Journey::all(Backend::Sqlite, "remotegpu").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_with_postgresql_and_the_shell_plugin() {
    Journey::all(Backend::Postgres, "shell").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_with_postgresql_and_the_binary_plugin() {
    Journey::all(Backend::Postgres, "remotegpu").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_two_accounts_that_both_own_a_team_ml() {
    // N3, N4, C6
    let server = Server::start(Backend::Sqlite).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let (hers, his) = (
        ada.namespace("team-ml").await,
        bob.namespace("team-ml").await,
    );
    assert_ne!(hers["kubernetes_namespace"], his["kubernetes_namespace"]);
    let (her_key, his_key) = (
        ada.key(json!({"all": true})).await,
        bob.key(json!({"all": true})).await,
    );
    her_key.mint(&hers).await.expect(200);
    let foreign = her_key.mint(&his).await;
    foreign.problem(403, "exec_not_allowed");
    let hers_with_his = Kubectl::new(&ada.kubeconfig(&hers, "shell").await);
    hers_with_his.succeed(&her_key.key, &["get", "pods"]);
    let said = hers_with_his.fail(&his_key.key, &["get", "pods"]);
    assert!(said.contains("does not allow Kubernetes exec"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_with_the_files_of_two_installations_at_once() {
    // X3
    let servers = [
        Server::start(Backend::Sqlite).await,
        Server::start(Backend::Sqlite).await,
    ];
    let (mut files, mut holders) = (Vec::new(), Vec::new());
    for server in &servers {
        let person = server.operator().await;
        let namespace = person.namespace("team-ml").await;
        let key = person.key(json!({"all": true})).await;
        let kubeconfig = person.kubeconfig(&namespace, "shell").await;
        let file = server.path("kubeconfig.yaml");
        std::fs::write(&file, &kubeconfig).unwrap();
        files.push(file);
        let name = namespace["kubernetes_namespace"]
            .as_str()
            .unwrap()
            .to_owned();
        let (_, url) = cluster_client(&kubeconfig);
        holders.push((name, key, url, kubeconfig));
    }
    let surroundings = Kubectl::new("");
    let merged = std::env::join_paths(&files).unwrap();
    let run = |key: &KeyHolder, context: &str, arguments: &[&str]| {
        let mut command = surroundings.environment(Some(&key.key), "kubectl");
        command.env("KUBECONFIG", &merged);
        command.args(["--context", context]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{context}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (name, key, url, _) in &holders {
        let context = format!("remotegpu-{name}");
        let server = "jsonpath={.clusters[0].cluster.server}";
        let view = ["config", "view", "--minify", "--output", server];
        assert_eq!(run(key, &context, &view), *url);
        // A server takes its own tokens alone, and each has only one of the namespaces.
        run(key, &context, &["create", "configmap", "mine"]);
        let found = run(key, &context, &["get", "namespace", name, "-o", "name"]);
        assert_eq!(found, format!("namespace/{name}\n"));
    }

    // What was handed out before the cluster's name had an end of its own still works.
    let (_, key, _, kubeconfig) = &holders[0];
    let file: Value = serde_saphyr::from_str(kubeconfig).unwrap();
    let old = kubeconfig.replace(
        file["clusters"][0]["name"].as_str().unwrap(),
        "remotegpu-dev",
    );
    assert_ne!(old, *kubeconfig);
    Kubectl::new(&old).succeed(&key.key, &["get", "configmap", "mine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_goes_on_after_a_restart() {
    // R1
    let mut server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    let kubectl = Kubectl::new(&person.kubeconfig(&namespace, "shell").await);
    let name = namespace["kubernetes_namespace"].as_str().unwrap();
    let file = server.path("demo.yaml");
    std::fs::write(&file, Workload::Cpu.text(name)).unwrap();
    kubectl.succeed(&key.key, &["apply", "-f", file.to_str().unwrap()]);
    let token = key.token(&namespace).await;

    server.restart().await;
    let found = kubectl.succeed(&key.key, &["get", "deployments", "-o", "name"]);
    assert_eq!(found, "deployment.apps/demo-cpu\n");
    assert!(
        person.get("/v1/auth/session").await.status.is_success(),
        "the session is gone"
    );
    let kubeconfig = std::fs::read_to_string(kubectl.kubeconfig()).unwrap();
    let status = Pods::of(&kubeconfig, &namespace).status(&token).await;
    assert_eq!(status, 200, "yesterday's token");
}

/// What the shell plugin of the first version was.
const FIRST_PLUGIN: &str = include_str!("journeys/plugin_of_0_1.sh");

/// Runs `kubectl` so many times, 20 at a time, and tells what those said that failed.
fn crowd(kubectl: &Kubectl, key: &str, runs: usize) -> Vec<String> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < runs {
                    let run = kubectl.run(key, &["get", "pods"]);
                    if !run.status.success() {
                        let said = String::from_utf8_lossy(&run.stderr).into_owned();
                        failed.lock().unwrap().push(said);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_crowd_with_one_key() {
    // X4, X8: whoever comes too often comes again by itself, and gets in.
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    for plugin in ["shell", "remotegpu"] {
        let kubectl = Kubectl::new(&person.kubeconfig(&namespace, plugin).await);
        // The first `kubectl` asks what the cluster has, and keeps it.
        kubectl.succeed(&key.key, &["get", "pods"]);
        while key.mint(&namespace).await.status.as_u16() != 429 {}
        let mut failed = crowd(&kubectl, &key.key, 100);
        // A machine that is busy with other things may make the cluster too slow for some.
        failed.retain(|said| !said.contains("The cluster is not available"));
        assert!(failed.is_empty(), "{plugin}: {failed:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_with_a_kubeconfig_from_before() {
    // X4: what people have on their machines goes on working.
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    let today = person.kubeconfig(&namespace, "shell").await;
    let mut file: Value = serde_saphyr::from_str(&today).unwrap();
    file["users"][0]["user"]["exec"]["args"][1] = FIRST_PLUGIN.into();
    let kubectl = Kubectl::new(&file.to_string());
    kubectl.succeed(&key.key, &["get", "pods"]);
    let said = kubectl.fail("rgpu_no_such_key", &["get", "pods"]);
    assert!(said.contains("remotegpu: Invalid API key\n"), "{said}");
    let said = kubectl.fail("", &["get", "pods"]);
    assert!(
        said.contains("remotegpu: REMOTEGPU_API_KEY is not set"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_with_other_clients() {
    // X3: the Python client and kube-rs run the plugin too.
    let server = Server::start(Backend::Sqlite).await;
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    for plugin in ["shell", "remotegpu"] {
        let kubectl = Kubectl::new(&person.kubeconfig(&namespace, plugin).await);
        python_lists_pods(
            &kubectl,
            &key.key,
            namespace["kubernetes_namespace"].as_str().unwrap(),
        );
        kube_rs_lists_pods(&kubectl, &key.key).await;
    }
    // T9: and take the file that brings its token.
    let id = namespace["id"].as_str().unwrap();
    let path = format!("/v1/kubernetes/namespaces/{id}/kubeconfig-token");
    let made = person.post(&path, json!({})).await.expect(201);
    let kubectl = Kubectl::new(made["kubeconfig"].as_str().unwrap());
    python_lists_pods(&kubectl, "", made["namespace"].as_str().unwrap());
    kube_rs_lists_pods(&kubectl, "").await;
}

fn python_lists_pods(kubectl: &Kubectl, key: &str, namespace: &str) {
    const SCRIPT: &str = "
import sys
from kubernetes import client, config
config.load_kube_config(config_file=sys.argv[1])
print(len(client.CoreV1Api().list_namespaced_pod(sys.argv[2]).items), 'pods')
";
    let python = std::env::var("REMOTEGPU_TEST_PYTHON")
        .expect("REMOTEGPU_TEST_PYTHON names a Python with the kubernetes client: run ./x test");
    let output = kubectl
        .environment(Some(key), &python)
        .args([
            "-c",
            SCRIPT,
            kubectl.kubeconfig().to_str().unwrap(),
            namespace,
        ])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "0 pods\n",
        "{output:?}"
    );
}

async fn kube_rs_lists_pods(kubectl: &Kubectl, key: &str) {
    use kube::{
        Api, Client, Config,
        api::ListParams,
        config::{KubeConfigOptions, Kubeconfig},
    };
    let mut kubeconfig = Kubeconfig::read_from(kubectl.kubeconfig()).unwrap();
    // The variables are set for the plugin alone: this process holds many tests.
    let user = kubeconfig.auth_infos[0].auth_info.as_mut().unwrap();
    let path = Kubectl::path();
    let variables = [("REMOTEGPU_API_KEY", key), ("PATH", path.as_str())];
    if let Some(exec) = &mut user.exec {
        exec.env = Some(
            variables
                .map(|(name, value)| {
                    [("name", name), ("value", value)]
                        .map(|(member, text)| (member.to_owned(), text.to_owned()))
                        .into()
                })
                .into(),
        );
    }
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::default_namespaced(client);
    assert!(
        pods.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}
