//! Every string that goes into a kubeconfig comes out as the same string, whoever reads it.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use remotegpu_kubeconfig::{ClusterEndpoint, ExecContext, Plugin, render_exec};
use serde_json::{Value, json};

use crate::left_out::left_out;

/// What YAML readers, shells and careless templates trip over.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "null",
    "Null",
    "~",
    "no",
    "NO",
    "y",
    "on",
    "true",
    "False",
    "0x1f",
    "0o17",
    "017",
    "0b1",
    "1e3",
    "1E+3",
    ".5",
    "5.",
    "+1",
    "-1",
    "1_000",
    ".inf",
    "-.INF",
    ".nan",
    "12:30:45",
    "2001-01-01",
    "2001-12-14t21:59:43.10-05:00",
    "<<",
    "=",
    "!!str x",
    "!tag",
    "&anchor",
    "*alias",
    "- x",
    "-",
    "--",
    "---",
    "...",
    "? x",
    ": ",
    "a: b",
    "a:",
    ":a",
    "a #b",
    "#",
    "a#b",
    "%YAML",
    "@x",
    "`id`",
    "$(id)",
    "${HOME}",
    "{a: 1}",
    "[a]",
    "a, b",
    "|",
    ">",
    "|-\n x",
    "'",
    "''",
    "\"",
    "it's \"quoted\"",
    "\\",
    "\\n",
    "a\nb",
    "\n",
    "a\n",
    "\na",
    "a\n\n b\n",
    "a\r\nb",
    "\t",
    "\ta",
    "a\t",
    " leading",
    "trailing ",
    "\0",
    "\u{7}\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{200e}\u{202e}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffe}",
    "\u{ffff}",
    "größe",
    "名前",
    "🦀",
    "e\u{301}",
    "https://[::1]:6443/?a=b&c=d#e",
];

fn context(text: &str) -> ExecContext {
    ExecContext {
        cluster: ClusterEndpoint {
            name: text.into(),
            server: text.into(),
            certificate_authority_pem: None,
        },
        kubernetes_namespace: text.into(),
        exec_credential_url: text.into(),
    }
}

/// The strings of a kubeconfig, by place, as a reader must see them.
fn expected(text: &str) -> Value {
    let name = format!("remotegpu-{text}");
    json!({
        "cluster name": name, "server": text, "context name": name, "context cluster": name,
        "namespace": text, "user": name, "current": name, "user name": name, "url": text,
    })
}

/// The same, from a document that was read.
fn seen(document: &Value) -> Value {
    let args = document["users"][0]["user"]["exec"]["args"].as_array();
    json!({
        "cluster name": document["clusters"][0]["name"],
        "server": document["clusters"][0]["cluster"]["server"],
        "context name": document["contexts"][0]["name"],
        "context cluster": document["contexts"][0]["context"]["cluster"],
        "namespace": document["contexts"][0]["context"]["namespace"],
        "user": document["contexts"][0]["context"]["user"],
        "current": document["current-context"],
        "user name": document["users"][0]["name"],
        "url": args.and_then(|args| args.last()),
    })
}

fn assert_round_trip(text: &str) {
    for plugin in Plugin::ALL {
        let yaml = render_exec(&[context(text)], plugin).unwrap();
        let document: Value = serde_saphyr::from_str(&yaml)
            .unwrap_or_else(|error| panic!("{text:?}: {error}\n{yaml}"));
        assert_eq!(seen(&document), expected(text), "{yaml}");
    }
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[-+.:_0-9a-fA-FeExXoOtTzZ ]{1,12}",
        "[\\x00-\\x7f]{0,12}",
        "[-?:,\\[\\]{}#&*!|>'\"%@`~ a\n\t]{1,8}",
        proptest::collection::vec(proptest::sample::select(HOSTILE), 1..4)
            .prop_map(|parts| parts.concat()),
    ]
}

// X5
#[test]
fn hostile_strings_stay_strings() {
    for text in HOSTILE {
        assert_round_trip(text);
    }
}

proptest! {
    // X5
    #[test]
    fn any_string_stays_that_string(text in texts()) {
        assert_round_trip(&text);
    }

    // X3
    #[test]
    fn any_certificate_authority_comes_out_byte_for_byte(pem in any::<String>()) {
        use base64::Engine as _;
        let mut context = context("x");
        context.cluster.certificate_authority_pem = Some(pem.clone());
        let yaml = render_exec(&[context], Plugin::Remotegpu).unwrap();
        let document: Value = serde_saphyr::from_str(&yaml).unwrap();
        let data = document["clusters"][0]["cluster"]["certificate-authority-data"].as_str().unwrap();
        let decoded = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        prop_assert_eq!(decoded, pem.into_bytes());
    }
}

/// The hostile strings and some hundred made ones; the same on each run.
fn sample() -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let strategy = texts();
    let made = (0..300).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    HOSTILE
        .iter()
        .map(ToString::to_string)
        .chain(made)
        .collect()
}

/// A YAML 1.1 reader takes more words for something else than a YAML 1.2 reader does.
///
/// X5
#[test]
fn another_yaml_reader_sees_the_same_strings() {
    let python = std::env::var_os("REMOTEGPU_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python).args(["-c", "import yaml"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        left_out("Python's yaml module");
        return;
    }
    let texts = sample();
    let documents: Vec<String> = texts
        .iter()
        .map(|text| render_exec(&[context(text)], Plugin::Shell).unwrap())
        .collect();
    let mut reader = Command::new(python)
        .args([
            "-c",
            "import sys, json, yaml\n\
             json.dump([yaml.safe_load(d) for d in json.load(sys.stdin)], sys.stdout)",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = reader.stdin.take().unwrap();
    stdin
        .write_all(&serde_json::to_vec(&documents).unwrap())
        .unwrap();
    drop(stdin);
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "the reader refused a document");
    let read: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for (text, document) in texts.iter().zip(&read) {
        assert_eq!(seen(document), expected(text), "{text:?}");
    }
}

/// The reader that counts in the end.
///
/// X3
#[test]
fn kubectl_sees_the_same_strings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig.yaml");
    for text in [
        "team-ml-x7k2pq",
        "1e3",
        "null",
        "0x1f",
        "2001-01-01",
        "12:30:45",
        "y",
        "a: #b",
    ] {
        let yaml = render_exec(&[context(text)], Plugin::Shell).unwrap();
        std::fs::write(&file, yaml).unwrap();
        let output = Command::new("kubectl")
            .args(["config", "view", "--raw", "-o", "json", "--kubeconfig"])
            .arg(&file)
            .env("HOME", folder.path())
            .output();
        let Ok(output) = output else {
            left_out("kubectl");
            return;
        };
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(seen(&document), expected(text));
        let exec = &document["users"][0]["user"]["exec"];
        assert_eq!(exec["apiVersion"], "client.authentication.k8s.io/v1");
        assert_eq!(exec["interactiveMode"], "Never");
        assert_eq!(exec["provideClusterInfo"], false);
        assert!(exec["installHint"].is_string());
    }
}
