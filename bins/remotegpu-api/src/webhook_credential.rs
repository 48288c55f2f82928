//! What clusters ask with, as the operator gets it (contract T6).

use std::convert::Infallible;

use anyhow::{Context, Result, bail};
use remotegpu_cluster::{TokenWebhook, token_webhook_config};
use remotegpu_control_plane::{
    ClusterCredentials, Operator, read_webhook_credential, rotate_webhook_credential,
};
use remotegpu_namespaces::{ClusterName, WebhookKey};
use remotegpu_primitives::Clock;
use remotegpu_storage::Database;
use time::Duration;

use crate::{
    clock::{SystemClock, system_rng},
    config::{Config, WebhookSettings},
    output, schema,
    text_files::read_text,
};

/// How often it is looked whether a cluster has another credential by now.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// Reads by what clusters are known.
pub async fn read(database: &Database, known: &ClusterCredentials) -> Result<()> {
    let candidate = WebhookKey::generate(&mut system_rng());
    let read = known.read(database, candidate).await;
    read.context("the clusters' credentials could not be read")
}

/// Reads it again and again. While the database is away nobody can change it.
pub async fn follow(database: &Database, known: &ClusterCredentials) -> Infallible {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = read(database, known).await {
            tracing::debug!(
                error = &*error as &dyn std::error::Error,
                "it is read again soon"
            );
        }
    }
}

/// Prints the file that the API servers of the cluster get.
pub async fn print_file(config: &Config, name: &ClusterName) -> Result<()> {
    check_configured(config, name)?;
    let Some(webhook) = &config.webhook else {
        bail!("webhook_listen: it must be set, so that clusters can ask");
    };
    let (url, ca_pem) = (webhook.url_for(name.as_str())?, authority(webhook)?);
    let database = schema::existing(config).await?;
    let operator = Operator::at_the_command_line();
    let candidate = WebhookKey::generate(&mut system_rng());
    let credential = read_webhook_credential(&database, operator, name, candidate).await?;
    let file = token_webhook_config(TokenWebhook {
        cluster: name.as_str(),
        url: &url,
        ca_pem: &ca_pem,
        credential: credential.reveal(),
    })?;
    output::note(format_args!(
        "A secret follows, for the API servers of {name} alone: keep the file with mode 0600"
    ));
    output::print_secret(file.trim_end()).context("the file could not be printed")
}

/// Makes another credential, and prints it alone on stdout.
pub async fn rotate(
    config: &Config,
    database: &Database,
    operator: Operator,
    name: &ClusterName,
    grace_seconds: u32,
) -> Result<()> {
    check_configured(config, name)?;
    let (grace, now) = (Duration::seconds(grace_seconds.into()), SystemClock.now());
    let candidate = WebhookKey::generate(&mut system_rng());
    let rotated = rotate_webhook_credential(database, operator, name, grace, candidate, now);
    let credential = rotated.await?;
    output::note(format_args!(
        "The credential of before counts for {grace_seconds} seconds more. This one goes into the \
         file that the API servers of {name} read, which `remotegpu-api cluster manifest \
         --token-webhook {name}` prints; they read it as they start:"
    ));
    output::print_secret(credential.reveal()).with_context(|| {
        format!(
            "the credential was made, but could not be printed; `remotegpu-api cluster manifest \
             --token-webhook {name}` prints it"
        )
    })
}

fn check_configured(config: &Config, name: &ClusterName) -> Result<()> {
    if config.clusters.iter().any(|cluster| cluster.name == *name) {
        return Ok(());
    }
    bail!("clusters: there is no cluster {name} in the configuration")
}

/// Whose certificates the API servers are to believe: where nothing else is said, whoever
/// signed ours, as its file shows, or ourselves.
fn authority(webhook: &WebhookSettings) -> Result<String> {
    let path = webhook.ca.as_ref().unwrap_or(&webhook.tls.cert);
    let text = read_text(path)
        .with_context(|| format!("webhook_ca: {} cannot be read", path.display()))?;
    let begins: Vec<usize> = text.match_indices(BEGIN).map(|(at, _)| at).collect();
    match *begins {
        [] => bail!("webhook_ca: {} holds no certificate in PEM", path.display()),
        // The first is our own, which is renewed.
        [_, second, ..] if webhook.ca.is_none() => Ok(text[second..].to_owned()),
        [first, ..] => Ok(text[first..].to_owned()),
    }
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
