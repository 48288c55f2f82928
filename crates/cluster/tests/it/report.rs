//! What a run on a real control plane leaves behind for people.

use std::{ffi::OsStr, path::Path, process::Command};

use crate::subject::{Subject, name};

/// Writes the report to the file that the environment names, if it names one.
pub async fn write(subject: &Subject, checks: &[&str]) {
    let Some(path) = std::env::var_os("REMOTEGPU_CONFORMANCE_REPORT") else {
        return;
    };
    let version = subject.clusters.probe(&name()).await.unwrap();
    let date = output("date", &["-u", "+%F"]);
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").unwrap_or_default();
    let program = |name: &str, arguments: &[&str]| {
        let told = output(Path::new(&assets).join(name), arguments);
        told.lines().next().unwrap_or_default().to_owned()
    };
    let etcd = program("etcd", &["--version"]);
    let controllers = program("kube-controller-manager", &["--version"]);
    let kubectl = program("kubectl", &["version", "--client"]);
    let checks = format!("- {}", checks.join("\n- "));
    let text = format!(
        "# Cluster conformance\n\nWritten by `./x test-cluster`, which runs the suite twice in a \
         row, each time on a new control plane: the same checks pass on the development cluster \
         and on a real control plane, but for the last ones, which only a real one can pass.\n\n\
         | | |\n|---|---|\n| `kube-apiserver` | {version} |\n| `kube-controller-manager` | \
         {controllers} |\n| `etcd` | {etcd} |\n| `kubectl` | {kubectl} |\n| date | {date} |\n\
         | commit | {commit} |\n\n{checks}\n"
    );
    std::fs::write(path, text).unwrap();
}

fn output(program: impl AsRef<OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.ok().filter(|output| output.status.success());
    output.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
