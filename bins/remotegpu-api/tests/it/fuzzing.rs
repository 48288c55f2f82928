//! The server against a fuzzer that reads its own description: schemathesis, with
//! all its checks. `fuzzing/schemathesis.toml` says how, `fuzzing/hooks.py` what is
//! excluded and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::support::{Answer, Backend, KeyHolder, Person, Server, ServerOptions, client};

/// Every operation that has any input is asked at least this often.
const EXAMPLES: usize = 100;
/// A fixed one, so that what fails here fails everywhere.
const SEED: &str = "20261121";

const SETTINGS: &str = include_str!("fuzzing/schemathesis.toml");

/// A server with something in it, and what the fuzzer is told about that.
struct Fuzzing {
    server: Server,
    ada: Person,
    bob: Person,
    keys: Vec<KeyHolder>,
    namespaces: Vec<String>,
    /// What may be deleted, and one whose tokens may be.
    service_users: Vec<String>,
    machine: String,
    tokens: Vec<String>,
}

/// Whom the fuzzer is; and who must not see what belongs to whom (contract C6).
enum Caller {
    Nobody,
    Session,
    Key,
}

/// What the fuzzer did: for each operation its own cases, and all statuses.
#[derive(Default)]
struct Report {
    examples: BTreeMap<String, usize>,
    statuses: BTreeMap<String, BTreeSet<u64>>,
}

impl Fuzzing {
    async fn start() -> Self {
        let options = ServerOptions::new(Backend::Sqlite)
            // The limits would otherwise be all that creating things ever answers.
            .with("key-limit", "100000")
            .with("namespace-limit", "40")
            .with("service-user-limit", "10000")
            .with("service-user-token-limit", "1000")
            .with("trusted-proxies", "127.0.0.1/32")
            // What is said then is worth reading.
            .with("log", "warn");
        let server = Server::start_with(options).await;
        let (ada, bob) = (server.person("ada").await, server.person("bob").await);
        let mut namespaces = Vec::new();
        for number in 0..8 {
            let namespace = ada.namespace(&format!("team-{number}")).await;
            namespaces.push(namespace["id"].as_str().unwrap().to_owned());
        }
        bob.namespace("team-bob").await;
        let mut keys = Vec::new();
        for _ in 0..20 {
            keys.push(ada.key(json!({"all": true})).await);
        }
        let mut service_users = Vec::new();
        for _ in 0..20 {
            service_users.push(ada.service_user("write").await.id);
        }
        let machine = ada.service_user("read").await;
        let mut tokens = vec![machine.token_id().to_owned()];
        for _ in 0..40 {
            let token = json!({"name": "x", "expires_in_seconds": 3600});
            let path = format!("{}/tokens", machine.path());
            let token = ada.post(&path, token).await.expect(201);
            tokens.push(token["id"].as_str().unwrap().to_owned());
        }
        Self {
            server,
            ada,
            bob,
            keys,
            namespaces,
            service_users,
            machine: machine.id,
            tokens,
        }
    }

    /// The committed settings, with what only this run knows around them.
    async fn settings(&self, caller: Caller) -> PathBuf {
        let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fuzzing/hooks.py");
        let keys: Vec<&str> = self.keys.iter().map(KeyHolder::id).collect();
        let mut settings = format!("hooks = {}\n{SETTINGS}", json!(hooks));
        for (name, values) in [
            ("keys", json!(keys)),
            ("namespaces", json!(self.namespaces)),
            ("service_users", json!(self.service_users)),
            ("machines", json!([self.machine])),
            ("tokens", json!(self.tokens)),
            ("clusters", json!(["dev"])),
            ("emails", json!([self.ada.email])),
            ("passwords", json!([password(&self.ada)])),
        ] {
            let _ = writeln!(settings, "\n[dictionaries.{name}]\nvalues = {values}");
        }
        let identities = match caller {
            Caller::Nobody => None,
            Caller::Session => Some([by_sign_in("ada", &self.ada), by_sign_in("bob", &self.bob)]),
            Caller::Key => {
                let his = self.bob.key(json!({"all": true})).await;
                Some([by_key("ada", &self.keys[0]), by_key("bob", &his)])
            }
        };
        if let Some(identities) = identities {
            let file = self.server.path("identities.json");
            fs::write(&file, json!({"auth": identities}).to_string()).unwrap();
            let file = json!(file);
            settings += "\n[auth.wfc]\nuser = \"ada\"\npeers = [\"ada\", \"bob\"]\n";
            let _ = writeln!(settings, "path = {file}");
        }
        let path = self.server.path("schemathesis.toml");
        fs::write(&path, settings).unwrap();
        path
    }

