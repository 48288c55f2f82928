//! The quickstart by `curl`, block by block, as it stands.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Where the server of the quickstart is.
const SERVER: &str = "http://127.0.0.1:8080";

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
    let readme = std::fs::read_to_string(root.join("docs/by-curl.md")).unwrap();
    let section = readme.split(from).nth(1).unwrap().split(to).next().unwrap();
    section
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// What a shell does with the quickstart, for a server at this URL.
pub struct Quickstart {
    blocks: Vec<String>,
}

/// What it has said.
pub struct Said {
    pub output: String,
    pub errors: String,
}

impl Quickstart {
    pub fn read() -> Self {
        let mut blocks = blocks("## From nothing to kubectl", "\n## ");
        assert_eq!(blocks.remove(0), "cargo run --release\n");
        assert_eq!(blocks[0], "read -r ONE_TIME_PASSWORD\n");
        Self { blocks }
    }

    /// The same for a server elsewhere.
    pub fn at(self, url: &str) -> Self {
        let text = self.blocks.concat().replace(SERVER, url);
        assert!(!text.contains(SERVER));
        Self { blocks: vec![text] }
    }

    /// Runs it in a folder of its own, as somebody who was told this password.
    #[track_caller]
    pub fn run(&self, folder: &Path, password: &str) -> Said {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let examples = examples.canonicalize().unwrap();
        std::os::unix::fs::symlink(examples, folder.join("docs")).unwrap();
        let mut shell = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &self.blocks.concat()])
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", folder)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = shell.stdin.take().unwrap();
        input.write_all(format!("{password}\n").as_bytes()).unwrap();
        drop(input);
        let output = shell.wait_with_output().unwrap();
        let said = Said {
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(output.status.success(), "{}\n{}", said.output, said.errors);
        said
    }
}

impl Said {
    /// What holds in front of any cluster.
    #[track_caller]
    pub fn is_the_journey(&self) {
        let Self { output, errors } = self;
        for expected in [
            "\"email\":\"admin@localhost\"",
            "\"status\":\"active\"",
            "system:serviceaccount:remotegpu-credentials:",
            "deployment.apps/demo-cpu created",
            "deployment.apps/demo-gpu-full created",
            "\"status\":\"revoked\"",
            "refused, as it should be",
        ] {
            assert!(
                output.contains(expected),
                "{expected:?} is missing:\n{output}\n{errors}"
            );
        }
        assert!(errors.contains("No resources found"), "{errors}");
        assert!(errors.contains("Invalid API key"), "{errors}");
    }
}

/// The line with the one-time password, of what a first start says.
pub fn one_time_password(line: &str) -> Option<&str> {
    let indented = line.starts_with("    ") && !line.trim().contains(' ');
    indented.then(|| line.trim())
}

#[test]
fn journey_of_the_readme_works_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let quickstart = Quickstart::read();

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
        if let Some(found) = one_time_password(&line) {
            password = Some(found.to_owned());
        }
        if line.starts_with("RemoteGPU API serves on http://127.0.0.1:8080") {
            break;
        }
    }
    std::thread::spawn(move || lines.for_each(drop));
    let password = password.unwrap_or_else(|| panic!("no password was printed:\n{said}"));

    let said = quickstart.run(folder.path(), &password);
    said.is_the_journey();
    // The development cluster makes pods at once, and runs none.
    assert!(said.output.contains("Pending"), "{}", said.output);
}
