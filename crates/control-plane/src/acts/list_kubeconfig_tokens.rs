//! Somebody looks at the kubeconfigs with a token that open something (contract T9).

use remotegpu_namespaces::{KubeconfigToken, KubeconfigTokenRepository, TokensOf};
use remotegpu_primitives::{Page, PageRequest, StoreError};
use time::OffsetDateTime;

use crate::{Admin, Caller, Read};

/// A page of the caller's living tokens, newest first; an admin sees all of the account.
pub async fn list_kubeconfig_tokens(
    tokens: &dyn KubeconfigTokenRepository,
    caller: &Caller<Read>,
    page: PageRequest,
    now: OffsetDateTime,
) -> Result<Page<KubeconfigToken>, StoreError> {
    let account = caller.account().id;
    tokens.list(account, seen_by(caller), page, now).await
}

/// Whose tokens somebody sees and may end.
pub(super) fn seen_by(caller: &Caller<Read>) -> TokensOf {
    match caller.may::<Admin>() {
        Ok(_) => TokensOf::All,
        Err(_) => TokensOf::Maker(caller.id()),
    }
}
