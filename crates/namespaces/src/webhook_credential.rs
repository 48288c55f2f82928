//! By what clusters are known when they ask who a token is (contract T6).

use std::fmt;

use async_trait::async_trait;
use rand::CryptoRng;
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::ClusterName;

/// What clusters' credentials are made with: 256 random bits that all instances share.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookKey(pub [u8; 32]);

impl WebhookKey {
    /// Makes one.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey")
    }
}

/// Which of its credentials a cluster has: they are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialGeneration {
    /// The cluster.
    pub cluster: ClusterName,
    /// The number of the one that counts.
    pub number: u64,
    /// Until when the one before counts as well.
    pub previous_until: OffsetDateTime,
}

/// A store of what clusters' credentials are made of. None of them is in it.
#[async_trait]
pub trait WebhookCredentialRepository: Send + Sync {
    /// The installation's key; `candidate` becomes it where there is none yet.
    async fn webhook_key(&self, candidate: WebhookKey) -> Result<WebhookKey, StoreError>;

    /// The clusters whose credential is not their first.
    async fn list_generations(&self) -> Result<Vec<CredentialGeneration>, StoreError>;

    /// Has the next credential of the cluster count. The one before counts as well until
    /// `previous_until`, and every older one no more.
    async fn rotate_webhook_credential(
        &self,
        cluster: &ClusterName,
        previous_until: OffsetDateTime,
    ) -> Result<CredentialGeneration, StoreError>;
}
