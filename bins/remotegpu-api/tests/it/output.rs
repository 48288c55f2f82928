//! What commands do when nobody takes what they print.

use std::{
    fs::File,
    io::{PipeReader, pipe},
    process::{Command, Output, Stdio},
};

use serde_json::json;

use crate::support::{ADMIN_PASSWORD, Backend, Person, Server, command};

/// Somewhere that takes nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Taker {
    /// A disk without a byte left.
    FullDisk,
    /// A reader that has seen enough, such as `head`.
    Gone,
}

impl Taker {
    const ALL: [Self; 2] = [Self::FullDisk, Self::Gone];

    fn stdio(self) -> Stdio {
        match self {
            Self::FullDisk => File::options()
                .write(true)
                .open("/dev/full")
                .unwrap()
                .into(),
            Self::Gone => {
                let (reader, writer) = pipe().unwrap();
                drop::<PipeReader>(reader);
                writer.into()
            }
        }
    }

    fn run(self, mut command: Command) -> Output {
        command.stdout(self.stdio()).stderr(Stdio::piped());
        command.spawn().unwrap().wait_with_output().unwrap()
    }

    /// What the command said on stderr: a sentence about the disk, or else nothing of it.
    #[track_caller]
    fn check(self, what: &[&str], output: &Output) {
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(!said.contains("panicked"), "{what:?}: {said}");
        let sentences = said.matches("remotegpu-api: ").count();
        match self {
            Self::FullDisk => {
                assert_eq!(output.status.code(), Some(1), "{what:?}: {said}");
                assert_eq!(sentences, 1, "{what:?}: {said}");
                assert!(said.contains("No space left on device"), "{what:?}: {said}");
            }
            Self::Gone => {
                assert_eq!(output.status.code(), Some(0), "{what:?}: {said}");
                assert_eq!(sentences, 0, "{what:?}: {said}");
            }
        }
    }
}

/// Whether the operator's password still counts.
async fn signs_in(server: &Server) -> bool {
    let url = format!("{}/v1/auth/sign-in", server.url);
    let body = json!({"email": "admin@localhost", "password": ADMIN_PASSWORD});
    let answer = crate::support::client().post(url).json(&body).send().await;
    answer.unwrap().status().is_success()
}

#[test]
fn what_needs_no_server_says_that_the_disk_is_full_and_ends_quietly_without_a_reader() {
    for arguments in [
        &["config"][..],
        &["openapi"],
        &["cluster", "manifest"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["--help"],
        &["help", "admin"],
        &["admin", "user", "--help"],
        &["--version"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        for taker in Taker::ALL {
            let all: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            let mut program = command(&all);
            program.current_dir(folder.path());
            taker.check(arguments, &taker.run(program));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_the_database_says_that_the_disk_is_full_and_ends_quietly_without_a_reader() {
    // A13, R3, R6 to R9
    let mut server = Server::start(Backend::Sqlite).await;
    let account = server.operator().await.account_id().await;
    for arguments in [
        &["check"][..],
        &["admin", "account", "list"],
        &["admin", "account", "create", "Acme"],
        &["admin", "account", "set-limit", &account, "--keys", "7"],
        &["admin", "account", "suspend", &account],
        &["admin", "account", "resume", &account],
        &["admin", "end-all", "sessions"],
        &["admin", "end-all", "keys", "--yes"],
        &["admin", "cluster", "claim", "dev"],
        &["admin", "cluster", "claim", "dev", "--yes"],
    ] {
        for taker in Taker::ALL {
            taker.check(arguments, &taker.run(server.program(arguments)));
        }
    }
    // Nothing to list is said on stderr.
    let output = Taker::FullDisk.run(server.program(&["admin", "held", "list"]));
    assert!(output.status.success(), "{output:?}");
    server.stop();
    for taker in Taker::ALL {
        taker.check(&["migrate"], &taker.run(server.program(&["migrate"])));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_password_that_nobody_gets_ends_nothing() {
    // A13
    let server = Server::start(Backend::Sqlite).await;
    let operator = server.operator().await;
    let account = operator.account_id().await;
    let reset = ["admin", "user", "reset-password", "admin@localhost"];
    for taker in Taker::ALL {
        let output = taker.run(server.program(&reset));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("could not be told"), "{said}");
        assert!(said.contains("nothing was changed"), "{said}");
        assert!(signs_in(&server).await, "{taker:?}");
        operator.get("/v1/auth/session").await.expect(200);
    }
    // A user that was made has none to lose, and whoever made it is told what to do.
    for (taker, email) in [
        (Taker::FullDisk, "ada@example.org"),
        (Taker::Gone, "bob@example.org"),
    ] {
        let create = ["admin", "user", "create", email, "--account-id", &account];
        let output = taker.run(server.program(&create));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let command = format!("admin user reset-password {email}");
        assert!(said.contains(&command), "{said}");
        let once = server.admin(&["user", "reset-password", email]);
        Person::sign_in(&server.url, email, once.trim()).await;
    }
}

#[test]
fn a_start_whose_one_time_password_nobody_can_get_makes_no_operator() {
    // A10
    let folder = tempfile::tempdir().unwrap();
    let data = format!("--data-dir={}", folder.path().join("data").display());
    let dev = format!(
        "--dev-cluster-listen=127.0.0.1:{}",
        crate::support::free_port()
    );
    let flags = ["--listen=127.0.0.1:0", "--internal-listen=127.0.0.1:0"];
    let all: Vec<String> = flags
        .iter()
        .map(ToString::to_string)
        .chain([data, dev])
        .collect();
    for taker in Taker::ALL {
        let mut program = command(&all);
        let output = program.stderr(taker.stdio()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{taker:?}");
    }
    // The next start is still the first.
    let mut program = command(&all);
    let mut child = program.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let told = lines.any(|line| line.unwrap().contains("one-time password"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_log_nobody_takes_serves_all_the_same() {
    // R4
    for taker in Taker::ALL {
        let mut server = Server::start(Backend::Sqlite).await;
        server.stop();
        let mut child = server.program(&[]).stderr(taker.stdio()).spawn().unwrap();
        let http = crate::support::client();
        let url = format!("{}/v1/auth/session", server.url);
        crate::support::eventually(
            "it answers",
            std::time::Duration::from_secs(30),
            async || {
                let answer = http.get(&url).send().await;
                answer.is_ok_and(|answer| answer.status() == 401)
            },
        )
        .await;
        crate::support::terminate(child.id());
        assert!(child.wait().unwrap().success(), "{taker:?}");
    }
}
