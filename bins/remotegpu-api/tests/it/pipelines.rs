//! A pipeline, which has a service user's token and nothing else (contract T8).

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{Backend, Kubectl, Person, Server, eventually};

/// The server of the documentation.
const SERVER: &str = "http://127.0.0.1:8080";

fn docs() -> std::path::PathBuf {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    docs.canonicalize().unwrap()
}

/// The `sh` block of the documentation under this heading.
fn script(heading: &str) -> String {
    let text = std::fs::read_to_string(docs().join("pipelines.md")).unwrap();
    let section = text.split(heading).nth(1).unwrap();
    let block = section.split("```sh\n").nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// A server, an admin of an account, and a folder with a token in a file.
struct Pipeline {
    server: Server,
    admin: Person,
    machine: Person,
    id: String,
    folder: tempfile::TempDir,
}

impl Pipeline {
    async fn new() -> Self {
        let server = Server::start(Backend::Sqlite).await;
        let admin = server.person("ada").await;
        let machine = admin.service_user("write").await;
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(docs(), folder.path().join("docs")).unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, &machine.caller.session_token).unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self {
            server,
            admin,
            machine: machine.caller,
            id: machine.id,
            folder,
        }
    }

    /// Runs what the documentation says, for this server.
    fn run(&self, script: &str) -> String {
        assert!(script.contains(SERVER));
        let mut shell = self.command("bash");
        let script = script.replace(SERVER, &self.server.url);
        let output = shell.args(["-euo", "pipefail", "-c", &script]).output();
        let output = output.unwrap();
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(!said.contains(&self.machine.session_token), "{said}");
        said
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", Kubectl::path())
            .env("HOME", self.folder.path())
            .env("no_proxy", "*")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Everything is gone, and the log says who did all of it.
    async fn has_cleaned_up(&self) {
        let namespaces = "/v1/kubernetes/namespaces";
        eventually(
            "the namespace is gone",
            Duration::from_secs(20),
            async || {
                let listed = self.admin.get(namespaces).await.expect(200);
                listed["items"] == json!([])
            },
        )
        .await;
        let keys = self.admin.get("/v1/account/api-keys").await.expect(200);
        let keys = keys["items"].as_array().unwrap();
        assert!(!keys.is_empty());
        for key in keys {
            assert_eq!(key["status"], "revoked", "{key}");
            assert_eq!(key["created_by"], self.id.as_str(), "{key}");
        }
        let events = self.admin.get("/v1/account/audit-events?limit=200").await;
        let events = events.expect(200);
        let events = events["items"].as_array().unwrap();
        let actor = json!({"type": "service_user", "id": self.id});
        for action in [
            "namespace.created",
            "api_key.issued",
            "api_key.revoked",
            "namespace.deleted",
        ] {
            let of_it = |event: &&Value| event["action"] == action;
            let event = events.iter().find(of_it);
            assert_eq!(event.unwrap()["actor"], actor, "{action}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_pipeline_by_the_command_line() {
    // A1, T8, X2
    let pipeline = Pipeline::new().await;
    let said = pipeline.run(&script("## Each run: by the command line"));
    for expected in [
        "ci (service user)",
        "deployment.apps/demo-cpu created",
        "deployment.apps \"demo-cpu\" deleted",
        "revoked",
        "deleting",
    ] {
        assert!(said.contains(expected), "{expected:?} is missing:\n{said}");
    }
    pipeline.has_cleaned_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_pipeline_by_http() {
    // A1, T8, X2
    let pipeline = Pipeline::new().await;
    let said = pipeline.run(&script("## Each run: by HTTP"));
    for expected in [
        "deployment.apps/demo-cpu created",
        "deployment.apps \"demo-cpu\" deleted",
        "revoked: 200",
        "deleted: 202",
    ] {
        assert!(said.contains(expected), "{expected:?} is missing:\n{said}");
    }
    pipeline.has_cleaned_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_pipeline_by_a_generated_client() {
    // A1, T8
    let pipeline = Pipeline::new().await;
    let folder = pipeline.folder.path();
    crate::generated_client::generate(&pipeline.server, folder);
    let program = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/generated_client/pipeline.py"
    );
    let python = crate::generated_client::python();
    let output = pipeline
        .command(python.to_str().unwrap())
        .args([program, &pipeline.server.url, "token"])
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = crate::generated_client::said(&output);
    assert!(said.contains("pipeline done"), "{said}");
    pipeline.has_cleaned_up().await;
}
