//! Somebody else's service builds on the domain crates, and gets no runtime, database, web server
//! or cluster client with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The beginnings of names that no domain crate may bring.
const FORBIDDEN: [&str; 8] = [
    "tokio", "diesel", "actix", "kube", "k8s", "hyper", "reqwest", "rustls",
];

/// A copy of the example that stands on the workspace's own lock file, so that everything that it
/// needs has been downloaded already, and that leaves nothing behind in the source tree.
fn copy_of_the_example(house: &Path) -> PathBuf {
    let example = house.join("docs/examples/embed");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("embed");
    fs::create_dir_all(copy.join("src")).unwrap();
    let manifest = fs::read_to_string(example.join("Cargo.toml")).unwrap();
    let crates = format!("{}/crates/", house.display());
    fs::write(
        copy.join("Cargo.toml"),
        manifest.replace("../../../crates/", &crates),
    )
    .unwrap();
    fs::copy(example.join("src/main.rs"), copy.join("src/main.rs")).unwrap();
    fs::copy(house.join("Cargo.lock"), copy.join("Cargo.lock")).unwrap();
    copy
}

fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(arguments)
        .arg("--offline")
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}:\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn domain_crates_serve_a_stranger_alone() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let house = house.canonicalize().unwrap();
    let folder = copy_of_the_example(&house);

    let printed = cargo(&folder, &["run", "--quiet"]);
    assert!(
        printed.starts_with("# kubeconfig-team-ml.yaml for the key rgpu_"),
        "{printed}"
    );
    assert!(printed.contains("\nkind: Config\n"), "{printed}");

    // Names without versions: an update of a crate changes nothing about what is depended on.
    let tree = cargo(
        &folder,
        &[
            "tree",
            "--prefix=none",
            "--edges=normal",
            "--target=x86_64-unknown-linux-gnu",
        ],
    );
    let names: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    for name in &names {
        let forbidden = FORBIDDEN.iter().find(|start| name.starts_with(**start));
        assert_eq!(forbidden, None, "{name}");
    }
    let names: Vec<&str> = names.into_iter().collect();
    let tree = names.join("\n") + "\n";
    let snapshot = house.join("docs/examples/embed/dependency-tree.txt");
    if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        fs::write(&snapshot, &tree).unwrap();
    }
    let known = fs::read_to_string(&snapshot).unwrap();
    assert_eq!(
        tree,
        known,
        "INSTA_UPDATE=always writes {} anew",
        snapshot.display()
    );
}
