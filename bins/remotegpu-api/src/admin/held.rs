//! `remotegpu-api admin held`: the operator's word on namespaces that no row knows, or
//! that are missing (contract R8). Rows are written; a running server does the work.

use anyhow::Result;
use remotegpu_control_plane::{AdoptHeld, adopt_namespace, want_of_held};
use remotegpu_namespaces::{
    ClusterName, HeldKind, HeldNamespace, HeldNamespaceRepository, KubernetesNamespaceName,
    WantedOfHeld,
};
use remotegpu_primitives::AccountId;
use remotegpu_storage::Database;
use time::format_description::well_known::Rfc3339;

use super::operator;
use crate::cli::HeldCommand;

/// Runs one command.
pub async fn run(database: &Database, command: HeldCommand) -> Result<()> {
    match command {
        HeldCommand::List => {
            let held = database.list_held(None).await?;
            if held.is_empty() {
                eprintln!("No namespace is held, and none is missing.");
            }
            held.iter().for_each(print);
        }
        HeldCommand::Adopt {
            kubernetes_namespace,
            cluster,
            account,
            name,
            yes,
        } => {
            let wanted = AdoptHeld {
                cluster,
                kubernetes_namespace: cluster_name(kubernetes_namespace),
                account,
                name,
                is_confirmed: yes,
            };
            let name = adopt_namespace(database, database, &wanted, &operator()).await?;
            println!(
                "{} is the account's namespace {name}; it is active as soon as a server has given \
                 it its labels",
                wanted.kubernetes_namespace
            );
        }
        HeldCommand::Delete {
            kubernetes_namespace,
            cluster,
        } => {
            let name = cluster_name(kubernetes_namespace);
            want(database, &cluster, &name, WantedOfHeld::Delete).await?;
        }
        HeldCommand::Restore {
            kubernetes_namespace,
            cluster,
            ..
        } => match kubernetes_namespace {
            Some(name) => {
                let name = cluster_name(name);
                want(database, &cluster, &name, WantedOfHeld::Restore).await?;
            }
            None => restore_all(database, &cluster).await?,
        },
    }
    Ok(())
}

async fn restore_all(database: &Database, cluster: &ClusterName) -> Result<()> {
    let held = database.list_held(Some(cluster)).await?;
    let missing = held
        .iter()
        .filter(|held| held.kind == HeldKind::Missing && held.wanted.is_none());
    for one in missing {
        let name = &one.kubernetes_namespace;
        want(database, cluster, name, WantedOfHeld::Restore).await?;
    }
    Ok(())
}

async fn want(
    database: &Database,
    cluster: &ClusterName,
    name: &KubernetesNamespaceName,
    wanted: WantedOfHeld,
) -> Result<()> {
    want_of_held(database, cluster, name, wanted, &operator()).await?;
    match wanted {
        WantedOfHeld::Delete => println!("{name} goes as soon as a server gets to it"),
        WantedOfHeld::Restore => println!("{name} is made again as soon as a server gets to it"),
    }
    Ok(())
}

fn cluster_name(text: String) -> KubernetesNamespaceName {
    KubernetesNamespaceName::from_stored(text)
}

fn print(held: &HeldNamespace) {
    let account = held.account_id.as_ref().map(AccountId::to_string);
    let since = held.first_seen_at.format(&Rfc3339).unwrap_or_default();
    println!(
        "{}  {:<8} {:<9} {}  account {}  id {}  since {since}",
        held.cluster,
        held.kind.as_str(),
        held.wanted.map_or("", WantedOfHeld::as_str),
        held.kubernetes_namespace,
        account.unwrap_or_else(|| "unknown".to_owned()),
        held.namespace_id,
    );
}
