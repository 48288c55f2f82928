//! The operator has all that is missing in a cluster made again (contract R8).

use rand::CryptoRng;
use remotegpu_namespaces::{
    ClusterName, HeldKind, HeldNamespaceRepository, KubernetesNamespaceName, WantedOfHeld,
};
use remotegpu_primitives::Clock;

use crate::{HeldNamespaceError, Operator, want_of_held};

/// Has every missing namespace of the cluster made again that nothing is wanted of yet.
/// `told` is called with each, when it is written down. The clock is asked for each, too:
/// many take long, and each has its own time in the audit log.
pub async fn restore_missing(
    held: &dyn HeldNamespaceRepository,
    operator: Operator,
    cluster: &ClusterName,
    told: &mut dyn FnMut(&KubernetesNamespaceName),
    rng: &mut impl CryptoRng,
    clock: &dyn Clock,
) -> Result<(), HeldNamespaceError> {
    let missing = held.list_held(Some(cluster)).await?.into_iter();
    for one in missing.filter(|one| one.kind == HeldKind::Missing && one.wanted.is_none()) {
        let place = (cluster, &one.kubernetes_namespace);
        let now = clock.now();
        want_of_held(held, operator, place, WantedOfHeld::Restore, rng, now).await?;
        told(&one.kubernetes_namespace);
    }
    Ok(())
}
