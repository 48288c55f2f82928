//! Access tokens, remembered beside keys and on the same terms (contract K13, T6).

use std::sync::Arc;

use remotegpu_access_tokens::{HashedAccessToken, PresentedAccessToken};
use remotegpu_primitives::AccessTokenId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Begun, KeyCache, NOTE_EVERY,
    by_hash::{ByHash, Fingerprint, by_hash},
    noted::Noted,
};

/// For how many of them room is made before anybody comes.
const EXPECTED: usize = 1000;

pub(super) struct Tokens {
    entries: Option<ByHash<Arc<RecalledToken>>>,
    noted: Noted,
}

/// A token that was remembered.
pub(crate) struct RecalledToken {
    begun: Begun,
    /// The token, and all else that decides whom it stands for.
    pub(crate) presented: PresentedAccessToken,
}

impl RecalledToken {
    /// What a change may be of that makes it stale.
    fn subjects(&self) -> [Uuid; 3] {
        let token = &self.presented.token;
        let (id, account, holder) = (token.id, token.account_id, token.created_by);
        [id.as_uuid(), account.as_uuid(), holder.as_uuid()]
    }
}

impl Tokens {
    pub fn new(capacity: usize) -> Self {
        let expected = capacity.min(EXPECTED);
        Self {
            entries: by_hash(capacity, expected),
            noted: Noted::new(expected),
        }
    }
}

impl KeyCache {
    /// The token, if it is remembered and nothing speaks against it.
    pub(crate) fn recall_token(&self, hash: &HashedAccessToken) -> Option<Arc<RecalledToken>> {
        if !self.is_trusted() {
            return None;
        }
        let entry = self.tokens.entries.as_ref()?;
        let entry = entry.get(&Fingerprint::of(&hash.0))?;
        let fresh = self.changes.none_since(entry.begun, entry.subjects());
        fresh.then_some(entry)
    }

    /// To be called before the store is asked for a token.
    pub(crate) fn begin_token(&self) -> Begun {
        self.changes.begun()
    }

    /// Remembers what the store has answered, unless something has changed since the query
    /// began.
    pub(crate) fn insert_token(
        &self,
        hash: &HashedAccessToken,
        begun: Begun,
        presented: &PresentedAccessToken,
    ) {
        let Some(entries) = &self.tokens.entries else {
            return;
        };
        let entry = RecalledToken {
            begun,
            presented: presented.clone(),
        };
        if self.is_trusted() && self.changes.none_since(begun, entry.subjects()) {
            entries.insert(Fingerprint::of(&hash.0), Arc::new(entry));
        }
    }

    /// Whether a use of the token is far enough from the last one for which this was
    /// answered with yes.
    pub(crate) fn token_use_is_worth_noting(&self, id: AccessTokenId, now: OffsetDateTime) -> bool {
        self.tokens.noted.is_due(id.as_uuid(), now, NOTE_EVERY)
    }
}
