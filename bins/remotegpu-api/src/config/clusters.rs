//! The clusters: the setting `clusters`, else the `[[clusters]]` tables of the file.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use remotegpu_namespaces::ClusterName;

use super::list;
use crate::{redaction::without_passwords, settings::Settings};

/// Where a pod's service account is mounted, unless its specification says otherwise.
const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// One cluster as the operator describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    pub name: ClusterName,
    pub title: String,
    pub source: ClusterSource,
    /// What customers' kubeconfigs name, where it differs from how we reach it.
    pub server: Option<String>,
    pub certificate_authority: Option<PathBuf>,
    /// For whom tokens are that open its API server (contract T6).
    pub audiences: Vec<String>,
}

/// What API servers call themselves unless somebody has said otherwise.
const AUDIENCES: [&str; 2] = [
    "https://kubernetes.default.svc.cluster.local",
    "https://kubernetes.default.svc",
];

/// The audiences of a cluster whose configuration says nothing of it.
pub fn default_audiences() -> Vec<String> {
    AUDIENCES.map(str::to_owned).into()
}

/// How the control plane itself reaches a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterSource {
    Kubeconfig {
        path: PathBuf,
        /// The file's current one where absent.
        context: Option<String>,
    },
    /// As a pod of the cluster, with the service account mounted in this folder.
    InCluster { service_account_dir: PathBuf },
}

pub(super) fn read(settings: &Settings) -> Result<Vec<ClusterConfig>> {
    let listed = list(settings, "clusters", |text| {
        let (name, kubeconfig) = text.split_once('=').with_context(|| {
            let shown = without_passwords(text);
            format!("{shown:?} is wrong; NAME=KUBECONFIG is expected")
        })?;
        Ok(ClusterConfig {
            name: ClusterName::parse(name).map_err(|error| {
                let shown = without_passwords(name);
                anyhow!("{shown:?}: {error}")
            })?,
            title: name.to_owned(),
            source: ClusterSource::Kubeconfig {
                path: kubeconfig.into(),
                context: None,
            },
            server: None,
            certificate_authority: None,
            audiences: default_audiences(),
        })
    })?;
    let clusters = if listed.is_empty() {
        let tables = settings.cluster_tables.iter();
        tables.map(read_table).collect::<Result<Vec<_>>>()?
    } else {
        listed
    };
    for (index, cluster) in clusters.iter().enumerate() {
        if clusters[..index]
            .iter()
            .any(|other| other.name == cluster.name)
        {
            bail!("clusters: the name {} stands twice", cluster.name);
        }
    }
    Ok(clusters)
}

fn read_table(table: &toml::Table) -> Result<ClusterConfig> {
    let known = [
        "name",
        "title",
        "kubeconfig",
        "context",
        "in_cluster",
        "service_account_dir",
        "server",
        "certificate_authority",
        "audiences",
    ];
    if let Some(unknown) = table.keys().find(|key| !known.contains(&key.as_str())) {
        bail!("clusters: there is no setting {unknown:?} of a cluster");
    }
    let text = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(anyhow!("clusters: {key} must be a text")),
    };
    let name = text("name")?.context("clusters: every cluster needs a name")?;
    let in_cluster = match table.get("in_cluster") {
        None => false,
        Some(toml::Value::Boolean(said)) => *said,
        Some(_) => bail!("clusters: in_cluster must be true or false"),
    };
    let server = text("server")?;
    if server.as_ref().is_some_and(|server| server.contains('@')) {
        bail!(
            "clusters: the server of {name} must hold no user and no password: customers' \
             kubeconfigs name it"
        );
    }
    let source = match (text("kubeconfig")?, in_cluster) {
        (Some(path), false) => ClusterSource::Kubeconfig {
            path: path.into(),
            context: text("context")?,
        },
        (None, true) => {
            if text("context")?.is_some() {
                bail!("clusters: {name} has a context, which only a kubeconfig has");
            }
            // The address that pods know leads customers nowhere.
            if server.is_none() {
                bail!(
                    "clusters: {name} needs a server: customers do not reach the address that \
                     in_cluster uses"
                );
            }
            let folder = text("service_account_dir")?;
            ClusterSource::InCluster {
                service_account_dir: folder.unwrap_or_else(|| SERVICE_ACCOUNT_DIR.into()).into(),
            }
        }
        (Some(_), true) => bail!("clusters: {name} has both a kubeconfig and in_cluster"),
        (None, false) => bail!("clusters: {name} needs a kubeconfig, or in_cluster"),
    };
    if !in_cluster && text("service_account_dir")?.is_some() {
        bail!("clusters: {name} has a service_account_dir, which only in_cluster uses");
    }
    Ok(ClusterConfig {
        title: text("title")?.unwrap_or_else(|| name.clone()),
        name: ClusterName::parse(&name).map_err(|error| anyhow!("clusters: {name:?}: {error}"))?,
        source,
        server,
        certificate_authority: text("certificate_authority")?.map(Into::into),
        audiences: audiences(table)?,
    })
}

