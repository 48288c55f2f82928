//! Who is in an account, and what stands on their role there (contract K15, T7).

use async_trait::async_trait;
use remotegpu_primitives::{AccountId, Act, Page, PageRequest, StoreError, UserId, Word};
use time::OffsetDateTime;

use crate::{Email, Role};

/// A person in an account, as others see them there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub user_id: UserId,
    /// What they sign in with.
    pub email: Email,
    /// What they may do in the account.
    pub role: Word<Role>,
    /// Since when they are in it.
    pub joined_at: OffsetDateTime,
}

/// What kind of thing somebody has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeKind {
    /// An API key.
    ApiKey,
    /// A token in a kubeconfig (contract T9).
    KubeconfigToken,
    /// An access token, which opens clusters for its holder.
    AccessToken,
    /// An invitation into the account.
    Invitation,
}

impl MadeKind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::ApiKey,
        Self::KubeconfigToken,
        Self::AccessToken,
        Self::Invitation,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::KubeconfigToken => "kubeconfig_token",
            Self::AccessToken => "access_token",
            Self::Invitation => "invitation",
        }
    }

    /// Whether such a thing ends when whoever made it has this role from now on, or is no
    /// member any more (contract K15, T5, T10).
    pub fn ends_with(self, role: Option<Role>) -> bool {
        let needed = match self {
            Self::ApiKey | Self::KubeconfigToken => Role::Write,
            Self::AccessToken => Role::Read,
            Self::Invitation => Role::Admin,
        };
        role.is_none_or(|role| !role.allows(needed))
    }
}

/// Something that opens the account and that somebody made: it stands on their role there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What it is.
    pub kind: MadeKind,
    /// Its identifier.
    pub id: String,
    /// What it is called.
    pub name: String,
}

/// What becomes of the API keys of somebody who may make none any more (contract K15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysOfMaker {
    /// They are revoked.
    Revoke,
    /// They are another's from now on, who takes part in the act as an admin.
    TakeOver(UserId),
}

/// What a change of somebody's role, or their end in the account, has done beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeBefore {
    /// What has ended.
    pub ended: Vec<Made>,
    /// What is another's now.
    pub taken_over: Vec<Made>,
}

/// What came of changing who may do what in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeMember<T> {
    /// It is so from now on.
    Changed(T, MadeBefore),
    /// Nobody of the account has this identifier.
    NotFound,
    /// Whoever asks is no admin of the account any more.
    NotAllowed,
    /// The account would have no admin.
    LastAdmin,
}

/// A store of who is in which account. What a change takes from somebody ends in the same
/// transaction, with what it has opened in the clusters.
#[async_trait]
pub trait MemberRepository: Send + Sync {
    /// The account's people, the newest users first.
    async fn list(&self, account: AccountId, page: PageRequest)
    -> Result<Page<Member>, StoreError>;

    /// The person with this identifier, if they are in the account.
    async fn find(&self, account: AccountId, user: UserId) -> Result<Option<Member>, StoreError>;

    /// What somebody has made in the account that counts at `now` and stands on their role.
    async fn list_made(
        &self,
        account: AccountId,
        maker: UserId,
        now: OffsetDateTime,
    ) -> Result<Vec<Made>, StoreError>;

    /// Takes somebody who has a user into the account; `false` where they are in it, or
    /// there is no such account.
    async fn join(
        &self,
        account: AccountId,
        user: UserId,
        role: Role,
        act: &Act,
    ) -> Result<bool, StoreError>;

    /// Gives a person another role. A user who acts has to be an admin of the account.
    async fn set_role(
        &self,
        account: AccountId,
        user: UserId,
        role: Role,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<Member>, StoreError>;

    /// Ends somebody's membership, and the sessions that act for the account. A user who
    /// acts has to be an admin of the account, or the person who goes.
    async fn remove(
        &self,
        account: AccountId,
        user: UserId,
        keys: KeysOfMaker,
        act: &Act,
    ) -> Result<ChangeMember<()>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_follows_from_the_role() {
        // K15, T5, T10
        let ending = |role| {
            let ends = |kind: &&MadeKind| kind.ends_with(role);
            MadeKind::ALL
                .iter()
                .filter(ends)
                .copied()
                .collect::<Vec<_>>()
        };
        assert_eq!(ending(Some(Role::Admin)), []);
        assert_eq!(ending(Some(Role::Write)), [MadeKind::Invitation]);
        let made_by_writers = [MadeKind::ApiKey, MadeKind::KubeconfigToken];
        let wanted = [&made_by_writers[..], &[MadeKind::Invitation]].concat();
        assert_eq!(ending(Some(Role::Read)), wanted);
        assert_eq!(ending(None), MadeKind::ALL);
    }

    #[test]
    fn kinds_have_words_of_their_own() {
        let mut words: Vec<_> = MadeKind::ALL.iter().map(|kind| kind.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), MadeKind::ALL.len());
    }
}
