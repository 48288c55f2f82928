//! The command line `remotegpu` against the server.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{ADMIN_PASSWORD, Backend, Server};

/// `remotegpu` of somebody whose home is this folder.
fn remotegpu(server: &Server, home: &Path, words: &str) -> Command {
    let folder = Path::new(env!("CARGO_BIN_EXE_remotegpu-api")).parent();
    let program = folder.unwrap().join("remotegpu");
    assert!(
        program.exists(),
        "remotegpu is not built: build the whole workspace"
    );
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", home)
        .env("REMOTEGPU_SERVER", &server.url)
        .args(words.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn log_in(server: &Server, home: &Path) -> Child {
    let words = "login --email admin@localhost --password-stdin";
    let mut child = remotegpu(server, home, words).spawn().unwrap();
    let stdin = child.stdin.take();
    writeln!(stdin.unwrap(), "{ADMIN_PASSWORD}").unwrap();
    child
}

fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_logins_at_once_wait_for_their_turn() {
    // A6, A8
    let server = Server::start(Backend::Sqlite).await;
    let homes: Vec<_> = (0..40).map(|_| tempfile::tempdir().unwrap()).collect();
    let logins: Vec<_> = homes
        .iter()
        .map(|home| log_in(&server, home.path()))
        .collect();
    for login in logins {
        let output: Output = login.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    for home in &homes {
        let who = succeed(remotegpu(&server, home.path(), "whoami -o name"));
        assert_eq!(who, "admin@localhost\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_chosen_and_ended_from_the_command_line() {
    let server = Server::start(Backend::Sqlite).await;
    let home = tempfile::tempdir().unwrap();
    assert!(log_in(&server, home.path()).wait().unwrap().success());
    let run = |words: &str| succeed(remotegpu(&server, home.path(), words));
    let json = |words: &str| serde_json::from_str::<Value>(&run(words)).unwrap();

    // N2: a namespace may be called as another's id.
    let first = json("namespaces create team-ml -o json");
    let id = first["id"].as_str().unwrap();
    let second = json(&format!("namespaces create {id} -o json"));
    let refused = remotegpu(&server, home.path(), &format!("namespaces delete {id}")).output();
    assert!(!refused.unwrap().status.success());
    let gone = json(&format!("namespaces delete --name {id} -o json"));
    assert_eq!(gone["id"], second["id"]);

    // K5: by the server's clock.
    let made = json("keys create laptop --namespace team-ml --expires-in 2h -o json");
    assert_eq!(
        made["scopes"]["kubernetes_exec"]["namespace_ids"],
        json!([id])
    );
    let table = run("keys list");
    assert!(
        table.contains("  119m  ") || table.contains("  120m  "),
        "{table}"
    );

    // K2: nobody reads it, so that the old one works on.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let nobody = remotegpu(&server, home.path(), "keys rotate laptop")
        .stdout(writer)
        .output()
        .unwrap();
    assert!(!nobody.status.success());
    let item = json("keys list -o json");
    assert_eq!(item[0]["prefix"], made["prefix"]);
    let key = made["key"].as_str().unwrap();
    assert!(run(&format!("keys revoke {key} -o json")).contains("\"revoked\""));
}
