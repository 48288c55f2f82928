//! `kill -9` at random moments under many writers: what was answered is there, what was
//! ended stays ended, and the cluster converges on the database. `./x chaos` runs it for
//! long, on a real control plane where there is one.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use remotegpu_test_support::control_plane::ControlPlane;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Backend, KeyHolder, Kubectl, Person, Server, ServerOptions, cluster_client};

const KEYS: &str = "/v1/account/api-keys";
const NAMESPACES: &str = "/v1/kubernetes/namespaces";
/// How long the cluster may take until it equals the database.
const CONVERGED_WITHIN: Duration = Duration::from_mins(1);
/// The latest moment of a kill after the writers have begun.
const LATEST_KILL: Duration = Duration::from_millis(1_500);

/// How long it goes on.
#[derive(Debug, Clone, Copy)]
struct Trial {
    kills: usize,
    writers: usize,
    /// After how many kills everything is compared.
    compare_every: usize,
    seed: u64,
    real: bool,
}

impl Trial {
    /// A short one, or what `./x chaos` asks for.
    fn asked() -> Self {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let count = |name: &str| number(name).and_then(|number| usize::try_from(number).ok());
        let kills = count("REMOTEGPU_CHAOS_KILLS");
        Self {
            kills: kills.unwrap_or(5),
            writers: count("REMOTEGPU_CHAOS_WRITERS").unwrap_or(4),
            compare_every: if kills.is_some() { 10 } else { 5 },
            seed: number("REMOTEGPU_CHAOS_SEED").unwrap_or_else(rand::random),
            real: kills.is_some(),
        }
    }
}

/// What the server has acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    keys: Vec<KeyHolder>,
    revoked: Vec<(KeyHolder, Option<String>)>,
    namespaces: Vec<Value>,
    /// The ids of those whose deletion was.
    deleted: Vec<String>,
    /// The ids of those whose deletion was asked for and not answered.
    unknown: Vec<String>,
}

impl Acknowledged {
    fn count(&self) -> usize {
        self.keys.len() + self.revoked.len() + self.namespaces.len() + self.deleted.len()
    }
}

/// Somebody who writes until the server is gone.
struct Writer {
    person: Person,
    home: Value,
    seen: Arc<Mutex<Acknowledged>>,
    name: String,
    /// How many namespaces are never deleted, so that some can be lost.
    kept: usize,
}

/// The server went away before it had answered.
struct Gone;

impl Writer {
    async fn write(self, mut rng: StdRng) {
        for step in 0.. {
            let written = match rng.random_range(0..12) {
                0..=5 => self.key(step).await,
                6..=9 => self.revoked_key(step).await,
                10 => self.namespace(step).await,
                _ => self.deletion().await,
            };
            if written.is_err() {
                return;
            }
        }
    }

