//! Whether this database acts in a cluster, and what waits there for the operator
//! (contract R8, R9).

use remotegpu_cluster::{Finding, KubeClusters, Verdict};
use remotegpu_control_plane::{ClaimClusterPorts, Operator, look_at_claim};
use remotegpu_namespaces::{
    ClaimState, ClusterDirectory, ClusterName, ClusterStatus, HeldKind, HeldNamespaceRepository,
};
use remotegpu_storage::Database;

use crate::{config::Config, dependencies, schema};

/// A sentence for the claim, and one for what is held. A database that is not there or
/// not of this version, and a cluster that does not answer, are told of elsewhere.
pub async fn inspect(config: &Config, clusters: &KubeClusters, name: &ClusterName) -> Vec<Finding> {
    let answers = matches!(clusters.status(name), ClusterStatus::Available(_));
    if !answers || !schema::has_file(config) {
        return Vec::new();
    }
    let Ok(database) = dependencies::connect_database(config).await else {
        return Vec::new();
    };
    if database.check().await.is_err() {
        return Vec::new();
    }
    let mut findings = vec![claim(&database, clusters, name).await];
    findings.extend(held(&database, name).await);
    findings
}

async fn claim(database: &Database, clusters: &KubeClusters, name: &ClusterName) -> Finding {
    let ports = ClaimClusterPorts {
        claims: database,
        clusters,
        namespaces: database,
        identities: database,
        provisioner: clusters,
        mint: clusters,
    };
    let (verdict, sentence) = match look_at_claim(ports, Operator::at_the_command_line(), name)
        .await
    {
        Ok(state @ ClaimState::Held) => (Verdict::Fine, capital(state.sentence())),
        Ok(ClaimState::Unknown) => (
            Verdict::Fine,
            "No database has claimed it, and this one takes it when the server starts".to_owned(),
        ),
        Ok(state @ ClaimState::NotPermitted) => (Verdict::Warning, capital(state.sentence())),
        Ok(state) => (
            Verdict::Wrong,
            format!(
                "{}; `remotegpu-api admin cluster claim {name}` shows what would come of letting \
                 this one act there",
                capital(state.sentence())
            ),
        ),
        Err(error) => (
            Verdict::Wrong,
            format!("Whether this database acts there cannot be seen: {error}"),
        ),
    };
    Finding { verdict, sentence }
}

async fn held(database: &Database, name: &ClusterName) -> Option<Finding> {
    let held = database.list_held(Some(name)).await.ok()?;
    let count = |kind: HeldKind| held.iter().filter(|held| held.kind == kind).count();
    let sentence = match (count(HeldKind::Held), count(HeldKind::Missing)) {
        (0, 0) => return None,
        (held, 0) => format!("{held} namespaces are held, because no row knows them"),
        (0, missing) => format!("{missing} namespaces are missing since a restore"),
        (held, missing) => format!(
            "{held} namespaces are held, because no row knows them, and {missing} are missing \
             since a restore"
        ),
    };
    Some(Finding {
        verdict: Verdict::Warning,
        sentence: format!("{sentence}: see `remotegpu-api admin held list`"),
    })
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
