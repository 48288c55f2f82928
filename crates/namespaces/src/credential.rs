//! Cluster credentials: which identity a subject has in a namespace's
//! cluster, and what makes a token fit to hand out (contract X6 to X10).

use std::fmt;

use remotegpu_primitives::{AccountId, ApiKeyId, IdentityId, KeySecretId, NamespaceId};
use time::{Duration, OffsetDateTime};

use crate::{ClusterError, ClusterName, KubernetesNamespaceName};

/// Whom an identity stands for. The identity ends when its subject does, or when that
/// may no longer open the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentitySubject {
    /// One secret of a key.
    KeySecret {
        /// The key that has the secret.
        key_id: ApiKeyId,
        /// The secret.
        secret_id: KeySecretId,
    },
}

impl IdentitySubject {
    /// With what the names of the objects begin that stand for a secret of a key.
    const KEY: &str = "key-";
}

/// What an identity may do in its namespace: the cluster role that it is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClusterAccess {
    /// What keys and the account's writers may.
    Tenant,
    /// What its readers may: to see all but secrets (contract T4).
    Viewer,
}

impl ClusterAccess {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tenant, Self::Viewer];

    /// What the cluster calls the role.
    pub const fn cluster_role(self) -> &'static str {
        match self {
            Self::Tenant => "remotegpu:tenant",
            Self::Viewer => "remotegpu:viewer",
        }
    }

    /// The one with this role.
    pub fn from_cluster_role(role: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|access| access.cluster_role() == role)
    }
}

/// What one subject is to the cluster of one namespace (contract X9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialIdentity {
    /// Identifies this making of the identity: an identity that is made anew has
    /// another one.
    pub id: IdentityId,
    /// Whom it stands for.
    pub subject: IdentitySubject,
    /// The account that owns both.
    pub account_id: AccountId,
    /// The namespace it opens.
    pub namespace_id: NamespaceId,
    /// What the cluster calls that namespace.
    pub kubernetes_namespace: KubernetesNamespaceName,
    /// The cluster it stands in.
    pub cluster: ClusterName,
    /// What it may do there.
    pub access: ClusterAccess,
    /// Whether its binding was seen to work.
    pub bound: bool,
    /// When it ends, where that is known.
    pub ends_at: Option<OffsetDateTime>,
}

impl CredentialIdentity {
    /// An identity for which nothing was minted for so long ends (contract X12).
    pub const IDLE_AFTER: Duration = Duration::days(30);

    /// What its objects are called in the cluster. The subject's identifier lets
    /// the cluster's own audit log name it; the making's identifier keeps an
    /// identity that is made anew from bearing the name of the one before, whose
    /// tokens an API server may remember by that name for ten seconds.
    pub fn object_name(&self) -> String {
        let IdentitySubject::KeySecret { secret_id, .. } = self.subject;
        format!(
            "{}{}-{}",
            IdentitySubject::KEY,
            secret_id.as_uuid().simple(),
            self.id.as_uuid().simple()
        )
    }

    /// Whether an object of this name may be one of that making.
    pub fn is_name_of(name: &str, id: IdentityId) -> bool {
        name.starts_with(IdentitySubject::KEY)
            && name.ends_with(&format!("-{}", id.as_uuid().simple()))
    }
}

/// The very objects that an identity is made of, as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedIdentity {
    /// The making that the objects' labels name, where they name one.
    pub id: Option<IdentityId>,
    /// The account that the objects' labels name, where they name one.
    pub account_id: Option<AccountId>,
    /// The cluster they stand in.
    pub cluster: ClusterName,
    /// The binding in the tenant's namespace.
    pub binding: Option<LocatedObject>,
    /// The service account.
    pub service_account: Option<LocatedObject>,
    /// Why the binding does not count as gone although it was not located: it cannot be
    /// read, or something bears its name that does not look like ours and is never
    /// touched.
    pub binding_obstacle: Option<String>,
    /// The same of the service account.
    pub account_obstacle: Option<String>,
}

/// One object of a cluster, and which of all that ever had its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedObject {
    /// The cluster namespace it stands in.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// A token that opens a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainClusterToken(String);

impl PlainClusterToken {
    /// Takes what the cluster answered.
    pub fn new(token: String) -> Self {
        Self(token)
    }

    /// The token, for the answer that hands it out.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainClusterToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainClusterToken")
    }
}

/// A token as the cluster answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintedToken {
    /// The token.
    pub token: PlainClusterToken,
    /// When the cluster says that it ends.
    pub expires_at: OffsetDateTime,
    /// Its `jti`, by which the cluster's audit log knows it, where it says one.
    pub token_id: Option<String>,
}