    /// The body of an answer that has to have this status.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Value,
        status: u16,
    ) -> Result<Value, Gone> {
        let request = self.person.request(method, path).json(&body);
        let answer = request.send().await.map_err(|_| Gone)?;
        assert_eq!(answer.status(), status, "{path}");
        answer.json().await.map_err(|_| Gone)
    }

    async fn make_key(&self, step: usize) -> Result<KeyHolder, Gone> {
        let body = json!({"name": format!("{}-{step}", self.name), "scopes": {"all": true}});
        let item = self.ask(Method::POST, KEYS, body, 201).await?;
        // One client for all: a thousand of them would hold a thousand connections.
        let http = self.person.http.clone();
        Ok(KeyHolder {
            http,
            ..KeyHolder::new(&self.person.url, item)
        })
    }

    async fn key(&self, step: usize) -> Result<(), Gone> {
        let key = self.make_key(step).await?;
        self.seen.lock().unwrap().keys.push(key);
        Ok(())
    }

    async fn revoked_key(&self, step: usize) -> Result<(), Gone> {
        let key = self.make_key(step).await?;
        let id = self.home["id"].as_str().unwrap();
        let minting = format!("{}{NAMESPACES}/{id}/exec-credential", key.url);
        let minted = key
            .http
            .post(minting)
            .header("x-api-key", &key.key)
            .send()
            .await;
        let minted = minted.map_err(|_| Gone)?;
        // A cluster that is busy may refuse; then there is no token to look after.
        let token = match minted.status().as_u16() {
            200 => {
                let body: Value = minted.json().await.map_err(|_| Gone)?;
                body["status"]["token"].as_str().map(str::to_owned)
            }
            503 => None,
            status => panic!("a mint was answered {status}"),
        };
        let path = format!("{KEYS}/{}/revoke", key.id());
        self.ask(Method::POST, &path, json!({}), 200).await?;
        self.seen.lock().unwrap().revoked.push((key, token));
        Ok(())
    }

    async fn namespace(&self, step: usize) -> Result<(), Gone> {
        let body = json!({"name": format!("{}-{step}", self.name)});
        let item = self.ask(Method::POST, NAMESPACES, body, 201).await?;
        self.seen.lock().unwrap().namespaces.push(item);
        Ok(())
    }

    async fn deletion(&self) -> Result<(), Gone> {
        let id = {
            let mut seen = self.seen.lock().unwrap();
            if seen.namespaces.len() <= self.kept {
                return Ok(());
            }
            let id = id_of(&seen.namespaces.remove(0));
            seen.unknown.push(id.clone());
            id
        };
        self.ask(
            Method::DELETE,
            &format!("{NAMESPACES}/{id}"),
            json!({}),
            202,
        )
        .await?;
        let mut seen = self.seen.lock().unwrap();
        seen.unknown.retain(|unknown| *unknown != id);
        seen.deleted.push(id);
        Ok(())
    }
}

/// A server that is killed, and those who watch it.
struct World {
    server: Server,
    person: Person,
    home: Value,
    seen: Arc<Mutex<Acknowledged>>,
    cluster: Client,
    /// Where a token of the tenant's may list pods.
    pods: String,
    /// The cluster's administrator; absent where the server has the cluster inside.
    admin: Option<Kubectl>,
    _plane: Option<ControlPlane>,
    _folder: TempDir,
}

