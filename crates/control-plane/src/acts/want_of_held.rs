//! The operator has a held namespace deleted, or a missing one made again (contract R8).

use rand::CryptoRng;
use remotegpu_namespaces::{
    ClusterName, HeldNamespaceRepository, KubernetesNamespaceName, WantedOfHeld,
};
use time::OffsetDateTime;

use crate::{HeldNamespaceError, Operator, acts::adopt_namespace::find};

/// Writes down what is wanted of it; whichever server runs does the work.
pub async fn want_of_held(
    held: &dyn HeldNamespaceRepository,
    operator: Operator,
    (cluster, name): (&ClusterName, &KubernetesNamespaceName),
    wanted: WantedOfHeld,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<(), HeldNamespaceError> {
    let found = find(held, cluster, name, wanted.of()).await?;
    let act = operator.act(rng, now);
    if held.want_of_held(&found, wanted, &act).await? {
        Ok(())
    } else {
        Err(HeldNamespaceError::NotHeld(wanted.of()))
    }
}