/// A token that may be handed out (contract X7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecCredential {
    /// The token.
    pub token: PlainClusterToken,
    /// Until when it may be used: whole seconds, never after the secret's end.
    pub expires_at: OffsetDateTime,
    /// Its `jti`; no secret.
    pub token_id: Option<String>,
}

/// The cluster minted no token.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// There is no such service account (any more).
    #[error("the cluster has no such identity")]
    IdentityMissing,
    /// The answer names no expiration.
    #[error("the cluster's token response named no expiration")]
    NoExpiration,
    /// The answer is no token, or not one that was asked for.
    #[error("the cluster's token response is not usable")]
    Unusable,
    /// The cluster did not do it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// A token that is expired or lives for another time than was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cluster's token response is not usable")]
pub struct UnusableToken;

/// For how long tokens are asked for: 600 to 3600 seconds (contract X8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLifetime(Duration);

impl TokenLifetime {
    /// The shortest: Kubernetes refuses less.
    pub const MIN: Duration = Duration::seconds(600);
    /// The longest. (3607 is the number that Kubernetes extends to a year.)
    pub const MAX: Duration = Duration::seconds(3600);
    /// How far an answer may be off what was asked.
    pub const TOLERANCE: Duration = Duration::seconds(60);

    /// A lifetime of this many seconds, if tokens may have it.
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        let lifetime = Duration::seconds(seconds.into());
        (Self::MIN..=Self::MAX)
            .contains(&lifetime)
            .then_some(Self(lifetime))
    }

    /// How long that is.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// The lifetime to ask for when the secret ends at `end`: no longer than the
    /// secret has left, but for the 600 seconds that Kubernetes demands, in
    /// whole seconds.
    pub fn to_ask(self, end: Option<OffsetDateTime>, now: OffsetDateTime) -> Duration {
        let left = end.map_or(self.0, |end| end - now);
        Duration::seconds(left.min(self.0).max(Self::MIN).whole_seconds())
    }
}

impl Default for TokenLifetime {
    fn default() -> Self {
        Self(Self::MAX)
    }
}

impl MintedToken {
    /// Judges an answer to a request for `asked`, made at `now`, for a secret
    /// that ends at `end` (contract X8, X9).
    pub fn judge(
        self,
        asked: Duration,
        end: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<ExecCredential, UnusableToken> {
        let off = (self.expires_at - (now + asked)).abs();
        if self.token.0.is_empty() || self.expires_at <= now || off > TokenLifetime::TOLERANCE {
            return Err(UnusableToken);
        }
        let expires_at = end.map_or(self.expires_at, |end| end.min(self.expires_at));
        Ok(ExecCredential {
            token: self.token,
            token_id: self.token_id,
            expires_at: expires_at.replace_nanosecond(0).unwrap_or(expires_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    #[test]
    fn lifetimes_are_between_ten_minutes_and_an_hour() {
        // X8
        for (seconds, fits) in [
            (0, false),
            (599, false),
            (600, true),
            (3600, true),
            (3601, false),
            (3607, false),
        ] {
            assert_eq!(
                TokenLifetime::from_seconds(seconds).is_some(),
                fits,
                "{seconds}"
            );
        }
    }

    #[test]
    fn no_more_is_asked_than_the_secret_has_left_but_for_ten_minutes() {
        // X9
        let ask = |left: Option<i64>| {
            let end = left.map(|s| NOW + Duration::milliseconds(s * 1000 + 500));
            TokenLifetime::default().to_ask(end, NOW).whole_seconds()
        };
        assert_eq!(ask(None), 3600);
        assert_eq!(ask(Some(86_400)), 3600);
        assert_eq!(ask(Some(1200)), 1200);
        assert_eq!(ask(Some(5)), 600);
    }

    #[test]
    fn an_answer_is_judged_before_it_is_handed_out() {
        // X8, X9
        let judge = |seconds: i64, end: Option<i64>| {
            MintedToken {
                token: PlainClusterToken::new("t".to_owned()),
                expires_at: NOW + Duration::seconds(seconds) + Duration::milliseconds(250),
                token_id: None,
            }
            .judge(
                Duration::seconds(3600),
                end.map(|s| NOW + Duration::seconds(s)),
                NOW,
            )
            .map(|credential| (credential.expires_at - NOW).whole_seconds())
        };
        assert_eq!(judge(3600, None), Ok(3600));
        assert_eq!(judge(3545, None), Ok(3545));
        assert_eq!(judge(3600, Some(30)), Ok(30));
        for off in [-1, 0, 3539, 3660, 86_400 * 365] {
            assert_eq!(judge(off, None), Err(UnusableToken), "{off}");
        }
    }

    #[test]
    fn a_token_prints_only_its_type() {
        assert_eq!(
            format!("{:?}", PlainClusterToken::new("s3cret".into())),
            "PlainClusterToken"
        );
    }
}
