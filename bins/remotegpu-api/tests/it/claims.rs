//! Which database acts in a cluster, and what happens to what it does not know
//! (contract R8, R9): copies, wrong clusters, and restored databases, each as an
//! operator would come by it.

mod restore;

use std::{fs, path::Path, process::Command, time::Duration};

use remotegpu_dev_cluster::DevCluster;
use serde_json::{Value, json};

use crate::support::{
    Backend, KeyHolder, Kubectl, Person, Server, ServerOptions, Stopwatch, client, eventually,
    foreign_cluster,
};

/// Longer than a reconciler needs for anything that it has to do.
const A_WHILE: Duration = Duration::from_secs(4);

/// The clusters' administrator.
struct Admin(Kubectl);

impl Admin {
    fn of(cluster: &DevCluster) -> Self {
        Self(Kubectl::new(&cluster.admin_kubeconfig()))
    }

    #[track_caller]
    fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.0.command(None, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The tenants' namespaces and the identities that stand there.
    fn standing(&self) -> Vec<String> {
        let mut all = self.namespaces();
        let selector = "--selector=remotegpu.ai/identity-id";
        let identities = [
            "get",
            "serviceaccounts,rolebindings",
            "-A",
            selector,
            "-oname",
        ];
        all.extend(self.kubectl(&identities).lines().map(str::to_owned));
        all
    }

    fn namespaces(&self) -> Vec<String> {
        let selector = "--selector=remotegpu.ai/namespace-id";
        let names = self.kubectl(&["get", "namespaces", selector, "-oname"]);
        let names = names
            .lines()
            .filter_map(|name| name.strip_prefix("namespace/"));
        names.map(str::to_owned).collect()
    }
}

fn state(metrics: &str, cluster: &str) -> Option<String> {
    let begins = format!("remotegpu_cluster_claim{{cluster=\"{cluster}\",state=\"");
    let holds = metrics
        .lines()
        .find(|line| line.starts_with(&begins) && line.ends_with("} 1"));
    let rest = holds?.strip_prefix(&begins)?;
    rest.split('"').next().map(str::to_owned)
}

async fn until_state(server: &Server, cluster: &str, wanted: &str) {
    let what = format!("the claim is {wanted}");
    eventually(&what, Duration::from_secs(20), async || {
        state(&server.metrics().await, cluster).as_deref() == Some(wanted)
    })
    .await;
}

async fn readiness(server: &Server) -> Value {
    let answer = client()
        .get(format!("{}/readyz", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// What `check` says with this server's settings, and whether it was content.
fn check(server: &Server) -> (bool, String) {
    let output = server.command(&["check"]);
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// Signs in as the operator of a copy.
async fn operator(server: &Server) -> Person {
    server.operator().await
}

/// All that a copy may try, and that nothing comes of it in the cluster.
async fn nothing_is_done(server: &Server, admin: &Admin, namespace: &Value, key: &KeyHolder) {
    let before = admin.standing();
    let person = operator(server).await;
    let key = KeyHolder {
        url: server.url.clone(),
        ..key.clone()
    };
    key.mint(namespace)
        .await
        .problem(503, "cluster_unavailable");
    // A namespace that is asked for is provisioning, and at once.
    let began = Stopwatch::start();
    let made = person
        .post("/v1/kubernetes/namespaces", json!({"name": "asked-here"}))
        .await
        .expect(201);
    assert_eq!(made["status"], "provisioning");
    assert!(
        !began.is_over(Duration::from_secs(3)),
        "{:?}",
        began.elapsed()
    );
    // What is ended here is not ended there.
    let id = key.id();
    person
        .post(&format!("/v1/account/api-keys/{id}/revoke"), json!({}))
        .await
        .expect(200);
    let id = namespace["id"].as_str().unwrap();
    person
        .delete(&format!("/v1/kubernetes/namespaces/{id}"))
        .await
        .expect(202);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(admin.standing(), before);
}

/// A namespace, and a key of which a token is in use there.
async fn in_use(server: &Server) -> (Value, KeyHolder) {
    let person = server.operator().await;
    let namespace = person.namespace("team-ml").await;
    let key = person.key(json!({"all": true})).await;
    key.mint(&namespace).await.expect(200);
    (namespace, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_database_does_nothing_in_the_cluster_and_says_so() {
    // R9: production's database as "staging", with production's clusters.
    let mut production = Server::start(Backend::Postgres).await;
    let admin = Admin::of(production.dev_cluster.as_ref().unwrap());
    let (namespace, key) = in_use(&production).await;
    assert!(production.stop().success());
    let copied = production.database.as_ref().unwrap().copy().unwrap();
    // What the one before said as it ended is no matter of the copy's.
    let said_before = production.log().len();
    production.run().await;
    until_state(&production, "eu", "held").await;

    let kubeconfig = production.path("eu.kubeconfig");
    let options = ServerOptions::new(Backend::Sqlite)
        .with("database-url", copied.url())
        .with("clusters", format!("eu={}", kubeconfig.display()));
    let copy = Server::start_with(options).await;
    until_state(&copy, "eu", "foreign").await;
    nothing_is_done(&copy, &admin, &namespace, &key).await;
    assert!(
        copy.log().contains("another database acts there"),
        "{}",
        copy.log()
    );
    let warnings = readiness(&copy).await["warnings"].to_string();
    assert!(
        warnings.contains("eu: another database acts there"),
        "{warnings}"
    );
    let (content, said) = check(&copy);
    assert!(!content, "{said}");
    assert!(
        said.contains("wrong  cluster eu: Another database acts there")
            && said.contains("admin cluster claim eu"),
        "{said}"
    );

    // Production notices nothing.
    assert_eq!(
        state(&production.metrics().await, "eu").as_deref(),
        Some("held")
    );
    assert_eq!(readiness(&production).await, json!({"status": "ok"}));
    assert!(check(&production).0);
    key.mint(&namespace).await.expect(200);
    let said = production.log().split_off(said_before);
    assert!(!said.contains("WARN"), "{said}");

    // Nothing is changed by looking, and the word is the operator's.
    let shown = copy.admin(&["cluster", "claim", "eu"]);
    assert!(shown.contains("Nothing is changed"), "{shown}");
    assert!(
        shown.contains("0 namespaces stand there and no row knows them"),
        "{shown}"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        state(&copy.metrics().await, "eu").as_deref(),
        Some("foreign")
    );
    copy.admin(&["cluster", "claim", "eu", "--yes"]);
    until_state(&copy, "eu", "held").await;
    until_state(&production, "eu", "foreign").await;
    key.mint(&namespace)
        .await
        .problem(503, "cluster_unavailable");
    // The copy's revocation and deletion reach the cluster now: that is what was asked for.
    eventually("the copy acts there", Duration::from_secs(20), async || {
        let asked = admin.namespaces();
        asked.len() == 1 && asked[0].starts_with("asked-here-")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_data_folder_is_found_out_by_the_counter() {
    // R9: the same names in every file, on another machine.
    let folder = tempfile::tempdir().unwrap();
    let (cluster, kubeconfig) = foreign_cluster(folder.path()).await;
    let admin = Admin::of(&cluster);
    let options = ServerOptions::new(Backend::Sqlite)
        .with("clusters", format!("eu={}", kubeconfig.display()));
    let mut production = Server::start_with(options).await;
    let (namespace, key) = in_use(&production).await;
    assert!(production.stop().success());
    let copied = tempfile::tempdir().unwrap();
    copy_folder(&production.path("data"), &copied.path().join("data"));
    // Its first sweep raises the claim.
    production.run().await;
    until_state(&production, "eu", "held").await;

    let copy = production.instance_in(copied).await;
    until_state(&copy, "eu", "behind").await;
    nothing_is_done(&copy, &admin, &namespace, &key).await;
    assert!(
        copy.log().contains("a copy of it is in use"),
        "{}",
        copy.log()
    );
    key.mint(&namespace).await.expect(200);
    assert_eq!(
        state(&production.metrics().await, "eu").as_deref(),
        Some("held")
    );
    drop(copy);

    // The database's file alone, put in the place of a newer one.
    let (old, new) = (tempfile::tempdir().unwrap(), production.path("data"));
    assert!(production.stop().success());
    copy_folder(&new, old.path());
    production.run().await;
    until_state(&production, "eu", "held").await;
    assert!(production.stop().success());
    for file in fs::read_dir(&new).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // But the word that says which database it is, which stays where it is.
        if name.starts_with("remotegpu.db") && !name.ends_with(".identity") {
            fs::remove_file(&path).unwrap();
        }
    }
    fs::copy(old.path().join("remotegpu.db"), new.join("remotegpu.db")).unwrap();
    production.run().await;
    until_state(&production, "eu", "behind").await;
    key.mint(&namespace)
        .await
        .problem(503, "cluster_unavailable");
    production.admin(&["cluster", "claim", "eu", "--yes"]);
    until_state(&production, "eu", "held").await;
    key.mint(&namespace).await.expect(200);
    cluster.stop().await;
}

fn copy_folder(from: &Path, to: &Path) {
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(from.join(".")).arg(to);
    fs::create_dir_all(to).unwrap();
    assert!(copy.status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_in_a_cluster_that_bears_anothers_name() {
    // R9
    let mut server = Server::start(Backend::Postgres).await;
    let right = Admin::of(server.dev_cluster.as_ref().unwrap());
    let (namespace, key) = in_use(&server).await;
    assert!(server.stop().success());
    let kubeconfig = server.path("eu.kubeconfig");
    let kept = fs::read(&kubeconfig).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let (other, other_kubeconfig) = foreign_cluster(elsewhere.path()).await;
    let wrong = Admin::of(&other);
    fs::copy(&other_kubeconfig, &kubeconfig).unwrap();

    server.run().await;
    until_state(&server, "eu", "other_cluster").await;
    let (before, untouched) = (right.standing(), wrong.standing());
    assert!(untouched.is_empty());
    key.mint(&namespace)
        .await
        .problem(503, "cluster_unavailable");
    let person = server.operator().await;
    let made = person
        .post("/v1/kubernetes/namespaces", json!({"name": "asked-here"}))
        .await
        .expect(201);
    assert_eq!(made["status"], "provisioning");
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((right.standing(), wrong.standing()), (before, untouched));
    let claims = ["-n", "remotegpu-credentials", "get", "configmaps", "-oname"];
    assert!(!wrong.kubectl(&claims).contains("remotegpu-claim"));
    let (content, said) = check(&server);
    assert!(
        !content && said.contains("It is another cluster than the one"),
        "{said}"
    );

    // The name points where it did, and all goes on.
    assert!(server.stop().success());
    fs::write(&kubeconfig, kept).unwrap();
    server.run().await;
    until_state(&server, "eu", "held").await;
    key.mint(&namespace).await.expect(200);
    eventually(
        "what was asked for is made",
        Duration::from_secs(20),
        async || right.namespaces().len() == 2,
    )
    .await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_cluster_is_claimed_beside_its_server() {
    // R9, R1: yesterday's database file, and the development cluster as it is.
    let mut server = Server::start(Backend::Sqlite).await;
    let (namespace, key) = in_use(&server).await;
    assert!(server.stop().success());
    let (old, data) = (tempfile::tempdir().unwrap(), server.path("data"));
    fs::copy(data.join("remotegpu.db"), old.path().join("remotegpu.db")).unwrap();
    server.run().await;
    until_state(&server, "dev", "held").await;
    assert!(server.stop().success());
    for left in ["remotegpu.db-wal", "remotegpu.db-shm"] {
        let _ = fs::remove_file(data.join(left));
    }
    fs::copy(old.path().join("remotegpu.db"), data.join("remotegpu.db")).unwrap();
    server.run().await;
    until_state(&server, "dev", "behind").await;
    key.mint(&namespace)
        .await
        .problem(503, "cluster_unavailable");
    let shown = server.admin(&["cluster", "claim", "dev", "--yes"]);
    assert!(shown.contains("This database acts there now"), "{shown}");
    until_state(&server, "dev", "held").await;
    key.mint(&namespace).await.expect(200);
}
