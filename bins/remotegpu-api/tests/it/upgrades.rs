//! Upgrades: neighbouring versions side by side, and what older and newer schemas do
//! (contract R6).

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use remotegpu_test_support::postgres::{TestDatabase, TestPostgres};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    ADMIN_PASSWORD, Answer, Backend, Person, Server, ServerOptions, Stopwatch, client, command,
    eventually, free_port, terminate,
};

/// A migration that nobody knows yet.
const LATER: &str = "99999999999999";
const ADD_LATER: &str =
    "INSERT INTO __diesel_schema_migrations (version) VALUES ('99999999999999')";

/// Runs SQL in a SQLite file, past everything.
fn sqlite(file: &Path, sql: &str) {
    let script = "import sqlite3, sys\n\
                  c = sqlite3.connect(sys.argv[1], timeout=10)\n\
                  c.executescript(sys.argv[2])\n\
                  c.close()";
    let mut python = Command::new("python3");
    let output = python
        .args(["-c", script])
        .arg(file)
        .arg(sql)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A database that no server runs on, and the command line beside it.
struct Installation {
    folder: TempDir,
    database: Option<TestDatabase>,
    arguments: Vec<String>,
}

impl Installation {
    fn new(backend: Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec![format!(
            "--data-dir={}",
            folder.path().join("data").display()
        )];
        let database = (backend == Backend::Postgres)
            .then(|| TestPostgres::shared().unwrap().create_database().unwrap());
        if let Some(database) = &database {
            arguments.push(format!("--database-url={}", database.url()));
        }
        Self {
            folder,
            database,
            arguments,
        }
    }

    /// As the first version with migrations left it behind, with rows in it.
    fn left_behind(backend: Backend) -> Self {
        let new = Self::new(backend);
        let kind = match backend {
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
        };
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../crates/storage/tests/it/fixtures")
            .join(format!("20261121000002.{kind}.sql"));
        std::fs::create_dir(new.folder.path().join("data")).unwrap();
        new.execute(&std::fs::read_to_string(fixture).unwrap());
        if backend == Backend::Sqlite {
            // As every server leaves its file.
            new.execute("PRAGMA journal_mode = WAL;");
        }
        new
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("data/remotegpu.db")
    }

    fn execute(&self, sql: &str) {
        match &self.database {
            Some(database) => drop(database.query(sql).unwrap()),
            None => sqlite(&self.file(), sql),
        }
    }

    /// All that is in the database.
    fn contents(&self) -> Vec<u8> {
        match &self.database {
            Some(database) => database.dump_as_sql().unwrap().into_bytes(),
            None => std::fs::read(self.file()).unwrap(),
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut all = self.arguments.clone();
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        command(&all).output().unwrap()
    }

    /// What a command prints that succeeds.
    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one sentence of a command that fails, and what it printed before.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.lines().count() <= 1, "{arguments:?}: {told}");
        (told, String::from_utf8(output.stdout).unwrap())
    }
}

const LIST: [&str; 3] = ["admin", "account", "list"];

fn an_older_schema_is_changed_by_migrate_alone(backend: Backend) {
    // R6
    let old = Installation::left_behind(backend);
    let before = old.contents();
    let (told, printed) = old.fails(&LIST);
    assert!(told.contains("lacks migration 20261127000000"), "{told}");
    assert!(told.contains("remotegpu-api migrate"), "{told}");
    assert_eq!(printed, "");
    let (_, printed) = old.fails(&["check"]);
    let wrong = "wrong  database: the database lacks migration 20261127000000";
    assert!(printed.contains(wrong), "{printed}");
    let create = ["admin", "account", "create", "New"];
    assert!(old.fails(&create).0.contains("lacks migration"));
    assert!(
        old.contents() == before,
        "the commands have changed the database"
    );

    let said = old.says(&["migrate"]);
    assert!(
        said.contains("ran 2026-11-27-000000_open_words\n"),
        "{said}"
    );
    assert!(said.contains("migrations were run\n"), "{said}");
    let again = old.says(&["migrate"]);
    assert_eq!(
        again,
        "the database lacks no migration that this version knows\n"
    );
    let list = old.says(&LIST);
    let names = ["Engines", "Looms", "Closed"];
    assert!(names.iter().all(|name| list.contains(name)), "{list}");
    assert!(
        old.says(&["check"])
            .contains("its schema is this version's")
    );
    if backend == Backend::Sqlite {
        let copy = old
            .folder
            .path()
            .join("data/remotegpu.db.schema-20261121000002");
        assert!(copy.exists(), "the file as it was before");
    }
}

#[test]
fn an_older_schema_is_changed_by_migrate_alone_on_sqlite() {
    an_older_schema_is_changed_by_migrate_alone(Backend::Sqlite);
}

