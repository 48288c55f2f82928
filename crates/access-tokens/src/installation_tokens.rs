//! The tokens of all accounts, as the installation's operator sees them.

use async_trait::async_trait;
use remotegpu_primitives::{AccessTokenId, AccountId, Act, StoreError};
use time::OffsetDateTime;

use crate::TokenHandle;

/// A token, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedAccessToken {
    /// The token.
    pub id: AccessTokenId,
    /// What it is called.
    pub handle: TokenHandle,
    /// The account whose clusters it opens.
    pub account_id: AccountId,
}

/// A store of the access tokens of all accounts, for what is done to many of them at once:
/// after a restore, or a leak (contract R7).
#[async_trait]
pub trait InstallationAccessTokens: Send + Sync {
    /// Up to `limit` tokens that are active at `now`, of one account or of all, in the
    /// order of their identifiers, those after `after`.
    async fn list_active(
        &self,
        account: Option<AccountId>,
        after: Option<AccessTokenId>,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<OwnedAccessToken>, StoreError>;

    /// Which of these there are, and whether each is active at `now`.
    async fn find_owned(
        &self,
        handles: &[TokenHandle],
        now: OffsetDateTime,
    ) -> Result<Vec<(OwnedAccessToken, bool)>, StoreError>;

    /// Deletes those of the tokens that are there: all of it in one transaction, with the
    /// audit event of each token's own act. Answers which were.
    async fn delete_each(
        &self,
        tokens: &[(OwnedAccessToken, Act)],
    ) -> Result<Vec<OwnedAccessToken>, StoreError>;
}
