//! A dump is restored into the database that it was taken of (contract R7, R8), as
//! `docs/operating.md` says, on the development cluster and on a real one.

use std::{path::Path, time::Duration};

use futures_util::{StreamExt, stream};
use remotegpu_test_support::{
    control_plane::ControlPlane,
    postgres::{TestDatabase, TestPostgres},
};
use serde_json::{Value, json};

use super::{A_WHILE, Admin, check, readiness, until_state};
use crate::support::{
    Backend, KeyHolder, Kubectl, Person, Server, ServerOptions, command, eventually,
    foreign_cluster,
};

/// How many namespaces there are when the database is lost; three of ten were made after
/// the dump. `REMOTEGPU_RESTORE_NAMESPACES` sets another number: 200 is what the contract
/// was tried with.
fn size() -> usize {
    let size = std::env::var("REMOTEGPU_RESTORE_NAMESPACES");
    size.map_or(10, |size| size.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_yesterdays_dump_is_restored() {
    // R7, R8, R9
    let folder = tempfile::tempdir().unwrap();
    let (cluster, kubeconfig) = foreign_cluster(folder.path()).await;
    journey(&kubeconfig, Admin::of(&cluster), size()).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_control_plane_keeps_all_when_yesterdays_dump_is_restored() {
    // R7, R8, R9
    let Some(plane) = ControlPlane::start().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let admin = Admin(Kubectl::new(plane.admin_kubeconfig()));
    let manifest = command(&["cluster".to_owned(), "manifest".to_owned()]).output();
    let path = folder.path().join("manifest.yaml");
    std::fs::write(&path, manifest.unwrap().stdout).unwrap();
    admin.kubectl(&["apply", "-f", path.to_str().unwrap()]);
    let account = "remotegpu-control-plane";
    let token = admin.kubectl(&["-n", "remotegpu-system", "create", "token", account]);
    let mut document: Value = serde_saphyr::from_str(plane.admin_kubeconfig()).unwrap();
    document["users"][0]["user"] = json!({"token": token.trim()});
    let kubeconfig = folder.path().join("eu.kubeconfig");
    std::fs::write(&kubeconfig, document.to_string()).unwrap();
    journey(&kubeconfig, admin, size()).await;
}

struct World {
    first: Server,
    second: Server,
    admin: Admin,
    database: TestDatabase,
}

impl World {
    async fn start(kubeconfig: &Path, admin: Admin) -> Self {
        let database = TestPostgres::shared().unwrap().create_database().unwrap();
        let options = ServerOptions::new(Backend::Sqlite)
            .with("database-url", database.url())
            .with("clusters", format!("eu={}", kubeconfig.display()))
            .with("namespace-limit", "1000")
            .with("key-limit", "1000");
        let first = Server::start_with(options).await;
        let second = first.second_instance().await;
        Self {
            first,
            second,
            admin,
            database,
        }
    }

    fn stop(&mut self) {
        assert!(self.first.stop().success() && self.second.stop().success());
    }

    async fn run(&mut self) {
        self.first.run().await;
        self.second.run().await;
    }

    /// Both start anew, which begins with a sweep of each.
    async fn sweep(&mut self) {
        self.stop();
        self.run().await;
        tokio::time::sleep(A_WHILE).await;
    }

    /// The lines of `admin held list` that tell of this kind.
    fn held(&self, kind: &str) -> Vec<String> {
        let list = self.first.admin(&["held", "list"]);
        let lines = list
            .lines()
            .filter(|line| line.contains(&format!("  {kind} ")));
        lines.map(str::to_owned).collect()
    }

    /// Every namespace with all that stands in it, but what others write now and then.
    fn everything(&self) -> Vec<String> {
        let kinds = "resourcequotas,networkpolicies,serviceaccounts,configmaps";
        let columns = "-ocustom-columns=N:.metadata.namespace,K:.kind,A:.metadata.name,\
                       U:.metadata.uid";
        let names = self.admin.namespaces();
        let all = self
            .admin
            .kubectl(&["get", kinds, "-A", "--no-headers", columns]);
        let in_tenants = all.lines().filter(|line| {
            let namespace = line.split_whitespace().next().unwrap_or_default();
            names.iter().any(|name| name == namespace)
        });
        let mut all: Vec<String> = in_tenants.map(str::to_owned).collect();
        all.extend(names);
        all.sort_unstable();
        all
    }
}

/// So many namespaces of the person's, with something of the tenant's in each.
async fn fill(person: &Person, admin: &Admin, names: Vec<String>) -> Vec<Value> {
    let made = stream::iter(names).map(|name| async move {
        let namespace = person.namespace(&name).await;
        let place = namespace["kubernetes_namespace"]
            .as_str()
            .unwrap()
            .to_owned();
        let work = [
            "-n",
            &place,
            "create",
            "configmap",
            "work",
            "--from-literal=a=b",
        ];
        admin.kubectl(&work);
        namespace
    });
    made.buffer_unordered(4).collect().await
}

fn names(namespaces: &[Value]) -> Vec<String> {
    let name = |namespace: &Value| {
        namespace["kubernetes_namespace"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    namespaces.iter().map(name).collect()
}

async fn journey(kubeconfig: &Path, admin: Admin, size: usize) {
    let mut world = World::start(kubeconfig, admin).await;
    let after = size * 3 / 10;
    let person = world.first.operator().await;
    let begun = |word: &str, count| (0..count).map(|n| format!("{word}-{n}")).collect();
    let mut old = fill(&person, &world.admin, begun("old", size - after)).await;
    let key = person.key(json!({"all": true})).await;
    key.mint(&old[0]).await.expect(200);
    let dump = world.first.path("yesterday.dump");
    world.database.dump(&dump).unwrap();

    // A day goes by.
    let new = fill(&person, &world.admin, begun("new", after)).await;
    let adopted = &new[0];
    let file = person.kubeconfig(adopted, "shell").await;
    let lost_key = person.key(json!({"all": true})).await;
    lost_key.mint(&new[0]).await.expect(200);
    let deleted = old.pop().unwrap();
    let path = format!(
        "/v1/kubernetes/namespaces/{}",
        deleted["id"].as_str().unwrap()
    );
    person.delete(&path).await.expect(202);
    let deleted_name = names(&[deleted]).remove(0);
    eventually("it is gone", Duration::from_mins(1), async || {
        !world.admin.namespaces().contains(&deleted_name)
    })
    .await;

    world.stop();
    world.database.restore_over(&dump).unwrap();
    let before = world.everything();
    world.run().await;
    nothing_before_the_claim(&world, &key, &old[0]).await;
    assert_eq!(world.everything(), before);

    // The claim says what will come of it, and that is what comes of it.
    let shown = world.first.admin(&["cluster", "claim", "eu"]);
    let says = |what: String| assert!(shown.contains(&what), "{what}: {shown}");
    says(format!(
        "{after} namespaces stand there and no row knows them"
    ));
    says("1 namespaces have a row and do not stand there".to_owned());
    says("0 namespaces were deleted, by their rows".to_owned());
    world.first.admin(&["cluster", "claim", "eu", "--yes"]);
    until_state(&world.first, "eu", "held").await;
    until_state(&world.second, "eu", "held").await;
    for _ in 0..3 {
        world.sweep().await;
    }
    assert_eq!(world.admin.namespaces().len(), size - 1);
    let kept: Vec<String> = world.everything();
    // The very objects: nothing was made anew in their place.
    assert!(
        before.iter().all(|one| kept.contains(one)),
        "{before:?} {kept:?}"
    );
    let held = world.held("held");
    assert_eq!(held.len(), after, "{held:?}");
    for name in names(&new) {
        assert!(
            held.iter().any(|line| line.contains(&name)),
            "{name}: {held:?}"
        );
    }
    let missing = world.held("missing");
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].contains(&deleted_name), "{missing:?}");
    for server in [&world.first, &world.second] {
        let metrics = server.metrics().await;
        let line = format!("remotegpu_namespaces_held{{cluster=\"eu\"}} {after}");
        assert!(metrics.contains(&line), "{metrics}");
    }
    let (content, said) = check(&world.first);
    assert!(content, "{said}");
    assert!(
        said.contains(&format!("{after} namespaces are held")) && said.contains("1 are missing"),
        "{said}"
    );
    // The key that nobody knows is refused by API and cluster alike.
    lost_key.mint(&old[0]).await.problem(401, "invalid_api_key");

    let account = person_of(&world).await.account_id().await;
    adopt(&world, adopted, &account, &key, &file).await;
    decide(&world, &names(&new)[1], &deleted_name).await;
    world.stop();
}

async fn person_of(world: &World) -> Person {
    world.first.operator().await
}

/// Nothing is minted, made or removed there, and everybody says why.
async fn nothing_before_the_claim(world: &World, key: &KeyHolder, namespace: &Value) {
    for server in [&world.first, &world.second] {
        until_state(server, "eu", "behind").await;
        let key = KeyHolder {
            url: server.url.clone(),
            ..key.clone()
        };
        key.mint(namespace)
            .await
            .problem(503, "cluster_unavailable");
        let warnings = readiness(server).await["warnings"].to_string();
        assert!(warnings.contains("restored from a backup"), "{warnings}");
    }
    tokio::time::sleep(A_WHILE).await;
}

/// Yesterday's file and key work in a namespace that the database did not know.
async fn adopt(world: &World, namespace: &Value, account: &str, key: &KeyHolder, file: &str) {
    let name = namespace["kubernetes_namespace"].as_str().unwrap();
    let kubectl = Kubectl::new(file);
    key.mint(namespace).await.problem(403, "exec_not_allowed");
    let place = ["--cluster", "eu", "--account", account];
    world
        .first
        .admin(&[&["held", "adopt", name], &place[..]].concat());
    let person = person_of(world).await;
    let id = namespace["id"].as_str().unwrap();
    eventually("it is active", Duration::from_secs(30), async || {
        let list = person
            .get("/v1/kubernetes/namespaces?limit=200")
            .await
            .expect(200);
        let items = list["items"].as_array().unwrap();
        let found = items.iter().find(|item| item["id"] == id);
        found.is_some_and(|item| item["status"] == "active" && item["name"] == namespace["name"])
    })
    .await;
    key.mint(namespace).await.expect(200);
    let said = tokio::task::block_in_place(|| {
        kubectl.succeed(&key.key, &["get", "configmap", "work", "-oname"])
    });
    assert_eq!(said.trim(), "configmap/work");
}

/// One that is held goes, and the one that is missing comes back, within seconds.
async fn decide(world: &World, unwanted: &str, missing: &str) {
    let place = ["--cluster", "eu"];
    world
        .first
        .admin(&[&["held", "delete", unwanted], &place[..]].concat());
    let said = world
        .first
        .admin(&["held", "restore", "--all", "--cluster", "eu"]);
    assert!(said.contains(missing), "{said}");
    eventually("both are done", Duration::from_mins(1), async || {
        let standing = world.admin.namespaces();
        let stands = |name: &str| standing.iter().any(|standing| standing == name);
        !stands(unwanted) && stands(missing)
    })
    .await;
    eventually("nothing is missing", Duration::from_secs(10), async || {
        world.held("missing").is_empty()
    })
    .await;
}
