//! Passwords in addresses are repeated by nothing: no error, no output, no log.

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use crate::support::{command, free_port};

const CANARY: &str = "canary";

const ADDRESSES: &[&str] = &[
    "postgres://ada:canary@127.0.0.1:1/x",
    "postgres://ada:canary@127.0.0.1:port/x",
    "postgres://ada:can ary canary@db@[/x",
    "postgres://ada@127.0.0.1:1/x?sslmode=disable&password=canary",
    "postgresql://ada@127.0.0.1:1/x?sslpassword=canary&password=canary",
    "https://ada:canary@example.org",
    "https://ada:canary@example.org:99999/",
    "http://canary@127.0.0.1:1",
    "ada:canary@example.org",
    "eu=https://ada:canary@example.org/kubeconfig",
];

fn run(mut command: Command, folder: &Path) -> Output {
    command.current_dir(folder).output().unwrap()
}

#[track_caller]
fn check(what: &str, output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        let said = String::from_utf8_lossy(stream);
        assert!(!said.contains(CANARY), "{what}: {said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
    }
}

/// Every setting that there is.
fn settings(folder: &Path) -> Vec<String> {
    let output = run(command(&["config".to_owned()]), folder);
    let said = String::from_utf8(output.stdout).unwrap();
    let keys = said
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    keys.filter(|key| !key.contains('.'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_setting_shows_the_password_of_an_address_that_it_was_given() {
    // R3
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    assert!(settings.len() > 40, "{settings:?}");
    let file = folder.path().join("config.toml");
    for key in &settings {
        for address in ADDRESSES {
            let what = format!("{key} = {address}");
            let flag = format!("--{}={address}", key.replace('_', "-"));
            let arguments = ["config".to_owned(), flag];
            check(&what, &run(command(&arguments), folder.path()));
            let mut by_variable = command(&["config".to_owned()]);
            by_variable.env(format!("REMOTEGPU_{}", key.to_uppercase()), address);
            check(&what, &run(by_variable, folder.path()));
        }
        // And a file with a line that is no TOML.
        std::fs::write(
            &file,
            format!("{key} = \"{}\"\n{key} = {}", ADDRESSES[0], ADDRESSES[0]),
        )
        .unwrap();
        let arguments = ["config".to_owned(), format!("--config={}", file.display())];
        check(key, &run(command(&arguments), folder.path()));
    }
    for address in ADDRESSES {
        for arguments in [
            &["config", "--config", address][..],
            &["config", address],
            &["config", "--key-limit", "1", "--nonsense", address],
            &["admin", "user", "create", address, "--account-id", "x"],
            &["admin", "user", "reset-password", address],
            &["admin", "cluster", "claim", address],
            &["admin", "end-all", "keys", "--ids", address],
            &["completions", address],
        ] {
            let all: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            check(
                &format!("{arguments:?}"),
                &run(command(&all), folder.path()),
            );
        }
    }
    // What a file holds is known again in a sentence where there are no blanks in it.
    for address in ADDRESSES.iter().filter(|address| !address.contains(' ')) {
        let cluster = format!(
            "[[clusters]]\nname = \"eu\"\nkubeconfig = \"{address}\"\nserver = \"{address}\"\n\
             title = \"{address}\"\ncertificate_authority = \"{address}\"\n"
        );
        let whole = [&cluster, &cluster.replace("server", "context")];
        for text in whole {
            std::fs::write(&file, text).unwrap();
            for act in ["config", "check"] {
                let arguments = [act.to_owned(), format!("--config={}", file.display())];
                check(text, &run(command(&arguments), folder.path()));
            }
        }
    }
}

#[test]
fn no_start_and_no_check_shows_the_password_of_the_database_or_of_a_cluster() {
    // R3
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let mut all: Vec<Vec<String>> = ADDRESSES
        .iter()
        .map(|address| {
            vec![
                format!("--database-url={address}"),
                "--database-acquire-ms=100".to_owned(),
            ]
        })
        .collect();
    for server in [
        "https://ada:canary@127.0.0.1:1",
        "http://ada:canary@127.0.0.1:1",
    ] {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: a, cluster: \
             {{server: \"{server}\"}}}}]\nusers: [{{name: a, user: {{token: t}}}}]\n\
             contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n"
        );
        let name = kubeconfig.with_extension(all.len().to_string());
        std::fs::write(&name, text).unwrap();
        let data = folder.path().join("data");
        all.push(vec![
            format!("--clusters=eu={}", name.display()),
            format!("--data-dir={}", data.display()),
        ]);
    }
    for flags in all {
        let flags = [
            flags,
            vec![
                format!("--listen=127.0.0.1:{}", free_port()),
                "--internal-listen=127.0.0.1:0".to_owned(),
                "--log=trace".to_owned(),
            ],
        ]
        .concat();
        let what = flags.join(" ");
        let act = |act: &str| [&flags[..], &[act.to_owned()]].concat();
        check(&what, &run(command(&act("check")), folder.path()));
        // Either the start stops, or it goes on for a while and is stopped.
        let mut serve = command(&act("serve"));
        serve.current_dir(folder.path());
        let (stdout, stderr) = (std::process::Stdio::piped(), std::process::Stdio::piped());
        let mut child = serve.stdout(stdout).stderr(stderr).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(700));
        let _ = child.kill();
        check(&what, &child.wait_with_output().unwrap());
    }
}

#[test]
fn variables_that_are_empty_are_not_set() {
    // R3
    let folder = tempfile::tempdir().unwrap();
    let plain = run(command(&["config".to_owned()]), folder.path());
    let mut empty = command(&["config".to_owned()]);
    empty.env("REMOTEGPU_CONFIG", "");
    for key in settings(folder.path()) {
        empty.env(format!("REMOTEGPU_{}", key.to_uppercase()), "");
    }
    let empty = run(empty, folder.path());
    assert_eq!(
        String::from_utf8(plain.stdout).unwrap(),
        String::from_utf8(empty.stdout).unwrap()
    );
    assert!(empty.status.success());

    // One that cannot be read is an error, not absent.
    let mut unreadable = command(&["config".to_owned()]);
    let bytes = std::os::unix::ffi::OsStrExt::from_bytes(b"canary\xff");
    unreadable.env("REMOTEGPU_TLS_CERT", <std::ffi::OsStr>::to_owned(bytes));
    let output = run(unreadable, folder.path());
    assert_eq!(output.status.code(), Some(1));
    check("it is not UTF-8", &output);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("REMOTEGPU_TLS_CERT: it is not UTF-8"),
        "{said}"
    );
}
