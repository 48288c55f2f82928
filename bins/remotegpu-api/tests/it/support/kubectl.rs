//! The real `kubectl`, in a home of its own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

pub struct Kubectl {
    home: TempDir,
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub fn new(kubeconfig: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("kubeconfig.yaml");
        std::fs::write(&path, kubeconfig).unwrap();
        Self {
            home,
            kubeconfig: path,
        }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The command, with this key in the environment and little else.
    pub fn command(&self, key: Option<&str>, arguments: &[&str]) -> Command {
        let mut command = self.environment(key, "kubectl");
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments);
        command
    }

    /// Any program, in the same surroundings.
    pub fn environment(&self, key: Option<&str>, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", Self::path())
            .env("HOME", self.home.path())
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        if let Some(key) = key {
            command.env("REMOTEGPU_API_KEY", key);
        }
        command
    }

    /// `PATH`, with the plugins first.
    pub fn path() -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        format!("{}:{path}", plugin_folder().display())
    }

    pub fn run(&self, key: &str, arguments: &[&str]) -> Output {
        self.command(Some(key), arguments).output().unwrap()
    }

    /// The output of a call that succeeds.
    #[track_caller]
    pub fn succeed(&self, key: &str, arguments: &[&str]) -> String {
        let output = self.run(key, arguments);
        assert!(output.status.success(), "kubectl {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a call that fails says on stderr.
    #[track_caller]
    pub fn fail(&self, key: &str, arguments: &[&str]) -> String {
        let output = self.run(key, arguments);
        assert!(
            !output.status.success(),
            "kubectl {arguments:?}: {output:?}"
        );
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Where `kubectl-remotegpu` stands: beside the server that was built with it.
fn plugin_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_remotegpu-api"))
        .parent()
        .unwrap();
    assert!(
        folder.join("kubectl-remotegpu").exists(),
        "kubectl-remotegpu is not built: build the whole workspace"
    );
    folder.to_owned()
}
