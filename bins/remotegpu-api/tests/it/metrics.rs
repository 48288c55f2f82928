//! What `/metrics` tells, under the names that Prometheus expects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::support::{Backend, Server, client};

/// What is told under one name.
#[derive(Default)]
struct Family {
    help: bool,
    kind: String,
    /// Every name that a sample has.
    samples: BTreeSet<String>,
}

/// Reads Prometheus' text format, and refuses what it does not allow.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            let family = families.entry(name.to_owned()).or_default();
            assert!(!family.help && help.ends_with('.'), "{line}");
            family.help = true;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let family = families.entry(name.to_owned()).or_default();
            assert!(family.kind.is_empty(), "{line}");
            kind.clone_into(&mut family.kind);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            let name = series.split('{').next().unwrap();
            let whole = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|end| name.strip_suffix(end))
                .find(|whole| {
                    families
                        .get(*whole)
                        .is_some_and(|of| of.kind == "histogram")
                })
                .unwrap_or(name);
            let family = families.entry(whole.to_owned()).or_default();
            family.samples.insert(name.to_owned());
        }
    }
    families
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_has_a_name_a_type_and_a_sentence_as_prometheus_wants() {
    // R4
    let server = Server::start(Backend::Sqlite).await;
    let ada = server.person("ada").await;
    let namespace = ada.namespace("team-ml").await;
    let key = ada.key(json!({"all": true})).await;
    key.mint(&namespace).await.expect(200);
    let url = format!("{}/v1/auth/session", server.url);
    client().get(url).send().await.unwrap();

    let text = server.metrics().await;
    let families = families(&text);
    for (
        name,
        Family {
            help,
            kind,
            samples,
        },
    ) in &families
    {
        assert!(*help && !samples.is_empty(), "{name}: {samples:?}\n{text}");
        let ours = name.strip_prefix("remotegpu_");
        let rest = ours.or_else(|| name.strip_prefix("process_"));
        let rest = rest.unwrap_or_else(|| panic!("{name} belongs to nobody"));
        let allowed = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
        assert!(rest.chars().all(allowed), "{name}");
        let words: Vec<&str> = rest.split('_').collect();
        assert_eq!(words.last() == Some(&"total"), kind == "counter", "{name}");
        for other in [
            "ms",
            "millis",
            "milliseconds",
            "minutes",
            "kb",
            "mb",
            "percent",
        ] {
            assert!(!words.contains(&other), "{name} is in no base unit");
        }
        if kind == "histogram" {
            assert!(name.ends_with("_seconds"), "{name}");
        }
        for reserved in ["_bucket", "_sum", "_count"] {
            assert!(!name.ends_with(reserved), "{name}");
        }
    }
    for (name, kind) in [
        ("process_cpu_seconds_total", "counter"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_virtual_memory_bytes", "gauge"),
        ("process_open_fds", "gauge"),
        ("process_max_fds", "gauge"),
        ("process_start_time_seconds", "gauge"),
        ("remotegpu_build_info", "gauge"),
        ("remotegpu_http_requests_total", "counter"),
        ("remotegpu_mint_duration_seconds", "histogram"),
    ] {
        assert_eq!(families[name].kind, kind, "{name}");
    }
    let build = text
        .lines()
        .find(|line| line.starts_with("remotegpu_build_info{"));
    let build = build.unwrap();
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(
        build.contains(&version) && build.contains("commit=\""),
        "{build}"
    );
    assert!(build.ends_with("} 1"), "{build}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_stands_in_the_manual() {
    // R4
    let server = Server::start(Backend::Sqlite).await;
    let manual = include_str!("../../../../docs/operating.md");
    for name in families(&server.metrics().await).keys() {
        if name.starts_with("remotegpu_") {
            let said = [format!("`{name}`"), format!("`{name}{{")];
            assert!(said.iter().any(|said| manual.contains(said)), "{name}");
        }
    }
}
