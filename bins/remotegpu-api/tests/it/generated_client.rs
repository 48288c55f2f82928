//! A client that nobody wrote: generated from the description that the server gives.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::support::{ADMIN_PASSWORD, Backend, Server};

pub fn python() -> PathBuf {
    let python = std::env::var("REMOTEGPU_TEST_PYTHON")
        .expect("REMOTEGPU_TEST_PYTHON names a Python with openapi-python-client: run ./x test");
    python.into()
}

#[track_caller]
pub fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// The package `remotegpu_client` in this folder. Whatever the generator does not
/// understand it says and leaves out, so that it has to say nothing.
pub fn generate(server: &Server, folder: &Path) {
    let settings = folder.join("settings.json");
    let no_formatting = r#"{"post_hooks": [], "package_name_override": "remotegpu_client"}"#;
    std::fs::write(&settings, no_formatting).unwrap();
    let output = Command::new(python().with_file_name("openapi-python-client"))
        .args(["generate", "--meta=none", "--fail-on-warning"])
        .arg(format!("--url={}/openapi.json", server.url))
        .arg(format!("--config={}", settings.display()))
        .arg(format!(
            "--output-path={}",
            folder.join("remotegpu_client").display()
        ))
        .env("no_proxy", "*")
        .output()
        .unwrap();
    let text = said(&output);
    assert!(!text.to_lowercase().contains("warning"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_generated_python_client() {
    // A6, K1, K9, K10, C2, C4
    let server = Server::start(Backend::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    generate(&server, folder.path());
    let journey = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/generated_client/journey.py"
    );
    let mut child = Command::new(python())
        .args([journey, &server.url])
        .env("PYTHONPATH", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("no_proxy", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(ADMIN_PASSWORD.as_bytes()).unwrap();
    drop(stdin);
    let text = said(&child.wait_with_output().unwrap());
    assert!(text.contains("journey done"), "{text}");
}
