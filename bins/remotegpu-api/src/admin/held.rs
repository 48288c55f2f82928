//! `remotegpu-api admin held`: the operator's word on namespaces that no row knows, or
//! that are missing (contract R8). Rows are written; a running server does the work.

use anyhow::Result;
use remotegpu_control_plane::{
    AdoptHeld, Operator, adopt_namespace, list_held, restore_missing, want_of_held,
};
use remotegpu_namespaces::{HeldNamespace, KubernetesNamespaceName, WantedOfHeld};
use remotegpu_primitives::{AccountId, Clock};
use remotegpu_storage::Database;
use time::format_description::well_known::Rfc3339;

use crate::{
    cli::HeldCommand,
    clock::{SystemClock, system_rng},
    output::{self, say},
};

/// Runs one command.
pub async fn run(database: &Database, operator: Operator, command: HeldCommand) -> Result<()> {
    let (rng, now) = (&mut system_rng(), SystemClock.now());
    match command {
        HeldCommand::List => {
            let held = list_held(database, operator, None).await?;
            if held.is_empty() {
                output::note(format_args!("No namespace is held, and none is missing."));
            }
            held.iter().try_for_each(print)?;
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
            let name = adopt_namespace(database, database, operator, &wanted, rng, now).await?;
            say!(
                "{} is the account's namespace {name}; it is active as soon as a server has given \
                 it its labels",
                wanted.kubernetes_namespace
            )?;
        }
        HeldCommand::Delete {
            kubernetes_namespace,
            cluster,
        } => {
            let name = cluster_name(kubernetes_namespace);
            let (place, wanted) = ((&cluster, &name), WantedOfHeld::Delete);
            want_of_held(database, operator, place, wanted, rng, now).await?;
            say!("{name} goes as soon as a server gets to it")?;
        }
        HeldCommand::Restore {
            kubernetes_namespace: Some(name),
            cluster,
            ..
        } => {
            let name = cluster_name(name);
            let (place, wanted) = ((&cluster, &name), WantedOfHeld::Restore);
            want_of_held(database, operator, place, wanted, rng, now).await?;
            tell_restored(&name)?;
        }
        HeldCommand::Restore {
            kubernetes_namespace: None,
            cluster,
            ..
        } => {
            // One that cannot be told keeps the others from nothing.
            let mut told = Ok(());
            let tell = &mut |name: &_| {
                told = std::mem::replace(&mut told, Ok(())).and(tell_restored(name));
            };
            restore_missing(database, operator, &cluster, tell, rng, &SystemClock).await?;
            told?;
        }
    }
    Ok(())
}

fn tell_restored(name: &KubernetesNamespaceName) -> Result<()> {
    say!("{name} is made again as soon as a server gets to it")
}

fn cluster_name(text: String) -> KubernetesNamespaceName {
    KubernetesNamespaceName::from_stored(text)
}

fn print(held: &HeldNamespace) -> Result<()> {
    let account = held.account_id.as_ref().map(AccountId::to_string);
    let since = held.first_seen_at.format(&Rfc3339).unwrap_or_default();
    say!(
        "{}  {:<8} {:<9} {}  account {}  id {}  since {since}",
        held.cluster,
        held.kind.as_str(),
        held.wanted.map_or("", WantedOfHeld::as_str),
        held.kubernetes_namespace,
        account.unwrap_or_else(|| "unknown".to_owned()),
        held.namespace_id,
    )
}
