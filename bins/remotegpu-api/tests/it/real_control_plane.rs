//! What only a real API server can show, from the server's front door to the
//! cluster.

mod access_tokens;
mod faults;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{StreamExt, stream};
use remotegpu_test_support::{
    control_plane::ControlPlane,
    postgres::{TestDatabase, TestPostgres},
};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::helm;
use crate::readme::{Quickstart, one_time_password};
use crate::support::{
    Backend, KeyHolder, Kubectl, Person, PlainProxy, Server, ServerOptions, Stopwatch,
    cluster_client, command, eventually, free_port,
};

const ACCOUNT: &str = "remotegpu-control-plane";

/// A real cluster, prepared as `docs/connecting-a-cluster.md` says.
struct Cluster {
    plane: ControlPlane,
    kubectl: Kubectl,
    folder: TempDir,
}

impl Cluster {
    /// One that nothing is applied to yet.
    async fn bare() -> Option<Self> {
        ControlPlane::start().await.map(Self::of)
    }

    fn of(plane: ControlPlane) -> Self {
        Self {
            kubectl: Kubectl::new(plane.admin_kubeconfig()),
            folder: tempfile::tempdir().unwrap(),
            plane,
        }
    }

    /// One that is prepared, and asks as this file says who a token is.
    async fn asking(webhook: &str) -> Option<Self> {
        let cluster = Self::of(ControlPlane::start_asking(webhook).await?);
        cluster.apply_manifest();
        Some(cluster)
    }

    async fn prepared() -> Option<Self> {
        let cluster = Self::bare().await?;
        cluster.apply_manifest();
        Some(cluster)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[track_caller]
    fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.kubectl.command(None, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn apply_manifest(&self) {
        let manifest = command(&["cluster".to_owned(), "manifest".to_owned()]);
        let manifest = ended(manifest);
        let path = self.path("manifest.yaml");
        std::fs::write(&path, manifest.stdout).unwrap();
        self.kubectl(&["apply", "-f", path.to_str().unwrap()]);
    }

    /// A token of the control plane's own account, for an hour.
    fn token(&self) -> String {
        let create = ["-n", "remotegpu-system", "create", "token", ACCOUNT];
        self.kubectl(&create).trim().to_owned()
    }

    /// The kubeconfig that the server gets: a token in a file of its own.
    fn kubeconfig(&self) -> PathBuf {
        let token = self.path("token");
        std::fs::write(&token, self.token()).unwrap();
        let mut document: Value = serde_saphyr::from_str(self.plane.admin_kubeconfig()).unwrap();
        document["users"][0]["user"] = json!({"tokenFile": token});
        self.write("real.kubeconfig", &document)
    }

    fn write(&self, name: &str, document: &Value) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, document.to_string()).unwrap();
        path
    }

    /// What `check` says about the cluster behind this kubeconfig.
    fn check(&self, kubeconfig: &Path) -> Check {
        Check::run(&[
            format!("--data-dir={}", self.path("data").display()),
            format!("--clusters=real={}", kubeconfig.display()),
            "check".to_owned(),
        ])
    }
}

fn ended(mut command: Command) -> Output {
    command.output().unwrap()
}

/// What `remotegpu-api check` has said.
struct Check {
    code: Option<i32>,
    said: String,
}

impl Check {
    fn run(arguments: &[String]) -> Self {
        Self::of(command(arguments))
    }

    fn of(command: Command) -> Self {
        let output = ended(command);
        let said = String::from_utf8(output.stdout).unwrap();
        println!("{said}");
        Self {
            code: output.status.code(),
            said,
        }
    }

    /// The lines that begin with this word.
    fn lines(&self, word: &str) -> Vec<&str> {
        let begins = format!("{word:<6} cluster real: ");
        let lines = self.said.lines();
        lines
            .filter_map(|line| line.strip_prefix(&*begins))
            .collect()
    }

