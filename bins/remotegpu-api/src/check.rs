//! `remotegpu-api check`: reaches every dependency, and says what is wrong.

mod claims;

use std::process::ExitCode;

use anyhow::Result;
use remotegpu_cluster::{Finding, KubeClusters, Verdict};
use remotegpu_primitives::Clock;
use remotegpu_storage::SchemaAge;

use crate::{
    clock::SystemClock,
    config::{ClusterConfig, Config},
    dependencies,
    output::say,
    redaction, schema,
    tls::OwnCertificate,
};

/// Checks what the configuration names, and changes nothing. Fails if anything
/// is wrong, after having looked at all of it; a warning alone is no failure.
pub async fn check(config: &Config) -> Result<ExitCode> {
    let mut report = Report {
        whole: true,
        told: Ok(()),
    };
    if let Some(files) = &config.tls {
        let read =
            OwnCertificate::read(files).map(|_| "the certificate and its key fit".to_owned());
        report.tell("TLS", read);
    }
    if let Some(webhook) = &config.webhook {
        let read = OwnCertificate::read(&webhook.tls);
        let read = read.map(|_| format!("clusters ask on {} who a token is", webhook.listen));
        report.tell("webhook", read);
    } else if !config.runs_dev_cluster() {
        let sentence = "webhook_listen is not set, so that access tokens open no cluster";
        report.tell("webhook", Ok(sentence.to_owned()));
    }
    report.tell("database", database(config).await);
    for cluster in &config.clusters {
        let what = format!("cluster {}", cluster.name);
        match inspect(config, cluster).await {
            Ok(findings) => findings
                .into_iter()
                .for_each(|found| report.say(found.verdict, &what, &found.sentence)),
            Err(error) => report.tell(&what, Err(error)),
        }
    }
    if config.runs_dev_cluster() {
        report.tell(
            "cluster dev",
            Ok("the embedded development cluster starts with the server".to_owned()),
        );
    } else if config.clusters.is_empty() {
        report.tell(
            "clusters",
            Ok("none is configured, so that no namespaces can be made".to_owned()),
        );
    }
    report.told?;
    Ok(if report.whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What is told, a line for each thing that was looked at.
struct Report {
    /// Whether nothing was wrong so far.
    whole: bool,
    /// Whether all of it could be told; what cannot keeps nothing from being looked at.
    told: Result<()>,
}

impl Report {
    fn tell(&mut self, what: &str, result: Result<String>) {
        match result {
            Ok(fine) => self.say(Verdict::Fine, what, &fine),
            Err(error) => self.say(Verdict::Wrong, what, &format!("{error:#}")),
        }
    }

    fn say(&mut self, verdict: Verdict, what: &str, sentence: &str) {
        let word = match verdict {
            Verdict::Fine => "ok",
            Verdict::Warning => "warn",
            Verdict::Wrong => {
                self.whole = false;
                "wrong"
            }
        };
        let line = redaction::sentence_without_passwords(&format!("{word:<6} {what}: {sentence}"));
        if self.told.is_ok() {
            self.told = say!("{line}");
        }
    }
}

async fn database(config: &Config) -> Result<String> {
    if !schema::has_file(config) {
        let folder = config.data_dir.display();
        return Ok(format!(
            "the first start makes a SQLite database in {folder}"
        ));
    }
    let database = dependencies::connect_database(config).await?;
    let schema = match database.check().await? {
        SchemaAge::Same => "this version's",
        SchemaAge::Newer => "a newer version's, which this one can use",
    };
    Ok(format!(
        "{} answers, and its schema is {schema}",
        database.kind()
    ))
}

async fn inspect(config: &Config, cluster: &ClusterConfig) -> Result<Vec<Finding>> {
    let connection = dependencies::cluster_connection(cluster)?;
    let clusters = KubeClusters::connect(vec![connection]).await?;
    let clusters = clusters.with_tenant_baseline(&config.tenant_baseline);
    // What a mint for a key without an end asks for.
    let lifetime = config.token_lifetime.to_ask(None, SystemClock.now());
    let findings = clusters.inspect(&cluster.name, lifetime, &SystemClock);
    let mut findings = findings.await?;
    findings.extend(claims::inspect(config, &clusters, &cluster.name).await);
    Ok(findings)
}
