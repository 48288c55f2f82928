//! What answers: the edge, and the fronts on it.

use std::sync::Arc;

use remotegpu_control_plane::{CachedApiKeys, KeyChangeLimits, MintLimits, PasswordWorkers};
use remotegpu_edge::{Edge, EdgeConfig, EdgePorts, PublicUrl};
use remotegpu_http_api::{Api, ApiConfig, ApiPorts};
use remotegpu_namespaces::ClusterDirectory;

use super::Shared;
use crate::{clock::SystemClock, config::Config, readiness::DatabaseReadiness};

impl Shared {
    /// What every front stands on, and the front that speaks JSON.
    pub(super) fn edge_and_api(
        &self,
        config: &Config,
        public_url: PublicUrl,
        passwords: &PasswordWorkers,
    ) -> (Arc<Edge>, Arc<Api>) {
        let limits = &config.limits;
        let mint_limits = Arc::new(MintLimits::new(
            self.clusters.list().into_iter().map(|cluster| cluster.name),
            limits.mint_concurrency,
            limits.mint_queue,
            limits.mint_rate,
            limits.mint_burst,
        ));
        let edge_config = EdgeConfig {
            public_url,
            extra_hosts: config.extra_hosts.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            session_policy: config.session_policy,
            request_concurrency: limits.request_concurrency,
        };
        let edge_ports = EdgePorts {
            sessions: Arc::new(self.database.clone()),
            keys: self.cached_keys(),
            key_cache: Arc::clone(&self.remembered.keys),
            uses: Arc::clone(&self.uses),
            passwords: passwords.clone(),
            mint_limits: Arc::clone(&mint_limits),
            restore_notice: Arc::clone(&self.remembered.notice),
            readiness: Arc::new(DatabaseReadiness(self.database.clone())),
            clock: Arc::new(SystemClock),
        };
        let edge = Edge::new(edge_config, edge_ports);
        let api_config = ApiConfig {
            sign_up_open: config.sign_up_open,
            key_limit: config.key_limit,
            namespace_limit: config.namespace_limit,
            token_lifetime: config.token_lifetime,
        };
        let ports = self.api_ports(config, passwords.clone(), mint_limits);
        let api = Api::new(Arc::clone(&edge), api_config, ports);
        (edge, api)
    }

    fn cached_keys(&self) -> Arc<CachedApiKeys> {
        let database = Arc::new(self.database.clone());
        Arc::new(CachedApiKeys::new(
            database,
            Arc::clone(&self.remembered.keys),
        ))
    }

    fn api_ports(
        &self,
        config: &Config,
        passwords: PasswordWorkers,
        mint_limits: Arc<MintLimits>,
    ) -> ApiPorts {
        let database = Arc::new(self.database.clone());
        let clusters = self.claimed_clusters();
        ApiPorts {
            users: database.clone(),
            sessions: database.clone(),
            attempts: database.clone(),
            keys: self.cached_keys(),
            key_changes: Arc::new(KeyChangeLimits::new(config.limits.key_change_rate)),
            key_cache: Arc::clone(&self.remembered.keys),
            namespaces: database.clone(),
            identities: database.clone(),
            known_identities: Arc::clone(&self.remembered.identities),
            identity_uses: Arc::clone(&self.identity_uses),
            claims: database.clone(),
            clusters: clusters.clone(),
            mint: clusters,
            passwords,
            mint_limits,
            signals: Arc::clone(&self.signals),
            audit: Arc::clone(&self.audit),
            audit_log: database.clone(),
            backlog: database,
            sweeps: Arc::clone(&self.sweeps),
            work: Arc::clone(&self.work),
            clock: Arc::new(SystemClock),
        }
    }
}