    async fn run(self, caller: Caller, opened: impl Fn(&str) -> bool) {
        let settings = self.settings(caller).await;
        let examples = from_environment("REMOTEGPU_FUZZ_EXAMPLES", &EXAMPLES.to_string());
        let seed = from_environment("REMOTEGPU_FUZZ_SEED", SEED);
        let events = self.server.path("events.ndjson");
        let output = fuzz(
            &self.server,
            &format!("{}/openapi.json", self.server.url),
            &[
                &format!("--config-file={}", settings.display()),
                &format!("--max-examples={examples}"),
                &format!("--seed={seed}"),
                "--report=ndjson",
                &format!("--report-ndjson-path={}", events.display()),
            ],
        );
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{complained}");
        assert!(said.contains(&format!("Seed: {seed}")), "{said}");
        assert!(said.contains("No issues found"), "{said}");
        eprintln!("{said}");

        let report = Report::read(&events);
        report.check(&self.document().await, examples.parse().unwrap(), opened);
        self.check_server().await;
    }

    async fn document(&self) -> Value {
        let url = format!("{}/openapi.json", self.server.url);
        let answer = client().get(url).send().await.unwrap();
        Answer::read(answer).await.expect(200)
    }

    /// Contract C5: nothing a client sends gives 500; and nothing was down.
    async fn check_server(&self) {
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{log}");
        let url = format!("{}/metrics", self.server.internal_url);
        let metrics = client().get(url).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(metrics.contains("status=\"401\""), "{metrics}");
        // Readiness was asked for while the server started.
        let told = metrics.lines().filter(|line| !line.contains("\"/readyz\""));
        for line in told {
            assert!(!line.contains("status=\"5"), "{line}\n{log}");
        }
    }
}

impl Report {
    fn read(events: &Path) -> Self {
        let mut report = Self::default();
        for line in fs::read_to_string(events).unwrap().lines() {
            if !line.starts_with("{\"ScenarioFinished\"") {
                continue;
            }
            let event: Value = serde_json::from_str(line).unwrap();
            let scenario = &event["ScenarioFinished"];
            let Some(cases) = scenario["recorder"]["cases"].as_object() else {
                continue;
            };
            for (id, case) in cases {
                let case = &case["value"];
                let (method, path) = (case["method"].as_str(), case["path"].as_str());
                let operation = format!("{} {}", method.unwrap(), path.unwrap());
                let answer = &scenario["recorder"]["interactions"][id]["response"];
                if let Some(status) = answer["status_code"].as_u64() {
                    let statuses = report.statuses.entry(operation.clone()).or_default();
                    statuses.insert(status);
                }
                if scenario["phase"] == "fuzzing" {
                    *report.examples.entry(operation).or_default() += 1;
                }
            }
        }
        report
    }

    /// Every operation was asked often enough, and those that are `opened` have
    /// opened: what only ever refuses is not fuzzed.
    fn check(&self, document: &Value, examples: usize, opened: impl Fn(&str) -> bool) {
        let (mut seen, mut never) = (0, Vec::new());
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = format!("{} {path}", method.to_uppercase());
                let count = self.examples.get(&name).copied().unwrap_or(0);
                // Without parameters, body or credentials there is but one request.
                let inputs = ["parameters", "requestBody", "security"];
                let is_there = |input: &Value| !input.is_null() && input != &json!([]);
                let has_input = inputs.iter().any(|input| is_there(&operation[input]));
                let least = if has_input { examples } else { 1 };
                let statuses = &self.statuses[&name];
                eprintln!("{count:>5} examples, {statuses:?}: {name}");
                if count < least {
                    never.push(format!("{name}: only {count} examples"));
                }
                if opened(operation["operationId"].as_str().unwrap()) {
                    let success = statuses.iter().any(|status| (200..300).contains(status));
                    if !success {
                        never.push(format!("{name}: {statuses:?}"));
                    }
                }
                seen += 1;
            }
        }
        assert!(
            never.is_empty(),
            "asked too seldom, or never opened: {never:#?}"
        );
        assert!(seen >= 21, "the fuzzer saw only {seen} operations");
    }
}

