//! `remotegpu-api admin cluster claim`: this database acts in a cluster from now on
//! (contract R9).

use anyhow::{Context, Result, bail};
use remotegpu_cluster::KubeClusters;
use remotegpu_control_plane::{
    ClaimClusterPorts, ClaimPreview, Operator, claim_cluster, preview_claim,
};
use remotegpu_namespaces::{ClaimState, ClusterName, HeldNamespace, Namespace};
use remotegpu_primitives::{AccountId, Clock};
use remotegpu_storage::Database;

use crate::{clock::SystemClock, config::Config, dependencies, output::say};

/// Says what would come of it, and does it where `yes` was said.
pub async fn run(
    config: &Config,
    database: &Database,
    operator: Operator,
    name: &ClusterName,
    yes: bool,
) -> Result<()> {
    let clusters = connect(config, name).await?;
    let ports = ClaimClusterPorts {
        claims: database,
        clusters: &clusters,
        namespaces: database,
        identities: database,
        provisioner: &clusters,
        mint: &clusters,
    };
    let what = || format!("the cluster {name}");
    let preview = preview_claim(ports, operator, name, SystemClock.now()).await;
    print(name, &preview.with_context(what)?)?;
    if !yes {
        return say!("\nNothing is changed. Say --yes to have this database act there.");
    }
    let claimed = claim_cluster(ports, operator, name, SystemClock.now()).await;
    claimed.with_context(what)?;
    say!("\nThis database acts there now; running servers begin within seconds.")
}

async fn connect(config: &Config, name: &ClusterName) -> Result<KubeClusters> {
    let configured = config.clusters.iter().find(|cluster| cluster.name == *name);
    let connection = match configured {
        Some(cluster) => dependencies::cluster_connection(cluster)?,
        None if config.runs_dev_cluster() && name.as_str() == "dev" => {
            dependencies::running_dev_cluster(config).await?
        }
        None => bail!("no cluster {name} is configured"),
    };
    let clusters = KubeClusters::connect(vec![connection]).await?;
    Ok(clusters.with_tenant_baseline(&config.tenant_baseline))
}

fn print(name: &ClusterName, preview: &ClaimPreview) -> Result<()> {
    say!("{name}: {}", preview.state.sentence())?;
    match &preview.claim {
        Some(claim) => say!(
            "its claim: installation {}, database {}, raised {} times",
            claim.holder.installation,
            claim.holder.database,
            claim.counter
        )?,
        None if preview.state == ClaimState::NotPermitted => {}
        None => say!("it has no claim")?,
    }
    say!("\nIf this database acts there,")?;
    let held: Vec<String> = preview.held.iter().map(standing).collect();
    list(
        "stand there and no row knows them; they are held until you say what (admin held)",
        &held,
    )?;
    let missing: Vec<String> = preview.missing.iter().map(row).collect();
    list(
        "have a row and do not stand there; they are missing until you say (admin held restore)",
        &missing,
    )?;
    let made: Vec<String> = preview.made.iter().map(row).collect();
    list("are made, or put right, by the server", &made)?;
    list(
        "were deleted, by their rows, and go with all that is in them",
        &preview.ended,
    )?;
    say!(
        "{:>6} identities of keys go, whose tokens end; the next use of a key makes another",
        preview.identities_ended
    )
}

/// By name, so that two looks at the same are alike.
fn list(what: &str, lines: &[String]) -> Result<()> {
    let mut lines: Vec<&String> = lines.iter().collect();
    lines.sort_unstable();
    say!("{:>6} namespaces {what}", lines.len())?;
    for line in lines {
        say!("         {line}")?;
    }
    Ok(())
}

fn standing(held: &HeldNamespace) -> String {
    let account = held.account_id.as_ref().map(AccountId::to_string);
    let account = account.unwrap_or_else(|| "unknown".to_owned());
    format!("{}  of account {account}", held.kubernetes_namespace)
}

fn row(row: &Namespace) -> String {
    format!(
        "{}  of account {}",
        row.kubernetes_namespace, row.account_id
    )
}
