//! Settings, starting and stopping (contract section 9, A7, C8).

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use remotegpu_test_support::postgres::TestPostgres;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    ADMIN_PASSWORD, Backend, Raw, Server, ServerOptions, Stopwatch, client, command, eventually,
    free_port, terminate,
};

/// Waits for a process that ends by itself.
#[track_caller]
fn ended(mut child: Child) -> Output {
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn run(mut command: Command) -> Output {
    ended(
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    )
}

/// A folder, and flags that take nothing from this machine.
struct Ground {
    folder: TempDir,
    flags: Vec<String>,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flags = [
            ("listen", "127.0.0.1:0".to_owned()),
            ("internal-listen", "127.0.0.1:0".to_owned()),
            ("data-dir", folder.path().join("data").display().to_string()),
        ];
        let flags = flags
            .map(|(flag, value)| format!("--{flag}={value}"))
            .into();
        Self { folder, flags }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self.path(name)
    }

    /// The binary with these arguments; one of ours gives way to the same flag.
    fn command(&self, arguments: &[&str]) -> Command {
        let name = |argument: &str| argument.split('=').next().unwrap_or_default().to_owned();
        let given: Vec<String> = arguments.iter().map(|argument| name(argument)).collect();
        let kept = self
            .flags
            .iter()
            .filter(|flag| !given.contains(&name(flag)));
        let all: Vec<String> = kept
            .cloned()
            .chain(arguments.iter().map(ToString::to_string))
            .collect();
        let mut command = command(&all);
        command.current_dir(self.folder.path());
        command
    }

    /// What a start that fails says: one sentence, and exit code 1.
    #[track_caller]
    fn refuses(&self, arguments: &[&str]) -> String {
        let output = run(self.command(arguments));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        let said: Vec<&str> = stderr
            .lines()
            .filter(|l| l.starts_with("remotegpu-api: "))
            .collect();
        assert_eq!(said.len(), 1, "{arguments:?}: {stderr}");
        assert_eq!(
            stderr.lines().last(),
            said.first().copied(),
            "{arguments:?}: {stderr}"
        );
        said[0].trim_start_matches("remotegpu-api: ").to_owned()
    }
}

