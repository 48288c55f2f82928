//! The token and its life: active until it expires, or is deleted.

use remotegpu_accounts::Role;
use remotegpu_keys::{KeyName, SecretPrefix};
use remotegpu_namespaces::ClusterName;
use remotegpu_primitives::{AccessTokenId, AccountId, UserId};
use time::OffsetDateTime;

use crate::{HashedAccessToken, TokenHandle, TokenNote};

/// An access token as its holder sees it (contract T5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// By which the store and audit events know it.
    pub id: AccessTokenId,
    /// What it is called on the wire and in clusters.
    pub handle: TokenHandle,
    /// The account whose clusters it opens.
    pub account_id: AccountId,
    /// What its holder calls it.
    pub name: KeyName,
    /// What its holder noted beside it.
    pub note: Option<TokenNote>,
    /// The shown part of the secret.
    pub prefix: SecretPrefix,
    /// The clusters that it opens, in the order in which they were chosen.
    pub clusters: Vec<ClusterName>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Whom it stands for.
    pub created_by: UserId,
    /// When it ends by itself; never when absent.
    pub expires_at: Option<OffsetDateTime>,
    /// When it last opened a cluster; up to a minute behind.
    pub last_used_at: Option<OffsetDateTime>,
}

/// Where a token is in its life. One that was deleted is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStatus {
    /// It opens its clusters.
    Active,
    /// Its time is over; it opens nothing.
    Expired,
}

impl TokenStatus {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

impl AccessToken {
    /// Where the token is in its life at `now`.
    pub fn status(&self, now: OffsetDateTime) -> TokenStatus {
        if self.expires_at.is_some_and(|end| end <= now) {
            TokenStatus::Expired
        } else {
            TokenStatus::Active
        }
    }
}

/// A token that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewAccessToken {
    /// By which the store will know it.
    pub id: AccessTokenId,
    /// What it will be called.
    pub handle: TokenHandle,
    /// The account whose clusters it will open.
    pub account_id: AccountId,
    /// Its name.
    pub name: KeyName,
    /// Its note.
    pub note: Option<TokenNote>,
    /// What is stored of its secret.
    pub hash: HashedAccessToken,
    /// What is shown of its secret.
    pub prefix: SecretPrefix,
    /// The clusters that it will open.
    pub clusters: Vec<ClusterName>,
    /// When it is made.
    pub created_at: OffsetDateTime,
    /// Whom it will stand for.
    pub created_by: UserId,
    /// When it ends by itself.
    pub expires_at: Option<OffsetDateTime>,
}

/// A token that was presented, with all else that decides whom it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedAccessToken {
    /// The token.
    pub token: AccessToken,
    /// The role that its holder has in the account today; absent where they are no member
    /// any more, or a newer version gave them a role that this one does not know.
    pub role: Option<Role>,
    /// Whether the account is suspended (contract A13).
    pub account_suspended: bool,
}
