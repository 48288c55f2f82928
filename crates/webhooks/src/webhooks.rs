//! What this front works on.

use std::{collections::HashMap, fmt, sync::Arc};

use remotegpu_access_tokens::AccessTokenRepository;
use remotegpu_control_plane::{AccessTokenUses, KeyCache, RestoreNotice};
use remotegpu_namespaces::ClusterName;
use remotegpu_primitives::Clock;

/// What it asks.
pub struct WebhookPorts {
    /// Access tokens.
    pub tokens: Arc<dyn AccessTokenRepository>,
    /// Those that are remembered.
    pub cache: Arc<KeyCache>,
    /// Uses of tokens that are not written down yet.
    pub uses: Arc<AccessTokenUses>,
    /// Whether the database was restored under this instance.
    pub restore_notice: Arc<RestoreNotice>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The front, shared by all threads.
pub struct Webhooks {
    pub(crate) ports: WebhookPorts,
    audiences: HashMap<ClusterName, Vec<String>>,
}

impl Webhooks {
    /// Puts it together. Each cluster has these audiences.
    pub fn new(ports: WebhookPorts, audiences: HashMap<ClusterName, Vec<String>>) -> Arc<Self> {
        Arc::new(Self { ports, audiences })
    }

    pub(crate) fn audiences_of(&self, cluster: &ClusterName) -> &[String] {
        self.audiences.get(cluster).map_or(&[], Vec::as_slice)
    }
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks")
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}