fn audiences(table: &toml::Table) -> Result<Vec<String>> {
    let Some(said) = table.get("audiences") else {
        return Ok(default_audiences());
    };
    let texts = said.as_array().and_then(|said| {
        let texts = said
            .iter()
            .map(|text| text.as_str().filter(|text| !text.is_empty()));
        texts
            .map(|text| text.map(str::to_owned))
            .collect::<Option<Vec<_>>>()
    });
    texts
        .filter(|texts| !texts.is_empty())
        .context("clusters: audiences must be a list of texts")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn table(text: &str) -> Result<ClusterConfig> {
        read_table(&text.parse().unwrap())
    }

    #[test]
    fn a_cluster_may_be_the_one_that_we_run_in() {
        // R2
        let said = "name = \"here\"\nin_cluster = true\nserver = \"https://k8s.example.org\"";
        let folder = |text: &str| match table(text).unwrap().source {
            ClusterSource::InCluster {
                service_account_dir,
            } => service_account_dir,
            ClusterSource::Kubeconfig { .. } => panic!("{text}"),
        };
        assert_eq!(folder(said), Path::new(SERVICE_ACCOUNT_DIR));
        let moved = format!("{said}\nservice_account_dir = \"/run/ours\"");
        assert_eq!(folder(&moved), Path::new("/run/ours"));
    }

    #[test]
    fn what_does_not_fit_together_is_one_sentence() {
        // R3
        for (text, sentence) in [
            ("in_cluster = \"yes\"", "in_cluster must be true or false"),
            ("in_cluster = true", "a needs a server"),
            ("", "a needs a kubeconfig, or in_cluster"),
            ("in_cluster = false", "a needs a kubeconfig, or in_cluster"),
            (
                "in_cluster = true\nkubeconfig = \"x\"",
                "a has both a kubeconfig and in_cluster",
            ),
            (
                "in_cluster = true\ncontext = \"x\"\nserver = \"https://x\"",
                "a has a context",
            ),
            (
                "kubeconfig = \"x\"\nserver = \"https://ada:canary@x\"",
                "the server of a must hold no user and no password",
            ),
            ("kubeconfig = \"\"", "a needs a kubeconfig, or in_cluster"),
            (
                "kubeconfig = \"x\"\naudiences = \"x\"",
                "audiences must be a list of texts",
            ),
            (
                "kubeconfig = \"x\"\naudiences = []",
                "audiences must be a list of texts",
            ),
            (
                "kubeconfig = \"x\"\naudiences = [\"x\", \"\"]",
                "audiences must be a list of texts",
            ),
            (
                "in_cluster = true\nkubeconfig = \"\"\ncontext = \"\"\nserver = \"\"",
                "a needs a server",
            ),
            (
                "kubeconfig = \"x\"\nservice_account_dir = \"x\"",
                "a has a service_account_dir",
            ),
        ] {
            let error = table(&format!("name = \"a\"\n{text}")).unwrap_err();
            let error = error.to_string();
            assert!(
                error.starts_with("clusters: ") && error.contains(sentence),
                "{error}"
            );
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
