//! Somebody looks at one kubeconfig with a token (contract T9).

use remotegpu_namespaces::{KubeconfigToken, KubeconfigTokenRepository};
use remotegpu_primitives::{KubeconfigTokenId, StoreError};
use time::OffsetDateTime;

use super::list_kubeconfig_tokens::seen_by;
use crate::{Caller, Read};

/// The living token, if the caller made it or is an admin.
pub async fn find_kubeconfig_token(
    tokens: &dyn KubeconfigTokenRepository,
    caller: &Caller<Read>,
    id: KubeconfigTokenId,
    now: OffsetDateTime,
) -> Result<Option<KubeconfigToken>, StoreError> {
    let account = caller.account().id;
    tokens.find(account, seen_by(caller), id, now).await
}