    #[track_caller]
    fn is_fine(&self) {
        assert_eq!(self.code, Some(0), "{}", self.said);
        assert!(self.lines("wrong").is_empty() && self.lines("warn").is_empty());
    }

    /// The one line about the cluster.
    #[track_caller]
    fn only_wrong(&self) -> &str {
        assert_eq!(self.code, Some(1), "{}", self.said);
        assert!(self.lines("ok").is_empty(), "{}", self.said);
        let [line] = self.lines("wrong")[..] else {
            panic!("{}", self.said)
        };
        line
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_control_plane_is_checked_in_sentences() {
    // R3
    let Some(cluster) = Cluster::bare().await else {
        return;
    };
    // An administrator's kubeconfig, and nothing applied.
    let bare = cluster.check(cluster.kubectl.kubeconfig());
    assert_eq!(bare.code, Some(1));
    assert!(
        bare.lines("wrong")
            .iter()
            .any(|line| line.contains("is missing: Namespace ")),
        "{}",
        bare.said
    );
    assert!(
        bare.lines("warn")
            .iter()
            .any(|line| line.contains("may do everything")),
        "{}",
        bare.said
    );

    cluster.apply_manifest();
    let kubeconfig = cluster.kubeconfig();
    let fine = cluster.check(&kubeconfig);
    fine.is_fine();
    assert_eq!(fine.lines("ok").len(), 6, "{}", fine.said);

    // One right less.
    let role = "clusterrole/remotegpu:control-plane";
    let less = r#"[{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "list"]}]"#;
    cluster.kubectl(&["patch", role, "--type=json", "-p", less]);
    eventually("the right is gone", Duration::from_secs(5), async || {
        cluster.check(&kubeconfig).code == Some(1)
    })
    .await;
    let missing = cluster.check(&kubeconfig);
    let [line] = missing.lines("wrong")[..] else {
        panic!("{}", missing.said)
    };
    assert!(
        line.starts_with("The control plane may not create, patch and delete namespaces: "),
        "{line}"
    );
    cluster.apply_manifest();

    // Somebody else's authority.
    let mut document: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(&kubeconfig).unwrap()).unwrap();
    let right = document.clone();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let ca = STANDARD.encode(other.cert.pem());
    document["clusters"][0]["cluster"]["certificate-authority-data"] = ca.into();
    let wrong_ca = cluster.check(&cluster.write("ca.kubeconfig", &document));
    assert!(
        wrong_ca
            .only_wrong()
            .contains("is not signed by the certificate authority"),
        "{}",
        wrong_ca.said
    );
    // A credential that has never been one.
    let mut document = right.clone();
    document["users"][0]["user"] = json!({"token": "canary"});
    let refused = cluster.check(&cluster.write("token.kubeconfig", &document));
    assert!(refused.only_wrong().contains("(401)"), "{}", refused.said);
    assert!(!refused.said.contains("canary"));
    // No such name, no such port.
    for (server, says) in [
        (
            "https://no-such-host.invalid:6443".to_owned(),
            "has no address",
        ),
        (
            format!("https://127.0.0.1:{}", free_port()),
            "refuses the connection",
        ),
    ] {
        let mut document = right.clone();
        document["clusters"][0]["cluster"]["server"] = server.into();
        let nowhere = cluster.check(&cluster.write("nowhere.kubeconfig", &document));
        assert!(nowhere.only_wrong().contains(says), "{}", nowhere.said);
    }
    cluster.check(&kubeconfig).is_fine();

    in_a_pod(&cluster).await;
}

/// The server in a pod: R2. The kubelet replaces the token that it mounts, and the
/// server notices.
async fn in_a_pod(cluster: &Cluster) {
    let mount = cluster.path("mount");
    std::fs::create_dir(&mount).unwrap();
    let document: Value = serde_saphyr::from_str(cluster.plane.admin_kubeconfig()).unwrap();
    let known = &document["clusters"][0]["cluster"];
    let ca = known["certificate-authority-data"].as_str().unwrap();
    std::fs::write(mount.join("ca.crt"), STANDARD.decode(ca).unwrap()).unwrap();
    let mount_token = || std::fs::write(mount.join("token"), cluster.token()).unwrap();
    let server = known["server"].as_str().unwrap();
    let config = cluster.path("config.toml");
    let text = format!(
        "[[clusters]]\nname = \"real\"\nin_cluster = true\nservice_account_dir = \"{}\"\n\
         server = {server:?}\n",
        mount.display()
    );
    std::fs::write(&config, text).unwrap();
    let arguments = [
        format!("--config={}", config.display()),
        format!("--data-dir={}", cluster.path("data").display()),
        "check".to_owned(),
    ];
    let variables = [
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
        (
            "KUBERNETES_SERVICE_PORT",
            server.rsplit(':').next().unwrap(),
        ),
    ];
    let in_pod = || {
        let mut command = command(&arguments);
        command.envs(variables);
        Check::of(command)
    };
    let no_token = in_pod();
    assert!(
        no_token.only_wrong().contains("token cannot be read"),
        "{}",
        no_token.said
    );
    mount_token();
    let no_pod = Check::of(command(&arguments));
    assert!(
        no_pod
            .only_wrong()
            .contains("KUBERNETES_SERVICE_HOST is not set"),
        "{}",
        no_pod.said
    );
    in_pod().is_fine();

    let mut options =
        ServerOptions::new(Backend::Sqlite).with("config", config.display().to_string());
    options.environment = variables
        .map(|(name, value)| (name, value.to_owned()))
        .into();
    let mut server = Server::start_with(options).await;
    let person = server.operator().await;
    let namespace = person.namespace("in-a-pod").await;
    let key = person.key(json!({"all": true})).await;
    key.mint(&namespace).await.expect(200);
    // The old token ends with its account; the new one is of another.
    let old = std::fs::read_to_string(mount.join("token")).unwrap();
    cluster.kubectl(&[
        "-n",
        "remotegpu-system",
        "delete",
        "serviceaccount",
        ACCOUNT,
    ]);
    cluster.apply_manifest();
    mount_token();
    let began = Stopwatch::start();
    // The API server remembers who brought it for ten seconds.
    let (client, url) = cluster_client(cluster.plane.admin_kubeconfig());
    let namespaces = format!("{url}/api/v1/namespaces");
    eventually(
        "the old token has ended",
        Duration::from_secs(15),
        async || {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let asked = client.get(&namespaces).bearer_auth(&old).send();
            asked.await.unwrap().status() == 401
        },
    )
    .await;
    eventually(
        "the new token is read",
        Duration::from_secs(75),
        async || {
            tokio::time::sleep(Duration::from_millis(250)).await;
            key.mint(&namespace).await.status == 200
        },
    )
    .await;
    println!("the new token was in use after {:?}", began.elapsed());
    assert!(server.stop().success());
}

/// A server before the real cluster, and somebody with a namespace there.
struct World {
    server: Server,
    person: Person,
    namespace: Value,
    client: Client,
    pods: String,
    cluster: Cluster,
    _database: TestDatabase,
}

impl World {
    async fn new() -> Option<Self> {
        let cluster = Cluster::prepared().await?;
        let kubeconfig = cluster.kubeconfig();
        // As in production.
        let database = TestPostgres::shared().unwrap().create_database().unwrap();
        let options = ServerOptions::new(Backend::Sqlite)
            .with("database-url", database.url())
            .with("clusters", format!("real={}", kubeconfig.display()))
            .with("key-limit", "1000");
        let server = Server::start_with(options).await;
        let person = server.operator().await;
        let namespace = person.namespace("team-ml").await;
        let (client, url) = cluster_client(cluster.plane.admin_kubeconfig());
        let name = namespace["kubernetes_namespace"].as_str().unwrap();
        Some(Self {
            pods: format!("{url}/api/v1/namespaces/{name}/pods"),
            server,
            person,
            namespace,
            client,
            cluster,
            _database: database,
        })
    }

