//! A user with a home folder of their own, and what they type.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

pub const SESSION_TOKEN: &str = "session-secret-0123456789";

pub struct User {
    pub home: TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl User {
    pub fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    /// A user who has signed in at this server before.
    pub fn signed_in(server: &str) -> Self {
        let user = Self::new();
        user.sign_in(server);
        user
    }

    pub fn sign_in(&self, server: &str) {
        fs::create_dir_all(self.session_file().parent().unwrap()).unwrap();
        let session = serde_json::json!({"sessions": {server: {"access_token": SESSION_TOKEN}}});
        fs::write(self.session_file(), session.to_string()).unwrap();
    }

    pub fn session_file(&self) -> PathBuf {
        self.home.path().join("config/remotegpu/session.json")
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    pub fn remotegpu(&self, server: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_remotegpu"));
        command.env("REMOTEGPU_SERVER", server);
        command
    }

    pub fn kubectl_remotegpu(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_kubectl-remotegpu"))
    }

    /// Runs a script of `sh` where it may mount what it likes; nothing where this machine lets
    /// nobody do so.
    pub fn with_mounts(&self, script: &str, stdin: &str) -> Option<Run> {
        let unshare = || {
            let mut command = self.command("unshare");
            command.arg("-rm");
            command
        };
        let may = unshare().arg("true").stderr(Stdio::null()).status();
        if !may.is_ok_and(|status| status.success()) {
            eprintln!("NOT RUN: this machine lets nobody mount");
            return None;
        }
        let mut command = unshare();
        command.args(["sh", "-c", script]);
        command.env("CLI", env!("CARGO_BIN_EXE_remotegpu"));
        Some(run_with_stdin(&mut command, stdin))
    }

    /// Runs `remotegpu` with words separated by blanks.
    pub fn run(&self, server: &str, words: &str) -> Run {
        run(self.remotegpu(server).args(words.split_whitespace()))
    }
}

pub fn run(command: &mut Command) -> Run {
    finish(command.output().unwrap())
}

pub fn run_with_stdin(command: &mut Command, stdin: &str) -> Run {
    finish(start_with_stdin(command, stdin).wait_with_output().unwrap())
}

pub fn start_with_stdin(command: &mut Command, stdin: &str) -> Child {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // The program may end without having read all.
    let _ = pipe.write_all(stdin.as_bytes());
    child
}

pub fn finish(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