#[test]
fn an_older_schema_is_changed_by_migrate_alone_on_postgresql() {
    an_older_schema_is_changed_by_migrate_alone(Backend::Postgres);
}

fn commands_work_on_a_newer_schema_and_leave_it_as_it_is(backend: Backend) {
    // R6
    let newer = Installation::new(backend);
    newer.says(&["migrate"]);
    newer.says(&["admin", "account", "create", "Team Blue"]);
    newer.execute(
        "CREATE TABLE later (id bigint)"
            .replace("bigint", "INTEGER")
            .as_str(),
    );
    newer.execute(ADD_LATER);
    newer.says(&["check"]);
    let before = newer.contents();
    assert!(newer.says(&LIST).contains("Team Blue"));
    assert!(
        newer
            .says(&["check"])
            .contains("its schema is a newer version's")
    );
    newer.says(&["migrate"]);
    assert!(
        newer.contents() == before,
        "the commands have changed the database"
    );

    // No row of an installation is there yet: nobody has made the first user.
    newer.execute(&format!(
        "INSERT INTO installation (id, created_at, min_version) VALUES (1, {}, '{LATER}')",
        if backend == Backend::Sqlite {
            "0"
        } else {
            "now()"
        }
    ));
    let before = newer.contents();
    let mut serve = vec![
        "serve",
        "--listen=127.0.0.1:0",
        "--internal-listen=127.0.0.1:0",
    ];
    if backend == Backend::Sqlite {
        serve.push("--dev-cluster-listen=127.0.0.1:0");
    }
    for arguments in [&LIST[..], &["migrate"], &serve] {
        let (told, _) = newer.fails(arguments);
        let sentence = "this version of the program is too old for the database";
        assert!(told.contains(sentence) && told.contains(LATER), "{told}");
    }
    let (_, printed) = newer.fails(&["check"]);
    assert!(printed.contains("wrong  database: this version of the program is too old"));
    assert!(
        newer.contents() == before,
        "the commands have changed the database"
    );
}

#[test]
fn commands_work_on_a_newer_schema_and_leave_it_as_it_is_on_sqlite() {
    commands_work_on_a_newer_schema_and_leave_it_as_it_is(Backend::Sqlite);
}

#[test]
fn commands_work_on_a_newer_schema_and_leave_it_as_it_is_on_postgresql() {
    commands_work_on_a_newer_schema_and_leave_it_as_it_is(Backend::Postgres);
}

#[test]
fn a_command_makes_no_database() {
    // R6
    let none = Installation::new(Backend::Sqlite);
    let (told, _) = none.fails(&LIST);
    assert!(told.contains("there is no database in"), "{told}");
    assert!(!none.file().exists());
    let empty = Installation::new(Backend::Postgres);
    let before = empty.contents();
    let (told, _) = empty.fails(&LIST);
    assert!(told.contains("lacks migration 20261121000000"), "{told}");
    assert!(empty.contents() == before);
}

/// A server that is waited for by the test itself.
struct Waiting {
    child: Child,
    url: String,
}

impl Waiting {
    fn start(on: &Installation) -> Self {
        let ports = [free_port(), free_port(), free_port()];
        let password = on.folder.path().join("password");
        std::fs::write(&password, ADMIN_PASSWORD).unwrap();
        let mut arguments = on.arguments.clone();
        arguments.extend([
            format!("--listen=127.0.0.1:{}", ports[0]),
            format!("--internal-listen=127.0.0.1:{}", ports[1]),
            format!("--initial-admin-password-file={}", password.display()),
            "--migrate-at-start=false".to_owned(),
        ]);
        if on.database.is_none() {
            arguments.push(format!("--dev-cluster-listen=127.0.0.1:{}", ports[2]));
        }
        let child = command(&arguments).stderr(Stdio::null()).spawn().unwrap();
        Self {
            child,
            url: format!("http://127.0.0.1:{}", ports[0]),
        }
    }

    async fn get(&self, path: &str) -> Option<Answer> {
        let sent = client().get(format!("{}{path}", self.url)).send().await;
        Some(Answer::read(sent.ok()?).await)
    }

