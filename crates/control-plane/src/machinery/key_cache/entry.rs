//! A key as the cache keeps it: a million of them have to fit.

use std::sync::Arc;

use compact_str::CompactString;
use remotegpu_keys::{ApiKey, KeyName, KeySecret, PresentedKey, SecretPrefix};
use remotegpu_primitives::{AccountId, ApiKeyId, KeySecretId, NamespaceId, UserId};
use remotegpu_scopes::{NamespaceAccess, Scopes};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Begun;

/// One place in memory holds all of it: with a million keys, each further place is
/// felt.
#[derive(Clone)]
pub struct Entry {
    begun: Begun,
    key: Uuid,
    account: Uuid,
    maker: Uuid,
    secret: Uuid,
    /// Texts of up to 24 bytes stand in the entry itself.
    prefix: CompactString,
    name: CompactString,
    account_suspended: bool,
    maker_may: bool,
    scopes: CompactScopes,
    created_at: Micros,
    expires_at: Micros,
    revoked_at: Micros,
    secret_ends_at: Micros,
}

#[derive(Clone)]
enum CompactScopes {
    All,
    Inference,
    AllNamespaces,
    Only(Arc<[Uuid]>),
    Unknown(Arc<str>),
}

/// Microseconds since 1970, as precise as the store; the least one is no time.
#[derive(Clone, Copy)]
struct Micros(i64);

impl Entry {
    pub fn new(begun: Begun, presented: &PresentedKey) -> Self {
        let PresentedKey { key, secret, .. } = presented;
        Self {
            begun,
            key: key.id.as_uuid(),
            account: key.account_id.as_uuid(),
            maker: key.created_by.as_uuid(),
            secret: secret.id.as_uuid(),
            prefix: key.prefix.as_str().into(),
            name: key.name.as_str().into(),
            account_suspended: presented.account_suspended,
            maker_may: presented.maker_may,
            scopes: CompactScopes::from(&key.scopes),
            created_at: Some(key.created_at).into(),
            expires_at: key.expires_at.into(),
            revoked_at: key.revoked_at.into(),
            secret_ends_at: secret.ends_at.into(),
        }
    }

    pub fn begun(&self) -> Begun {
        self.begun
    }

    pub fn key(&self) -> Uuid {
        self.key
    }

    /// What a change may be of that makes the key stale.
    pub fn subjects(&self) -> [Uuid; 3] {
        [self.key, self.account, self.maker]
    }

    pub fn presented(&self) -> PresentedKey {
        PresentedKey {
            key: ApiKey {
                id: ApiKeyId::from_uuid(self.key),
                account_id: AccountId::from_uuid(self.account),
                name: KeyName::from_stored(self.name.to_string()),
                prefix: SecretPrefix::from_stored(self.prefix.to_string()),
                scopes: Scopes::from(&self.scopes),
                created_at: self.created_at.time().unwrap_or(OffsetDateTime::UNIX_EPOCH),
                created_by: UserId::from_uuid(self.maker),
                expires_at: self.expires_at.time(),
                revoked_at: self.revoked_at.time(),
                last_used_at: None,
            },
            secret: KeySecret {
                id: KeySecretId::from_uuid(self.secret),
                ends_at: self.secret_ends_at.time(),
            },
            account_suspended: self.account_suspended,
            maker_may: self.maker_may,
        }
    }
}

impl From<&Scopes> for CompactScopes {
    fn from(scopes: &Scopes) -> Self {
        match scopes {
            Scopes::All => Self::All,
            Scopes::Inference => Self::Inference,
            Scopes::KubernetesExec(NamespaceAccess::All) => Self::AllNamespaces,
            Scopes::KubernetesExec(NamespaceAccess::Only(_)) => {
                Self::Only(scopes.namespace_ids().map(NamespaceId::as_uuid).collect())
            }
            Scopes::Unknown(stored) => Self::Unknown(stored.as_str().into()),
        }
    }
}

impl From<&CompactScopes> for Scopes {
    fn from(scopes: &CompactScopes) -> Self {
        match scopes {
            CompactScopes::All => Self::All,
            CompactScopes::Inference => Self::Inference,
            CompactScopes::AllNamespaces => Self::KubernetesExec(NamespaceAccess::All),
            CompactScopes::Only(ids) => {
                let ids = ids.iter().copied();
                let ids = ids.map(NamespaceId::from_uuid);
                Self::KubernetesExec(NamespaceAccess::Only(ids.collect()))
            }
            CompactScopes::Unknown(stored) => Self::Unknown(stored.to_string()),
        }
    }
}

impl Micros {
    const NONE: i64 = i64::MIN;

    fn time(self) -> Option<OffsetDateTime> {
        let nanos = i128::from(self.0) * 1000;
        (self.0 != Self::NONE)
            .then(|| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok())
            .flatten()
    }
}

impl From<Option<OffsetDateTime>> for Micros {
    fn from(time: Option<OffsetDateTime>) -> Self {
        let micros = time.map(|time| time.unix_timestamp_nanos().div_euclid(1000));
        Self(micros.map_or(Self::NONE, |micros| {
            i64::try_from(micros).unwrap_or(i64::MAX)
        }))
    }
}