fn from_environment(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// As `Server::person` makes them.
fn password(person: &Person) -> String {
    let name = person.email.split('@').next().unwrap();
    format!("password of {name}")
}

/// Somebody who signs in, and does so again when the fuzzer has signed them out.
fn by_sign_in(name: &str, person: &Person) -> Value {
    let credentials = json!({
        "email": person.email,
        "password": password(person),
        "cookie": false,
    });
    let token = json!({
        "extractFrom": "body",
        "extractSelector": "/access_token",
        "sendIn": "header",
        "sendName": "Authorization",
        "sendTemplate": "Bearer {token}",
    });
    let login = json!({
        "verb": "POST",
        "endpoint": "/v1/auth/sign-in",
        "contentType": "application/json",
        "payloadRaw": credentials.to_string(),
        "token": token,
    });
    json!({"name": name, "loginEndpointAuth": login})
}

fn by_key(name: &str, key: &KeyHolder) -> Value {
    json!({"name": name, "fixedHeaders": [{"name": "x-api-key", "value": key.key}]})
}

fn fuzz(server: &Server, document: &str, arguments: &[&str]) -> Output {
    let python = std::env::var("REMOTEGPU_TEST_PYTHON")
        .expect("REMOTEGPU_TEST_PYTHON names a Python with schemathesis: run ./x test");
    let first = arguments[0];
    assert!(first.starts_with("--config-file="), "{first}");
    Command::new(Path::new(&python).with_file_name("schemathesis"))
        .args([first, "run", document, "--checks=all", "--no-color"])
        .args(&arguments[1..])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("no_proxy", "*")
        // It leaves nothing behind but what dies with the server's folder.
        .current_dir(server.folder.path())
        .output()
        .unwrap()
}

/// Operations that take no credentials.
fn is_public(operation: &str) -> bool {
    ["livez", "readyz", "sign_in", "sign_up"].contains(&operation)
}

fn takes_key(operation: &str) -> bool {
    ["get_own_api_key", "create_exec_credential"].contains(&operation)
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_fuzzer_without_credentials() {
    // C1 to C5, A1, A2, section 10
    let fuzzing = Fuzzing::start().await;
    fuzzing.run(Caller::Nobody, is_public).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_fuzzer_with_a_session() {
    // C1 to C6, A1, section 10
    let fuzzing = Fuzzing::start().await;
    // It never guesses the password that it would change.
    let opened = |operation: &str| {
        !takes_key(operation)
            && operation != "change_password"
            && !NEEDS_WHAT_IS_THERE.contains(&operation)
    };
    fuzzing.run(Caller::Session, opened).await;
}

/// What takes something that the fuzzer cannot guess, and that no earlier answer surely has told
/// it: a cluster's name beside one of two ends, a link, somebody else in the account, an address that
/// nobody has.
const NEEDS_WHAT_IS_THERE: [&str; 12] = [
    "create_access_token",
    "get_access_token",
    "delete_access_token",
    "accept_invitation",
    "get_invitation",
    "delete_invitation",
    "get_kubeconfig_token",
    "delete_kubeconfig_token",
    "remove_member_or_leave",
    "get_service_user_token",
    "delete_service_user_token",
    "sign_up",
];

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_fuzzer_with_a_key() {
    // C1 to C6, A2, section 10
    let fuzzing = Fuzzing::start().await;
    let opened = |operation: &str| takes_key(operation) || is_public(operation);
    fuzzing.run(Caller::Key, opened).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_fuzzer_that_is_told_something_wrong() {
    let fuzzing = Fuzzing::start().await;
    let settings = fuzzing.settings(Caller::Nobody).await;
    let config = format!("--config-file={}", settings.display());
    let mut document = fuzzing.document().await;
    let url = format!("--url={}", fuzzing.server.url);
    let file = fuzzing.server.path("openapi.json");
    let told = |document: &Value, operation: &str| {
        fs::write(&file, document.to_string()).unwrap();
        let only = format!("--include-operation-id={operation}");
        let arguments = [&config, &url, &only, "--max-examples=5", "--seed=1"];
        let output = fuzz(&fuzzing.server, file.to_str().unwrap(), &arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said)
    };
    let (code, said) = told(&document, "get_session");
    assert_eq!(code, Some(0), "{said}");

    let answers = document.pointer_mut("/paths/~1v1~1auth~1session/get/responses");
    answers.unwrap().as_object_mut().unwrap().remove("401");
    let (code, said) = told(&document, "get_session");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Undocumented status code"), "{said}");

    let pointer = "/paths/~1livez/get/responses/200/headers/x-never";
    let headers = document.pointer_mut(pointer.trim_end_matches("/x-never"));
    headers.unwrap()["x-never"] = json!({"required": true, "schema": {"type": "string"}});
    let (code, said) = told(&document, "livez");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("x-never"), "{said}");
}