#[test]
fn a_wrong_value_stops_the_start_with_a_sentence_that_names_it() {
    // R3, C8, A7, R2
    let ground = Ground::new();
    let password = ground.write("short", "short");
    let absent = ground.path("absent");
    let cases: &[(&str, &str)] = &[
        ("listen", "nonsense"),
        ("listen", "127.0.0.1"),
        ("listen", "127.0.0.1:99999"),
        ("internal_listen", "nonsense"),
        ("public_url", "nonsense"),
        ("public_url", "ftp://example.org"),
        ("public_url", "http://127.0.0.1:1/path"),
        ("public_url", "https://user:secret@example.org"),
        ("public_url", "http://example.org"),
        ("public_url", "https://example.org"),
        ("extra_hosts", "a b"),
        ("extra_hosts", "https://example.org"),
        ("extra_hosts", "xn--a.example"),
        ("extra_hosts", "b%C3%BCcher.example"),
        ("extra_hosts", "example.org:99999"),
        ("extra_hosts", "example.org:"),
        ("tls_cert", &absent),
        ("tls_key", &absent),
        ("webhook_listen", "nonsense"),
        ("webhook_listen", "127.0.0.1:0"),
        ("webhook_tls_cert", &absent),
        ("webhook_tls_key", &absent),
        ("webhook_url", "http://example.org"),
        ("webhook_url", "https://user:secret@example.org"),
        ("webhook_url", "https://example.org"),
        ("webhook_ca", &absent),
        ("trusted_proxies", "10.0.0.0/99"),
        ("trusted_proxies", "10.0.0.1,proxy"),
        ("database_url", "mysql://user:secret@localhost/x"),
        ("database_url", "user:secret"),
        ("database_connections", "0"),
        ("database_connections", "many"),
        ("migrate_at_start", "later"),
        ("data_dir", "/proc/nowhere"),
        ("dev_cluster_listen", "nonsense"),
        ("dev_cluster_listen", "0.0.0.0:0"),
        ("clusters", "eu"),
        ("clusters", "EU=x"),
        ("clusters", "eu=a,eu=b"),
        ("clusters", "eu=/absent/kubeconfig"),
        ("sign_up", "maybe"),
        ("console", "maybe"),
        ("notice", "a\u{202E}b"),
        ("support_url", "javascript:alert(1)"),
        ("key_limit", "-1"),
        ("namespace_limit", "ten"),
        ("kubeconfig_token_limit", "-1"),
        ("service_user_limit", "none"),
        ("service_user_token_limit", "-1"),
        ("invitation_limit", "-1"),
        ("key_cache_size", "-1"),
        ("record_last_use", "sometimes"),
        ("session_idle_seconds", "0"),
        ("session_total_seconds", "7d"),
        ("token_seconds", "599"),
        ("token_seconds", "3607"),
        ("http_workers", "0"),
        ("key_cache_size", "many"),
        ("record_last_use", "perhaps"),
        ("audit_retention_days", "0"),
        ("password_workers", "0"),
        ("password_queue", "-1"),
        ("mint_concurrency", "0"),
        ("mint_queue", "all"),
        ("mint_rate", "0"),
        ("mint_burst", "0"),
        ("key_change_rate", "0"),
        ("sweep_seconds", "0"),
        ("dead_key_retention_days", "0"),
        ("access_token_limit", "many"),
        ("access_token_max_days", "0"),
        ("access_tokens_never_expire", "maybe"),
        ("access_token_id_word", "-token"),
        ("access_token_file_word", "a/b"),
        ("request_concurrency", "0"),
        ("database_acquire_ms", "0"),
        ("database_statement_ms", "5000"),
        ("drain_seconds", "601"),
        ("max_connections", "0"),
        ("keep_alive_seconds", "3601"),
        ("log", "loud"),
        ("log_format", "xml"),
        ("initial_admin_email", "nobody"),
        ("initial_admin_password_file", &absent),
        ("initial_admin_password_file", &password),
    ];
    for (setting, value) in cases {
        let flag = format!("--{}={value}", setting.replace('_', "-"));
        // A start that gets so far needs a development cluster of its own.
        let dev = format!("--dev-cluster-listen=127.0.0.1:{}", free_port());
        let beside = ["dev_cluster_listen", "clusters", "database_url"].contains(setting);
        let all = if beside {
            vec![flag.as_str()]
        } else {
            vec![flag.as_str(), &dev]
        };
        let said = ground.refuses(&all);
        let named = match *setting {
            "tls_cert" => "tls_key",
            "tls_key" => "tls_cert",
            "webhook_listen" if *value != "nonsense" => "webhook_tls_cert",
            "webhook_tls_cert" => "webhook_tls_key",
            "webhook_tls_key" => "webhook_tls_cert",
            "webhook_url" if *value == "https://example.org" => "webhook_listen",
            "webhook_ca" => "webhook_listen",
            _ => setting,
        };
        assert!(said.starts_with(&format!("{named}: ")), "{flag}: {said}");
        assert!(!said.contains("secret"), "{flag}: {said}");
    }
    // Every setting there is was tried.
    let listed = run(ground.command(&["config"]));
    let listed = String::from_utf8(listed.stdout).unwrap();
    for name in listed
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        // A table of the file, whose values have a test of their own.
        .filter(|name| !name.starts_with("tenant_baseline."))
    {
        assert!(
            cases.iter().any(|(tried, _)| *tried == name),
            "{name} is not tried"
        );
    }
    // The same from the environment and from a file.
    let mut from_environment = ground.command(&[]);
    from_environment.env("REMOTEGPU_KEY_LIMIT", "many");
    let output = run(from_environment);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("key_limit: \"many\""),
        "{output:?}"
    );
    for (file, said) in [
        ("key_limit = \"many\"", "key_limit: "),
        ("key_limit = 1.5", "key_limit: "),
        ("key_limt = 5", "there is no setting \"key_limt\""),
        ("sign_up = \"open\"\nkey_limit = ", "is no TOML in line 2: "),
        (
            "database_url = \"postgres://ada:secret@db/x",
            "is no TOML in line 1: ",
        ),
        (
            "database_url = \"postgres://ada\nsecret\"",
            "is no TOML in line ",
        ),
        ("clusters = [1]", "clusters: "),
        (
            "[[clusters]]\nname = \"eu\"",
            "clusters: eu needs a kubeconfig",
        ),
        ("[tenant_baseline]\npods = -1", "tenant_baseline: pods: "),
        (
            "tenant_baseline = 1",
            "tenant_baseline: a [tenant_baseline] table is expected",
        ),
        (
            "[[clusters]]\nname = \"eu\"\nkubeconfg = \"x\"",
            "kubeconfg",
        ),
    ] {
        let path = ground.write("remotegpu.toml", file);
        let sentence = ground.refuses(&[&format!("--config={path}")]);
        assert!(sentence.contains(said), "{file}: {sentence}");
        assert!(!sentence.contains("secret"), "{file}: {sentence}");
    }
    let sentence = ground.refuses(&[&format!("--config={absent}")]);
    assert!(sentence.contains(&absent), "{sentence}");
    let unknown = run(ground.command(&["--key-limt=5"]));
    assert_eq!(unknown.status.code(), Some(2));

    // What does not go together.
    for (flags, named) in [
        (&["--listen=0.0.0.0:0"][..], "public_url: "),
        (&["--tls-cert=a", "--tls-key=b"], "tls_cert: "),
        (
            &[
                "--database-url=postgres://x@127.0.0.1/x",
                "--dev-cluster-listen=127.0.0.1:0",
            ],
            "dev_cluster_listen: ",
        ),
        (
            &["--clusters=eu=x", "--dev-cluster-listen=127.0.0.1:0"],
            "dev_cluster_listen: ",
        ),
        (
            &[
                "--listen=0.0.0.0:0",
                "--public-url=http://127.0.0.1:1",
                "--dev-cluster-listen=127.0.0.1:0",
            ],
            "dev_cluster_listen: ",
        ),
    ] {
        let said = ground.refuses(flags);
        assert!(said.starts_with(named), "{flags:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_a_start_is_named() {
    // R1, R3
    let server = Server::start(Backend::Sqlite).await;
    let ground = Ground::new();
    let dev = format!("--dev-cluster-listen=127.0.0.1:{}", free_port());
    let occupied = server.url.trim_start_matches("http://");
    for setting in ["listen", "internal_listen"] {
        let flag = format!("--{}={occupied}", setting.replace('_', "-"));
        let said = ground.refuses(&[&flag, &dev]);
        assert!(
            said.starts_with(&format!("{setting}: {occupied} ")),
            "{said}"
        );
    }
    let said = ground.refuses(&[&format!("--dev-cluster-listen={occupied}")]);
    assert!(said.starts_with("dev_cluster_listen: "), "{said}");
    // One server holds a data directory; admin and check work beside it.
    let held = format!("--data-dir={}", server.path("data").display());
    let said = ground.refuses(&[&held, &dev]);
    assert!(
        said.starts_with("data_dir: another server is using "),
        "{said}"
    );
    assert!(run(ground.command(&[&held, "check"])).status.success());
    server.admin(&["account", "list"]);
    let file = ground.write("file", "");
    for folder in [file.as_str(), &format!("{file}/data"), "/proc/nowhere"] {
        let said = ground.refuses(&[&format!("--data-dir={folder}"), &dev]);
        assert!(
            said.starts_with("data_dir: ") && said.contains(folder),
            "{said}"
        );
    }
    let broken = Ground::new();
    std::fs::create_dir(broken.path("data")).unwrap();
    broken.write(
        "data/remotegpu.db",
        "this is no database, but long enough to be looked at",
    );
    let said = broken.refuses(&[&dev]);
    assert!(
        said.starts_with("database_url: ") && said.contains("remotegpu.db"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_used_is_named_without_its_password() {
    // R2, R3
    let ground = Ground::new();
    let nobody = format!("127.0.0.1:{}", free_port());
    let url = format!("postgres://ada:canary@{nobody}/remotegpu?password=canary");
    let flag = format!("--database-url={url}");
    let said = ground.refuses(&[&flag]);
    assert!(
        said.starts_with("database_url: ") && said.contains(&nobody),
        "{said}"
    );
    assert!(!said.contains("canary"), "{said}");
    let check = run(ground.command(&[&flag, "check"]));
    let stdout = String::from_utf8(check.stdout).unwrap();
    assert_eq!(check.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("wrong  database: "), "{stdout}");
    assert!(!stdout.contains("canary"), "{stdout}");

    // R6: one that the program is too old for is left alone.
    let database = TestPostgres::shared().unwrap().create_database().unwrap();
    let flag = format!("--database-url={}", database.url());
    let options = ServerOptions::new(Backend::Sqlite).with("database-url", database.url());
    drop(Server::start_with(options).await);
    let add = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
    database.query(add).unwrap();
    let need = "UPDATE installation SET min_version = '29990101000000'";
    database.query(need).unwrap();
    for arguments in [&[flag.as_str()][..], &[&flag, "admin", "account", "list"]] {
        let said = ground.refuses(arguments);
        assert!(
            said.starts_with("database_url: this version of the program is too old"),
            "{said}"
        );
    }
    let check = run(ground.command(&[&flag, "check"]));
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    assert!(
        String::from_utf8_lossy(&check.stdout).contains("too old"),
        "{check:?}"
    );
}

#[test]
fn config_prints_what_holds_and_where_it_came_from() {
    // R3
    let ground = Ground::new();
    let file = ground.write(
        "remotegpu.toml",
        "namespace_limit = 7\nkey_limit = 3\nextra_hosts = [\"a\", \"b\"]\n\
         [[clusters]]\nname = \"eu\"\nkubeconfig = \"/etc/eu\"\n",
    );
    let mut command = ground.command(&["config", "--key-limit=5"]);
    command
        .env("REMOTEGPU_CONFIG", &file)
        .env("REMOTEGPU_KEY_LIMIT", "4")
        .env("REMOTEGPU_SIGN_UP", "open")
        .env(
            "REMOTEGPU_DATABASE_URL",
            "postgres://ada:canary@db/x?password=canary&sslmode=require",
        );
    let output = run(command);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}");
    assert!(!stdout.contains("canary"), "{stdout}");
    let told = |name: &str| {
        let mut lines = stdout
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|words| words[0] == name).unwrap_or_default()[1..].join(" ")
    };
    assert_eq!(told("key_limit"), "5 --key-limit");
    assert_eq!(told("sign_up"), "open REMOTEGPU_SIGN_UP");
    assert_eq!(told("namespace_limit"), format!("7 {file}"));
    assert_eq!(told("extra_hosts"), format!("a,b {file}"));
    assert_eq!(told("session_idle_seconds"), "43200 default");
    assert_eq!(told("token_seconds"), "3600 default");
    assert!(told("database_url").contains("ada:hidden@db/x"), "{stdout}");
    assert!(
        told("database_url").ends_with("REMOTEGPU_DATABASE_URL"),
        "{stdout}"
    );
    assert!(stdout.contains("/etc/eu"), "{stdout}");
    let clusters = |stdout: &str| {
        let lines = stdout.lines().filter(|line| line.starts_with("clusters "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(clusters(&stdout).len(), 1, "{stdout}");
    // A list of clusters takes the place of the file's tables.
    let mut command = ground.command(&["config", "--clusters=us=/etc/us"]);
    let output = run({
        command.env("REMOTEGPU_CONFIG", &file);
        command
    });
    let stdout = String::from_utf8(output.stdout).unwrap();
    let lines = clusters(&stdout);
    assert!(
        lines.len() == 1 && lines[0].contains("us=/etc/us"),
        "{stdout}"
    );
    // Nothing was made by looking.
    assert!(!Path::new(&ground.path("data")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_of_other_programs_is_never_read() {
    // R2
    let ground = Ground::new();
    let nowhere = "postgres://ada:canary@127.0.0.1:1/x";
    std::fs::create_dir(ground.path(".kube")).unwrap();
    let kubeconfig = ground.write(".kube/config", "this is no kubeconfig");
    let settings = [
        ("DATABASE_URL", nowhere),
        ("PGHOST", "127.0.0.1"),
        ("KUBECONFIG", &kubeconfig),
        ("HOME", ground.folder.path().to_str().unwrap()),
        ("REMOTEGPU_KEY_LIMIT", ""),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("https_proxy", "http://127.0.0.1:1"),
    ];
    let port = free_port();
    let flags = [
        format!("--listen=127.0.0.1:{port}"),
        format!("--dev-cluster-listen=127.0.0.1:{}", free_port()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut server = ground.command(&flags);
    server
        .envs(settings)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = server.spawn().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    eventually("the server is ready", Duration::from_secs(20), async || {
        let ready = client().get(format!("{url}/readyz")).send().await;
        ready.is_ok_and(|ready| ready.status().is_success())
    })
    .await;
    let mut check = ground.command(&[flags.as_slice(), &["check"]].concat());
    check.envs(settings);
    let check = run(check);
    terminate(child.id());
    let output = ended(child);
    assert!(output.status.success(), "{output:?}");
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(
        log.contains("SQLite in ") && log.contains(&url),
        "R1: it says so: {log}"
    );
    assert!(log.contains("embedded development cluster"), "R1: {log}");
    assert!(check.status.success(), "{check:?}");
    assert!(Path::new(&ground.path("data/remotegpu.db")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reaches_every_dependency() {
    // R3
    let ground = Ground::new();
    let fresh = run(ground.command(&["check"]));
    let stdout = String::from_utf8(fresh.stdout).unwrap();
    assert!(fresh.status.success(), "{stdout}");
    assert!(stdout.contains("ok     database: "), "{stdout}");
    assert!(
        !Path::new(&ground.path("data/remotegpu.db")).exists(),
        "check changes nothing"
    );

    let mut server = Server::start(Backend::Postgres).await;
    let fine = server.command(&["check"]);
    let stdout = String::from_utf8(fine.stdout).unwrap();
    assert!(fine.status.success(), "{stdout}");
    assert!(
        stdout.contains("ok     database: ") && stdout.contains("ok     cluster eu: "),
        "{stdout}"
    );
    server.dev_cluster.take().unwrap().stop().await;
    let down = server.command(&["check"]);
    let stdout = String::from_utf8(down.stdout).unwrap();
    assert_eq!(down.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("ok     database: "), "{stdout}");
    assert!(stdout.contains("wrong  cluster eu: "), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_cookie_is_bound_to_the_host() {
    // A7, R3
    let ground = Ground::new();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = ground.write("tls.crt", &own.cert.pem());
    let key = ground.write("tls.key", &own.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let wrong_key = ground.write("other.key", &other.signing_key.serialize_pem());
    let cert_flag = format!("--tls-cert={cert}");
    for (key, named) in [(&wrong_key, "tls_key: "), (&cert, "tls_key: ")] {
        let said = ground.refuses(&[&cert_flag, &format!("--tls-key={key}")]);
        assert!(said.starts_with(named), "{said}");
    }
    let port = free_port();
    let password = ground.write("password", ADMIN_PASSWORD);
    let flags = [
        cert_flag,
        format!("--tls-key={key}"),
        format!("--listen=127.0.0.1:{port}"),
        format!("--public-url=https://localhost:{port}"),
        format!("--dev-cluster-listen=127.0.0.1:{}", free_port()),
        format!("--initial-admin-password-file={password}"),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let check = run(ground.command(&[flags.as_slice(), &["check"]].concat()));
    assert!(
        String::from_utf8_lossy(&check.stdout).contains("ok     TLS: "),
        "{check:?}"
    );
    let mut server = ground.command(&flags);
    let child = server
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let url = format!("https://localhost:{port}");
    let curl = |arguments: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--include",
            "--noproxy",
            "*",
            "--cacert",
            &cert,
        ]);
        let output = run({
            curl.args(arguments);
            curl
        });
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    eventually("the server is ready", Duration::from_secs(20), async || {
        curl(&[&format!("{url}/readyz")]).1.contains(" 200")
    })
    .await;
    let body = json!({"email": "admin@localhost", "password": ADMIN_PASSWORD}).to_string();
    let sign_in = [
        "--header",
        "content-type: application/json",
        "--header",
        &format!("origin: {url}"),
        "--data",
        &body,
        &format!("{url}/v1/auth/sign-in"),
    ];
    let (fine, answer) = curl(&sign_in);
    assert!(fine && answer.contains(" 200"), "{answer}");
    let cookie = answer.lines().find_map(|line| {
        line.to_lowercase()
            .starts_with("set-cookie: ")
            .then(|| &line["set-cookie: ".len()..])
    });
    let cookie = cookie.unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-remotegpu_session="), "{cookie}");
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(
            attributes.split("; ").any(|given| given == attribute),
            "{cookie}"
        );
    }
    assert!(!attributes.contains("Domain"), "{cookie}");
    let session = format!("{url}/v1/auth/session");
    let with = |pair: &str| curl(&["--cookie", pair, &session]).1;
    assert!(with(pair).contains(" 200"), "{}", with(pair));
    let without_prefix = pair.replace("__Host-", "");
    assert!(with(&without_prefix).contains("missing_access_token"));
    // A9: plain http is another origin.
    let foreign = [
        "--cookie",
        pair,
        "--header",
        &format!("origin: http://localhost:{port}"),
    ];
    let sign_out = format!("{url}/v1/auth/sign-out");
    let (_, refused) = curl(&[&foreign[..], &["--request", "POST", &sign_out]].concat());
    assert!(refused.contains("\"code\":\"csrf\""), "{refused}");
    // HTTP/1.1 as well as 2.
    let (_, old) = curl(&["--http1.1", &format!("{url}/livez")]);
    assert!(old.starts_with("HTTP/1.1 200"), "{old}");
    terminate(child.id());
    assert!(ended(child).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_lets_requests_finish_and_a_second_one_does_not() {
    // R4 and the operator's page: readiness first, then requests, then the end.
    let options = ServerOptions::new(Backend::Sqlite).with("drain-seconds", "2");
    let mut server = Server::start_with(options).await;
    let body = json!({"email": "admin@localhost", "password": ADMIN_PASSWORD}).to_string();
    let own = server.url.trim_start_matches("http://").to_owned();
    let head = format!(
        "POST /v1/auth/sign-in HTTP/1.1\r\nhost: {own}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut in_flight = Raw::connect(&server.url);
    in_flight.send(&head).send(&body[..10]);
    terminate(server.pid());
    let ready = format!("{}/readyz", server.url);
    eventually(
        "it is not ready any more",
        Duration::from_secs(2),
        async || {
            let answer = client().get(&ready).send().await;
            answer.is_ok_and(|answer| answer.status() == 503)
        },
    )
    .await;
    let live = client()
        .get(format!("{}/livez", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(live.status(), 200, "it goes on while it drains");
    eventually(
        "nothing new is taken",
        Duration::from_secs(10),
        async || std::net::TcpStream::connect(&own).is_err(),
    )
    .await;
    let answer = in_flight.send(&body[10..]).rest();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(server.wait().success(), "{}", server.log());

    server.run().await;
    let mut in_flight = Raw::connect(&server.url);
    in_flight.send(&head).send(&body[..10]);
    terminate(server.pid());
    eventually(
        "it is not ready any more",
        Duration::from_secs(2),
        async || {
            let answer = client().get(&ready).send().await;
            answer.is_ok_and(|answer| answer.status() == 503)
        },
    )
    .await;
    let second = Stopwatch::start();
    terminate(server.pid());
    let status = server.wait();
    assert!(!status.success(), "a second signal is no orderly end");
    assert!(
        !second.is_over(Duration::from_secs(5)),
        "it waited: {:?}",
        second.elapsed()
    );
}
