//! Many kubeconfigs with a token are ended at once (contract R7, T9).

use rand::CryptoRng;
use remotegpu_keys::KeyKind;
use remotegpu_primitives::{ApiKeyId, StoreError};

use super::end_all_keys::end_all_of;
use crate::{Choice, EndAll, EndAllKeysPorts, EndedKeys, Operator};

/// Counts the living tokens that are meant, with what ends with them, and ends them if `mode`
/// says so; otherwise like [`end_all_keys`](crate::end_all_keys).
///
/// # Errors
/// The store did not take a batch; those before it stand.
pub async fn end_all_kubeconfig_tokens(
    ports: EndAllKeysPorts<'_>,
    operator: Operator,
    choice: Choice<'_, ApiKeyId>,
    mode: EndAll,
    rng: &mut impl CryptoRng,
    told: &mut dyn FnMut(&EndedKeys),
) -> Result<EndedKeys, StoreError> {
    let kind = KeyKind::KubeconfigToken;
    end_all_of(kind, ports, operator, choice, mode, rng, told).await
}
