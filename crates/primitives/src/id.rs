//! Identifiers: UUIDs of version 7 (contract C4), one type for each kind.

use std::{fmt, str::FromStr};

use rand::CryptoRng;
use time::OffsetDateTime;
use uuid::Uuid;

/// A text that is no identifier. Callers answer it as an unknown identifier
/// (contract C5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: a UUID in its 36-character form was expected")]
pub struct MalformedId;

fn at(time: OffsetDateTime, random: &[u8; 10]) -> Uuid {
    let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
    let millis = u64::try_from(millis).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier whose order follows `now`, in whole milliseconds.
            pub fn generate(now: OffsetDateTime, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
                let mut random = [0; 10];
                rng.fill_bytes(&mut random);
                Self(at(now, &random))
            }

            /// The least identifier that can be generated at `time`.
            pub fn first_at(time: OffsetDateTime) -> Self {
                Self(at(time, &[0; 10]))
            }

            /// The identifier with this UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID of this identifier.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            /// Takes the 36-character form only, in either case.
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                if text.len() != 36 {
                    return Err(MalformedId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| MalformedId)
            }
        }
    )*};
}

ids! {
    /// One installation of the product: all instances that share a database.
    InstallationId,
    /// The tenant that owns keys, namespaces and tokens (contract A11).
    AccountId,
    /// A person, or a machine that manages (contract A11, T8).
    UserId,
    /// A token of a service user (contract T8).
    ServiceUserTokenId,
    /// An invitation into an account (contract T7).
    InvitationId,
    /// A signed-in session (contract A6).
    SessionId,
    /// An API key, through all its rotations (contract K1).
    ApiKeyId,
    /// One secret of an API key; a key has two while a rotation's grace lasts.
    KeySecretId,
    /// An access token, as the store and audit events know it (contract T5).
    AccessTokenId,
    /// A token in somebody's kubeconfig (contract T9).
    KubeconfigTokenId,
    /// A tenant namespace (contract N3).
    NamespaceId,
    /// What one key secret is to the cluster of one namespace (contract X9).
    IdentityId,
    /// One run of a server, for as long as it lives (contract R10).
    InstanceId,
    /// What the audit log knows an act by (contract R5).
    AuditEventId,
}
