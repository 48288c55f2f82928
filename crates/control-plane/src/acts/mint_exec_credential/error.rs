//! Why no credential was minted.

use remotegpu_keys::KeyRefused;
use remotegpu_namespaces::{ClusterError, MintError};
use remotegpu_primitives::StoreError;

use crate::Overloaded;

/// No credential was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintExecCredentialError {
    /// Too many mint already.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The key has minted too often for this namespace; the next may come after
    /// this long.
    #[error("This API key asks for credentials too often")]
    RateLimited(time::Duration),
    /// The key ended meanwhile.
    #[error("Invalid API key")]
    KeyRefused(#[source] KeyRefused),
    /// The key does not open this namespace, or there is no such namespace.
    #[error("This API key does not allow Kubernetes exec for this namespace")]
    NotAllowed,
    /// The namespace is not active yet.
    #[error("The namespace is not ready yet")]
    NotReady,
    /// The cluster's answer named no expiration.
    #[error("The backing Kubernetes token response did not include an expiration")]
    NoExpiration,
    /// The cluster's answer was no token that was asked for.
    #[error("The cluster's token response was not usable")]
    Unusable,
    /// The cluster did not do it.
    #[error("The cluster is not available")]
    Cluster(#[source] ClusterError),
    /// The cluster did it too slowly.
    #[error("The cluster is not available")]
    TooSlow,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<MintError> for MintExecCredentialError {
    fn from(error: MintError) -> Self {
        match error {
            MintError::NoExpiration => Self::NoExpiration,
            MintError::Unusable => Self::Unusable,
            // It was made a moment ago; somebody ends it at this very time.
            MintError::IdentityMissing => Self::TooSlow,
            MintError::Cluster(error) => Self::Cluster(error),
        }
    }
}