    async fn key(&self) -> KeyHolder {
        self.person.key(json!({"all": true})).await
    }

    async fn token(&self, key: &KeyHolder) -> String {
        key.token(&self.namespace).await
    }

    async fn revoke(&self, key: &KeyHolder) {
        self.person.revoke(key).await;
    }

    /// How the cluster answers somebody with this token.
    async fn status(&self, token: &str) -> u16 {
        let mut tries = 0..5;
        loop {
            let request = self.client.get(&self.pods).bearer_auth(token);
            match request.send().await {
                Ok(answer) => return answer.status().as_u16(),
                // An API server ends a connection now and then, and with it whatever
                // is asked on it: that is no answer.
                Err(error) => assert!(tries.next().is_some(), "{error:?}"),
            }
        }
    }

    /// Uses the token all the time until it gets this status; since when.
    async fn until(&self, token: &str, wanted: u16, within: Duration) -> Duration {
        let began = Stopwatch::start();
        loop {
            let status = self.status(token).await;
            if status == wanted {
                return began.elapsed();
            }
            assert!(!began.is_over(within), "{status}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The accounts and bindings of identities that the cluster knows.
    fn identities(&self) -> Vec<String> {
        let names = self.cluster.kubectl(&[
            "get",
            "serviceaccounts,rolebindings",
            "--all-namespaces",
            "--selector=remotegpu.ai/identity-id",
            "--output=name",
        ]);
        names.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_control_plane_journey_of_the_readme_with_two_instances() {
    // The README's quickstart as it stands, on PostgreSQL: every connection of it goes
    // to the other of two instances.
    let Some(cluster) = Cluster::prepared().await else {
        return;
    };
    let port = free_port();
    let kubeconfig = cluster.kubeconfig();
    let mut options = ServerOptions::new(Backend::Postgres)
        .with("clusters", format!("real={}", kubeconfig.display()))
        .with("public-url", format!("http://127.0.0.1:{port}"));
    options.given_password = false;
    let mut first = Server::start_with(options).await;
    let mut second = first.second_instance().await;
    let instances = vec![first.url.clone(), second.url.clone()];
    let proxy = PlainProxy::start_in_turn(port, instances).await;
    let log = first.log();
    let password = log.lines().find_map(one_time_password);
    let password = password.unwrap_or_else(|| panic!("no password: {log}"));

    let quickstart = Quickstart::read().at(&proxy.url);
    let folder = cluster.path("quickstart");
    std::fs::create_dir(&folder).unwrap();
    let said = tokio::task::block_in_place(|| quickstart.run(&folder, password));
    said.is_the_journey();
    assert!(first.stop().success() && second.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn real_control_plane_journey_with_helm() {
    if !helm::is_there() {
        return;
    }
    if let Some(world) = World::new().await {
        helm::journey(&world.server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_control_plane_keeps_nothing_of_a_revoked_key() {
    // X9, X10
    let Some(mut world) = World::new().await else {
        return;
    };
    in_constant_use(&world).await;
    races(&world).await;
    a_crash_saves_nothing(&mut world).await;
    assert!(world.server.stop().success());
}

/// A token in constant use is refused within a second, and unknown within 15.
async fn in_constant_use(world: &World) {
    let key = world.key().await;
    let token = world.token(&key).await;
    assert_eq!(world.status(&token).await, 200);
    let using = world.until(&token, 403, Duration::from_secs(10));
    let (_, since_revoked) = tokio::join!(using, async {
        // In use already.
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.revoke(&key).await;
        Stopwatch::start()
    });
    let took = since_revoked.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let unknown = world.until(&token, 401, Duration::from_secs(15)).await;
    println!(
        "refused {} ms after the revocation's answer, unknown {} ms after that",
        took.as_millis(),
        unknown.as_millis()
    );
}

/// Two hundred mints race two hundred revocations, each of its own key; half of the
/// keys have minted before.
async fn races(world: &World) {
    const RACES: usize = 200;
    assert_eq!(world.identities(), [""; 0]);
    let outcomes: Vec<_> = stream::iter(0..RACES)
        .map(|race| async move {
            let key = world.key().await;
            let mut tokens = Vec::new();
            if race % 2 == 0 {
                tokens.push(world.token(&key).await);
            }
            // What a mint takes, more or less, so that the revocation comes at every
            // step of it.
            let pause = Duration::from_millis(race as u64 * 7 % 60);
            let (minted, ()) = tokio::join!(key.mint(&world.namespace), async {
                tokio::time::sleep(pause).await;
                world.revoke(&key).await;
            });
            let status = minted.status.as_u16();
            match status {
                200 => {
                    let token = minted.json()["status"]["token"].clone();
                    tokens.push(token.as_str().unwrap().to_owned());
                }
                401 => {
                    minted.problem(401, "invalid_api_key");
                }
                // The key was remembered as it was, and the database knew better.
                403 => {
                    minted.problem(403, "exec_not_allowed");
                }
                _ => {
                    minted.problem(503, "cluster_unavailable");
                }
            }
            // Whoever asks after the answer gets none.
            key.mint(&world.namespace)
                .await
                .problem(401, "invalid_api_key");
            (status, tokens)
        })
        .buffer_unordered(12)
        .collect()
        .await;
    let with = |wanted: u16| {
        outcomes
            .iter()
            .filter(|(status, _)| *status == wanted)
            .count()
    };
    println!(
        "of {RACES} mints {} were answered with a token, {} with 401, {} with 403, {} with 503",
        with(200),
        with(401),
        with(403),
        with(503)
    );
    assert!(
        with(200) > 10 && with(200) < RACES - 10,
        "they did not race"
    );
    let tokens = outcomes.iter().flat_map(|(_, tokens)| tokens);
    let count = tokens.clone().count();
    let began = Stopwatch::start();
    stream::iter(tokens)
        .for_each_concurrent(16, |token| async move {
            // By the missing binding, or at the latest by the missing account.
            eventually("a token is refused", Duration::from_secs(15), async || {
                world.status(token).await != 200
            })
            .await;
        })
        .await;
    println!("{count} tokens are refused after {:?}", began.elapsed());
    let began = Stopwatch::start();
    eventually("nothing is left", Duration::from_secs(15), async || {
        world.identities().is_empty()
    })
    .await;
    println!("nothing is left of them after {:?}", began.elapsed());
    // And none comes back: what the API server remembers ends within 15 seconds.
    tokio::time::sleep(Duration::from_secs(12)).await;
    for token in outcomes.iter().flat_map(|(_, tokens)| tokens) {
        assert_eq!(world.status(token).await, 401);
    }
}

/// `kill -9` between a revocation and its clean-up, and as long before the answer
/// as after it.
async fn a_crash_saves_nothing(world: &mut World) {
    for round in 0..4_u64 {
        let key = world.key().await;
        let token = world.token(&key).await;
        assert_eq!(world.status(&token).await, 200);
        world.revoke(&key).await;
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        world.server.kill();
        let at_the_crash = world.status(&token).await;
        world.server.run().await;
        let took = world.until_refused(&token).await;
        println!("{at_the_crash} at the crash, refused {took:?} after the restart");
    }
}

impl World {
    async fn until_refused(&self, token: &str) -> Duration {
        let began = Stopwatch::start();
        eventually(
            "the token is refused",
            Duration::from_secs(15),
            async || [401, 403].contains(&self.status(token).await),
        )
        .await;
        began.elapsed()
    }
}
