use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::server::Server;
use crate::user::{User, run};

const YAML: &str = "apiVersion: v1\nkind: Config\n";

fn server(filename: &'static str) -> Server {
    Server::start(move |request| {
        let answer = if request.line.contains("/kubeconfig") {
            json!({"namespace": "team-ml-x7k2pq", "filename": filename, "kubeconfig": YAML})
        } else {
            json!({"items": [{"id": "0198", "name": "team-ml"}], "next_cursor": null})
        };
        (200, answer.to_string())
    })
}

// X1
#[test]
fn a_kubeconfig_is_written_for_its_owner_under_the_servers_name() {
    let server = server("kubeconfig-team-ml.yaml");
    let user = User::signed_in(&server.url);
    assert_eq!(user.run(&server.url, "kubeconfig team-ml").code, 0);
    assert_eq!(
        server.requests().pop().unwrap().line,
        "GET /v1/kubernetes/namespaces/0198/kubeconfig?plugin=shell"
    );
    let file = user.home.path().join("kubeconfig-team-ml.yaml");
    assert_eq!(fs::read_to_string(&file).unwrap(), YAML);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    fs::write(&file, "mine").unwrap();
    let again = user.run(&server.url, "kubeconfig team-ml");
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("--force"), "{again:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(user.run(&server.url, "kubeconfig team-ml --force").code, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), YAML);
}

// X1
#[test]
fn a_servers_file_name_does_not_leave_the_folder() {
    let server = server("../../escaped.yaml");
    let user = User::signed_in(&server.url);
    let folder = user.home.path().join("a/b");
    fs::create_dir_all(&folder).unwrap();
    let done = run(user
        .remotegpu(&server.url)
        .args(["kubeconfig", "team-ml", "-o", "name"])
        .current_dir(&folder));
    let written = done.stdout.trim_end();
    assert!(!written.contains('/'), "{done:?}");
    assert_eq!(fs::read_to_string(folder.join(written)).unwrap(), YAML);
    assert!(!user.home.path().join("escaped.yaml").exists());
}

// X4
#[test]
fn plugin_and_place_can_be_chosen() {
    let server = server("x.yaml");
    let user = User::signed_in(&server.url);
    let run = user.run(&server.url, "kubeconfig team-ml --plugin remotegpu -f -");
    assert_eq!(run.stdout, YAML);
    let line = server.requests().pop().unwrap().line;
    assert!(line.ends_with("?plugin=remotegpu"), "{line}");
    assert_eq!(
        user.run(&server.url, "kubeconfig team-ml -f mine.yaml")
            .code,
        0
    );
    assert!(user.home.path().join("mine.yaml").exists());
    let run = user.run(&server.url, "kubeconfig team-ml -o json");
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["namespace"], "team-ml-x7k2pq");
    assert!(!user.home.path().join("x.yaml").exists());
}