    async fn status(&self, path: &str) -> Option<u16> {
        let answer = self.get(path).await?;
        Some(answer.status.as_u16())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn a_start_that_does_not_migrate_waits_until_somebody_has(backend: Backend) {
    // R6, A10
    let installation = Installation::new(backend);
    let server = Waiting::start(&installation);
    let lives = async || server.status("/livez").await == Some(200);
    eventually("it lives", Duration::from_secs(30), lives).await;
    let answer = server.get("/readyz").await.unwrap();
    let detail = answer.problem(503, "database_unavailable");
    assert!(
        detail.contains("lacks migration 20261121000000"),
        "{detail}"
    );
    // Nothing else is answered, and nothing is done.
    let refused = server.get("/v1/auth/session").await.unwrap();
    let detail = refused.problem(503, "database_unavailable");
    assert_eq!(detail, "The server is starting");
    assert!(refused.header("retry-after").is_some());
    assert!(installation.fails(&LIST).0.contains("lacks migration"));

    // One that is told to end does so.
    let another = Installation::new(backend);
    let mut other = Waiting::start(&another);
    let lives = async || other.status("/livez").await == Some(200);
    eventually("the other lives", Duration::from_secs(30), lives).await;
    terminate(other.child.id());
    assert!(other.child.wait().unwrap().success());

    installation.says(&["migrate"]);
    let ready = async || server.status("/readyz").await == Some(200);
    eventually("it is ready", Duration::from_secs(10), ready).await;
    let operator = Person::sign_in(&server.url, "admin@localhost", ADMIN_PASSWORD).await;
    operator.get("/v1/account/api-keys").await.expect(200);
    if backend == Backend::Sqlite {
        // R1: from now on it holds the folder.
        let (told, _) = installation.fails(&["migrate"]);
        assert!(told.contains("another server is using"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_does_not_migrate_waits_until_somebody_has_on_sqlite() {
    a_start_that_does_not_migrate_waits_until_somebody_has(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_does_not_migrate_waits_until_somebody_has_on_postgresql() {
    a_start_that_does_not_migrate_waits_until_somebody_has(Backend::Postgres).await;
}

/// People and programs that never stop asking; every answer has to be what it always is.
struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn on(servers: &[&Server]) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut clients = Vec::new();
        for (number, server) in servers.iter().enumerate() {
            let person = server.person(&format!("load{number}")).await;
            let namespace = person.namespace("load").await;
            let key = person.key(json!({"all": true})).await;
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            clients.push(tokio::spawn(async move {
                let path = "/v1/account/api-keys";
                while !over.load(Ordering::Relaxed) {
                    key.get("/v1/auth/key").await.expect(200);
                    key.mint(&namespace).await.expect(200);
                    let body = json!({"name": "load", "scopes": {"inference": true}});
                    let made = person.post(path, body).await.expect(201);
                    let revoke = format!("{path}/{}/revoke", made["id"].as_str().unwrap());
                    person.post(&revoke, json!({})).await.expect(200);
                    person.get("/v1/account/audit-events").await.expect(200);
                    answered.fetch_add(5, Ordering::Relaxed);
                }
            }));
        }
        Self {
            over,
            answered,
            clients,
        }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

async fn readiness(server: &Server) -> Answer {
    let asked = client().get(format!("{}/readyz", server.url));
    Answer::read(asked.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_nothing_to_running_instances_until_it_says_so() {
    // R6
    let options = ServerOptions::new(Backend::Postgres).with("mint-rate", "1000");
    let one = Server::start_with(options).await;
    let two = one.second_instance().await;
    let database = one.database.as_ref().unwrap();
    let load = Load::on(&[&one, &two]).await;
    let soon = async |more: usize| {
        let (before, began) = (load.answered(), Stopwatch::start());
        while load.answered() < before + more {
            assert!(
                !began.is_over(Duration::from_mins(1)),
                "the load stands still"
            );
            for server in [&one, &two] {
                readiness(server).await.expect(200);
            }
        }
    };
    soon(50).await;

    // What a newer version would run: something added, something loosened, an index.
    for sql in [
        "SET lock_timeout = '1s'; ALTER TABLE api_keys ADD COLUMN later text; \
         ALTER TABLE namespaces ADD COLUMN later bigint; \
         ALTER TABLE audit_events ALTER COLUMN subject_id DROP NOT NULL; \
         CREATE TABLE later (id bigint PRIMARY KEY)",
        "CREATE INDEX CONCURRENTLY later_index ON api_keys (later)",
        ADD_LATER,
    ] {
        // A lock that is not to be had is asked for again.
        let began = Stopwatch::start();
        while let Err(error) = database.query(sql) {
            assert!(error.to_string().contains("lock timeout"), "{error}");
            assert!(!began.is_over(Duration::from_secs(30)), "{error}");
        }
        soon(50).await;
    }
    load.end().await;
    // Whoever goes back to the version before starts it anew.
    let three = one.second_instance().await;
    three.operator().await;
    drop(three);

    let say = |min_version: &str| {
        let sql = format!("UPDATE installation SET min_version = {min_version}");
        database.query(&sql).unwrap();
        Stopwatch::start()
    };
    let told = say(&format!("'{LATER}'"));
    for server in [&one, &two] {
        let unready = async || readiness(server).await.status == 503;
        let left = Duration::from_secs(5).saturating_sub(told.elapsed());
        eventually("unready", left, unready).await;
        let detail = readiness(server).await.problem(503, "database_unavailable");
        assert_eq!(
            detail,
            format!(
                "this version of the program is too old for the database, which needs one that \
                 knows migration {LATER}"
            )
        );
    }
    let told = say("NULL");
    for server in [&one, &two] {
        let ready = async || readiness(server).await.status == 200;
        let left = Duration::from_secs(5).saturating_sub(told.elapsed());
        eventually("ready again", left, ready).await;
        readiness(server).await.expect(200);
    }
}

async fn words_of_a_newer_version_are_shown_and_open_nothing(backend: Backend) {
    // R6
    let server = Server::start(backend).await;
    let execute = |sql: &str| match &server.database {
        Some(database) => drop(database.query(sql).unwrap()),
        None => sqlite(&server.path("data/remotegpu.db"), sql),
    };
    let ada = server.person("ada").await;
    let namespace = ada.namespace("team-ml").await;
    let (key, newer) = (
        ada.key(json!({"all": true})).await,
        ada.key(json!({"inference": true})).await,
    );
    execute(
        "UPDATE audit_events SET action = 'volume.attached', actor_type = 'robot', \
         subject_type = 'volume' WHERE action = 'namespace.created'; \
         UPDATE namespaces SET status = 'paused'; \
         UPDATE api_keys SET scopes = '{\"volumes\":{\"read\":true}}' \
         WHERE scopes = '{\"inference\":true}'",
    );

    let events = ada.get("/v1/account/audit-events").await.expect(200);
    let events = events["items"].as_array().unwrap();
    let event = events
        .iter()
        .find(|event| event["action"] == "volume.attached");
    let event = event.unwrap();
    assert_eq!(event["actor"]["type"], "robot");
    assert_eq!(event["subject"]["type"], "volume");

    let listed = ada.get("/v1/account/api-keys").await.expect(200);
    let scopes: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["scopes"])
        .collect();
    let as_written = json!({"volumes": {"read": true}});
    assert_eq!(scopes, [&as_written, &json!({"all": true})]);
    // On another instance at the latest a second later (K13).
    let known = async || newer.get("/v1/auth/key").await.json()["scopes"] == as_written;
    eventually("the key shows them", Duration::from_secs(5), known).await;
    newer
        .mint(&namespace)
        .await
        .problem(403, "exec_not_allowed");
    let path = format!("/v1/account/api-keys/{}", newer.id());
    let renamed = ada
        .patch(&path, json!({"name": "renamed"}))
        .await
        .expect(200);
    assert_eq!(renamed["scopes"], as_written);
    let revoked = ada
        .post(&format!("{path}/revoke"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&revoked["status"], &revoked["scopes"]),
        (&json!("revoked"), &as_written)
    );

    let path = format!(
        "/v1/kubernetes/namespaces/{}",
        namespace["id"].as_str().unwrap()
    );
    let listed = ada.get("/v1/kubernetes/namespaces").await.expect(200);
    assert_eq!(listed["items"][0]["status"], "paused");
    key.mint(&namespace)
        .await
        .problem(503, "namespace_provisioning");
    ada.get(&format!("{path}/kubeconfig"))
        .await
        .problem(409, "namespace_not_ready");
    let patched = ada.patch(&path, json!({"name": "other"})).await;
    patched.problem(409, "namespace_not_ready");
    let deleted = ada.delete(&path).await;
    assert!(deleted.status.is_success(), "{deleted:?}");
    eventually("it is gone", Duration::from_secs(20), async || {
        let listed = ada.get("/v1/kubernetes/namespaces").await.expect(200);
        listed["items"].as_array().unwrap().is_empty()
    })
    .await;

    execute("UPDATE memberships SET role = 'owner'");
    let session = ada.get("/v1/auth/session").await.expect(200);
    assert_eq!(session["role"], "owner");
    ada.get("/v1/account/api-keys")
        .await
        .problem(403, "role_too_small");
    let refused = async || key.get("/v1/auth/key").await.status == 401;
    eventually(
        "its maker may write no more",
        Duration::from_secs(5),
        refused,
    )
    .await;
    ada.post("/v1/auth/sign-out", json!({})).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_newer_version_are_shown_and_open_nothing_on_sqlite() {
    words_of_a_newer_version_are_shown_and_open_nothing(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_newer_version_are_shown_and_open_nothing_on_postgresql() {
    words_of_a_newer_version_are_shown_and_open_nothing(Backend::Postgres).await;
}
