//! Cluster identities that were seen to work, so that the next mint need not look
//! for them first.

use std::{fmt, sync::Arc};

use quick_cache::sync::Cache;
use remotegpu_keys::PresentedKey;
use remotegpu_namespaces::{CredentialIdentity, IdentitySubject};
use remotegpu_primitives::NamespaceId;

/// How many are remembered, at some 300 bytes each.
const CAPACITY: usize = 10_000;

/// Which identity a subject had in a namespace. Nothing is believed of it: a token
/// that was minted for one leaves the house only if the store says afterwards that
/// the identity is alive, which ends with all that it stands on (contract X10).
pub struct KnownIdentities(Cache<(IdentitySubject, NamespaceId), Arc<CredentialIdentity>>);

/// Whom tokens stand for that this key asks for.
pub(crate) fn subject_of(presented: &PresentedKey) -> IdentitySubject {
    IdentitySubject::KeySecret {
        key_id: presented.key.id,
        secret_id: presented.secret.id,
    }
}

impl Default for KnownIdentities {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl KnownIdentities {
    pub(crate) fn find(
        &self,
        subject: IdentitySubject,
        namespace: NamespaceId,
    ) -> Option<Arc<CredentialIdentity>> {
        self.0.get(&(subject, namespace))
    }

    pub(crate) fn remember(&self, identity: CredentialIdentity) {
        let place = (identity.subject, identity.namespace_id);
        self.0.insert(place, Arc::new(identity));
    }

    pub(crate) fn forget(&self, identity: &CredentialIdentity) {
        self.0.remove(&(identity.subject, identity.namespace_id));
    }

    /// Forgets all of them: the store may never have had them.
    pub fn forget_all(&self) {
        self.0.clear();
    }
}

impl fmt::Debug for KnownIdentities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownIdentities")
            .field("count", &self.0.len())
            .finish_non_exhaustive()
    }
}
