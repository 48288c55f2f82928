//! The README's quickstart, block by block, as it stands.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The `sh` blocks between these two headings.
fn blocks(from: &str, to: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let section = readme.split(from).nth(1).unwrap().split(to).next().unwrap();
    section
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn journey_of_the_readme_works_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::os::unix::fs::symlink(examples.canonicalize().unwrap(), folder.path().join("docs"))
        .unwrap();
    let mut blocks = blocks("## Quickstart", "\n## ");
    assert_eq!(blocks.remove(0), "cargo run --release\n");
    assert_eq!(blocks[0], "read -r ONE_TIME_PASSWORD\n");

    // What `cargo run --release` runs, with no configuration at all (R1).
    let mut server = Command::new(env!("CARGO_BIN_EXE_remotegpu-api"));
    let server = server
        .env_clear()
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Running(server);
    let mut lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let mut password = None;
    let mut said = String::new();
    for line in lines.by_ref().map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if line.starts_with("    ") && !line.trim().contains(' ') {
            password = Some(line.trim().to_owned());
        }
        if line.starts_with("RemoteGPU API serves on http://127.0.0.1:8080") {
            break;
        }
    }
    std::thread::spawn(move || lines.for_each(drop));
    let password = password.unwrap_or_else(|| panic!("no password was printed:\n{said}"));

    let mut shell = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &blocks.concat()])
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(format!("{password}\n").as_bytes())
        .unwrap();
    let output = shell.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}\n{errors}");
    for expected in [
        "\"email\":\"admin@localhost\"",
        "\"status\":\"active\"",
        "system:serviceaccount:remotegpu-credentials:",
        "deployment.apps/demo-cpu created",
        "deployment.apps/demo-gpu-full created",
        "Pending",
        "\"status\":\"revoked\"",
        "refused, as it should be",
    ] {
        assert!(
            said.contains(expected),
            "{expected:?} is missing:\n{said}\n{errors}"
        );
    }
    assert!(errors.contains("No resources found"), "{errors}");
    assert!(errors.contains("Invalid API key"), "{errors}");
}
