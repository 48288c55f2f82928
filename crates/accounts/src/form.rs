//! Forms of pages: each does one thing, however often it is sent (contract H3).

use std::fmt;

use async_trait::async_trait;
use rand::CryptoRng;
use remotegpu_primitives::{FormHash, StoreError};
use time::OffsetDateTime;

/// What the identifiers of forms are made with: 256 random bits that all instances share.
#[derive(Clone, PartialEq, Eq)]
pub struct FormKey(pub [u8; 32]);

impl FormKey {
    /// Makes one.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Debug for FormKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormKey")
    }
}

/// A form that has done what it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimedForm {
    /// When.
    pub at: OffsetDateTime,
    /// What was answered, sealed by who answered; for some minutes only. Empty once it was
    /// forgotten.
    pub answer: Option<Vec<u8>>,
}

impl fmt::Debug for ClaimedForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimedForm of {}", self.at)
    }
}

/// A store of forms that were sent. What a form asks for claims it in the act's own
/// transaction ([`Origin::form`](remotegpu_primitives::Origin::form)).
#[async_trait]
pub trait FormRepository: Send + Sync {
    /// The installation's key; `candidate` becomes it where there is none yet.
    async fn form_key(&self, candidate: FormKey) -> Result<FormKey, StoreError>;

    /// The form, if it has done what it is for.
    async fn find_claimed(
        &self,
        form: FormHash,
        now: OffsetDateTime,
    ) -> Result<Option<ClaimedForm>, StoreError>;

    /// Keeps what a form that was claimed was answered, until then.
    async fn keep_answer(
        &self,
        form: FormHash,
        answer: &[u8],
        until: OffsetDateTime,
    ) -> Result<(), StoreError>;

    /// Forgets what the form was answered; it stays claimed.
    async fn forget_answer(&self, form: FormHash) -> Result<(), StoreError>;

    /// Removes up to `limit` forms that were claimed before `before`, when nobody can send
    /// them again, and forgets answers whose time is over at `now`. Answers how many forms
    /// went.
    async fn delete_forms(
        &self,
        before: OffsetDateTime,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError>;
}
