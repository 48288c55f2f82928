//! Somebody else's front asks for acts without HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up fails"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A copy of the example that stands on the workspace's own lock file and profiles, so that
/// it needs nothing that has not been downloaded, and builds the databases as they are built
/// already. It leaves nothing behind in the source tree.
fn copy_of_the_example(house: &Path) -> PathBuf {
    let example = house.join("docs/examples/embed-acts");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("embed-acts");
    fs::create_dir_all(copy.join("src")).unwrap();
    let manifest = fs::read_to_string(example.join("Cargo.toml")).unwrap();
    let crates = format!("{}/crates/", house.display());
    let manifest = manifest.replace("../../../crates/", &crates);
    let workspace = fs::read_to_string(house.join("Cargo.toml")).unwrap();
    let profiles = workspace.find("[profile.").unwrap();
    let manifest = format!("{manifest}\n{}", &workspace[profiles..]);
    fs::write(copy.join("Cargo.toml"), manifest).unwrap();
    fs::copy(example.join("src/main.rs"), copy.join("src/main.rs")).unwrap();
    fs::copy(house.join("Cargo.lock"), copy.join("Cargo.lock")).unwrap();
    copy
}

#[test]
fn a_front_without_http_asks_for_acts() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let house = house.canonicalize().unwrap();
    let folder = copy_of_the_example(&house);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["run", "--quiet", "--offline"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with("Ada issued rgpu_"), "{printed}");
    let expected = [
        "Charles was refused: The role in this account does not allow this",
        "Ada sees ci",
        "Charles sees ci",
    ];
    assert_eq!(lines[1..], expected);
}