impl World {
    async fn start(backend: Backend, trial: Trial) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = ServerOptions::new(backend)
            .with("key-limit", "1000000")
            .with("namespace-limit", "1000000");
        let mut plane = None;
        if trial.real && backend == Backend::Postgres {
            plane = ControlPlane::start().await;
            if plane.is_none() {
                println!(
                    "CHAOS: no real control plane was found; the development cluster stands in"
                );
            }
        }
        if let Some(plane) = &plane {
            let admin = plane.admin_kubeconfig();
            remotegpu_cluster::apply_prerequisites(admin).await.unwrap();
            let kubeconfig = remotegpu_cluster::control_plane_kubeconfig(admin)
                .await
                .unwrap();
            let path = folder.path().join("kubeconfig");
            std::fs::write(&path, kubeconfig).unwrap();
            options = options.with("clusters", format!("eu={}", path.display()));
        }
        let server = Server::start_with(options).await;
        let admin = match (&plane, &server.dev_cluster) {
            (Some(plane), _) => Some(plane.admin_kubeconfig().to_owned()),
            (None, Some(cluster)) => Some(cluster.admin_kubeconfig()),
            (None, None) => None,
        };
        let person = server.operator().await;
        let home = person.namespace("home").await;
        let (cluster, url) = cluster_client(&person.kubeconfig(&home, "shell").await);
        let within = home["kubernetes_namespace"].as_str().unwrap();
        Self {
            pods: format!("{url}/api/v1/namespaces/{within}/pods"),
            admin: admin.as_deref().map(Kubectl::new),
            server,
            person,
            home,
            seen: Arc::default(),
            cluster,
            _plane: plane,
            _folder: folder,
        }
    }

    /// Lets writers write, and kills the server at some moment.
    async fn kill(&mut self, trial: Trial, round: usize, rng: &mut StdRng) {
        let writers: Vec<_> = (0..trial.writers)
            .map(|writer| {
                let writer = Writer {
                    person: self.person.clone(),
                    home: self.home.clone(),
                    seen: Arc::clone(&self.seen),
                    name: format!("w{round}-{writer}"),
                    kept: trial.writers / 2,
                };
                tokio::spawn(writer.write(StdRng::from_rng(rng)))
            })
            .collect();
        // However slow the machine: some of it is acknowledged, and more is under way.
        let enough = self.seen.lock().unwrap().count() + trial.writers;
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.seen.lock().unwrap().count() < enough {
            assert!(Instant::now() < deadline, "the writers write nothing");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(rng.random_range(Duration::ZERO..LATEST_KILL)).await;
        self.server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        self.server.run().await;
    }

    async fn compare(&self) {
        let begun = Instant::now();
        let (keys, revoked, kept, deleted) = {
            let seen = self.seen.lock().unwrap();
            let kept: BTreeSet<String> = seen.namespaces.iter().map(id_of).collect();
            let deleted: BTreeSet<String> = seen.deleted.iter().cloned().collect();
            (seen.keys.clone(), seen.revoked.clone(), kept, deleted)
        };
        let checks = keys.iter().map(|key| (key, 200));
        let checks = checks.chain(revoked.iter().map(|(key, _)| (key, 401)));
        let answers = stream::iter(checks).map(async |(key, status)| {
            let answer = key.get("/v1/auth/key").await;
            assert_eq!(answer.status, status, "{} {answer:?}", key.id());
        });
        answers.buffer_unordered(8).collect::<()>().await;

        let mut difference = String::new();
        let converged = async {
            loop {
                difference = self.difference(&kept, &deleted, &revoked).await;
                if difference.is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let converged = tokio::time::timeout(CONVERGED_WITHIN, converged).await;
        assert!(converged.is_ok(), "not converged: {difference}");
        println!(
            "chaos: {} keys live, {} revoked, {} namespaces kept, {} deleted; all compared after {:.1} s",
            keys.len(),
            revoked.len(),
            kept.len(),
            deleted.len(),
            begun.elapsed().as_secs_f64()
        );
    }

    /// In what the cluster differs from the database, or the database from what was
    /// acknowledged; empty when in nothing.
    async fn difference(
        &self,
        kept: &BTreeSet<String>,
        deleted: &BTreeSet<String>,
        revoked: &[(KeyHolder, Option<String>)],
    ) -> String {
        let listed = self.namespaces().await;
        let ids: BTreeSet<String> = listed.iter().map(id_of).collect();
        let lost: Vec<_> = kept.difference(&ids).collect();
        assert!(lost.is_empty(), "{lost:?} are lost");
        if let Some(left) = deleted.intersection(&ids).next() {
            return format!("the namespace {left} is not gone");
        }
        if let Some(other) = listed.iter().find(|item| item["status"] != "active") {
            return format!("not active: {other}");
        }
        if let Some(admin) = &self.admin {
            let wanted: BTreeSet<String> = listed
                .iter()
                .map(|item| item["kubernetes_namespace"].as_str().unwrap().to_owned())
                .collect();
            let names = held(admin, "namespaces", "name");
            if names != wanted {
                return format!("namespaces: {:?}", names.symmetric_difference(&wanted));
            }
            for resource in ["networkpolicies", "resourcequotas"] {
                let bounded = held(admin, resource, "namespace");
                if bounded != wanted {
                    return format!("{resource}: {:?}", bounded.symmetric_difference(&wanted));
                }
            }
            let database = self.server.database.as_ref().unwrap();
            let ids = |condition: &str| -> BTreeSet<String> {
                let sql = format!("SELECT id FROM credential_identities WHERE {condition}");
                let rows = database.query(&sql).unwrap();
                rows.lines().map(str::to_owned).collect()
            };
            let ended = ids("ends_at <= now()");
            if !ended.is_empty() {
                return format!("{} identities have ended and are not gone", ended.len());
            }
            // One whose first mint was killed may be half made, until the next mint.
            let (known, bound) = (ids("true"), ids("bound"));
            for resource in ["serviceaccounts", "rolebindings"] {
                let held = held_identities(admin, resource);
                if let Some(orphan) = held.difference(&known).next() {
                    return format!("{resource}: nobody knows {orphan}");
                }
                if let Some(missing) = bound.difference(&held).next() {
                    return format!("{resource}: {missing} is missing");
                }
            }
        }
        let tokens = revoked
            .iter()
            .filter_map(|(key, token)| Some((key, token.as_ref()?)));
        let opened = stream::iter(tokens).map(async |(key, token)| {
            let answer = self.cluster.get(&self.pods).bearer_auth(token).send().await;
            answer.unwrap().status().is_success().then(|| key.id())
        });
        let opened: Vec<_> = opened.buffer_unordered(8).collect().await;
        match opened.into_iter().flatten().next() {
            Some(key) => format!("a token of {key} still opens"),
            None => String::new(),
        }
    }

    /// All of the account's namespaces.
    async fn namespaces(&self) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{NAMESPACES}?limit=200{cursor}");
            let page = self.person.get(&path).await.expect(200);
            all.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }
}

fn id_of(item: &Value) -> String {
    item["id"].as_str().unwrap().to_owned()
}

fn list(admin: &Kubectl, resource: &str, label: &str) -> Vec<Value> {
    let arguments = [
        "get",
        resource,
        "--all-namespaces",
        "-o",
        "json",
        "-l",
        label,
    ];
    let output = admin.command(None, &arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut list: Value = serde_json::from_slice(&output.stdout).unwrap();
    match list["items"].take() {
        Value::Array(items) => items,
        other => panic!("{other}"),
    }
}

/// A field of the metadata of all that belongs to a tenant's namespace.
fn held(admin: &Kubectl, resource: &str, field: &str) -> BTreeSet<String> {
    let items = list(
        admin,
        resource,
        "remotegpu.ai/namespace-id,!remotegpu.ai/identity-id",
    );
    let field = |item: &Value| item["metadata"][field].as_str().unwrap().to_owned();
    items.iter().map(field).collect()
}

/// The identities that objects of this kind are of.
fn held_identities(admin: &Kubectl, resource: &str) -> BTreeSet<String> {
    let items = list(admin, resource, "remotegpu.ai/identity-id");
    let id = |item: &Value| {
        item["metadata"]["labels"]["remotegpu.ai/identity-id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    items.iter().map(id).collect()
}

async fn nothing_acknowledged_is_lost(backend: Backend) {
    let trial = Trial::asked();
    println!(
        "chaos: {trial:?}; REMOTEGPU_CHAOS_SEED={} repeats its choices",
        trial.seed
    );
    let mut rng = StdRng::seed_from_u64(trial.seed);
    let mut world = World::start(backend, trial).await;
    for round in 0..trial.kills {
        world.kill(trial, round, &mut rng).await;
        if (round + 1) % trial.compare_every == 0 || round + 1 == trial.kills {
            println!("chaos: killed {} times", round + 1);
            world.compare().await;
        }
    }
    let seen = world.seen.lock().unwrap();
    assert!(
        !seen.keys.is_empty() && !seen.revoked.is_empty(),
        "{} keys, {} revoked",
        seen.keys.len(),
        seen.revoked.len()
    );
}

// "Nothing acknowledged is ever lost"; K13, N5, X9, X10
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_on_sqlite() {
    nothing_acknowledged_is_lost(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_on_postgresql() {
    nothing_acknowledged_is_lost(Backend::Postgres).await;
}
