//! What answers: the edge, and the fronts on it.

use std::{collections::HashMap, sync::Arc};

use remotegpu_console::{Console, ConsoleConfig, ConsolePorts};
use remotegpu_control_plane::{
    AskingCluster, CachedAccessTokens, CachedApiKeys, KeyChangeLimits, MintLimits, NotedMembers,
    NotedServiceUsers, PasswordWorkers,
};
use remotegpu_dev_cluster::DevCluster;
use remotegpu_edge::{Edge, EdgeConfig, EdgePorts, PublicUrl};
use remotegpu_http_api::{Api, ApiConfig, ApiPorts};
use remotegpu_namespaces::ClusterDirectory;
use remotegpu_webhooks::{WebhookPorts, Webhooks};

use super::Shared;
use crate::{
    clock::SystemClock,
    config::{Config, ConsoleSettings, default_audiences},
    readiness::DatabaseReadiness,
};

impl Shared {
    /// What every front stands on, the front that speaks JSON, and the pages.
    pub(super) fn edge_and_fronts(
        &self,
        config: &Config,
        public_url: PublicUrl,
        passwords: &PasswordWorkers,
    ) -> (Arc<Edge>, Arc<Api>, Option<Arc<Console>>) {
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
            service_users: Arc::new(self.database.clone()),
            keys: self.cached_keys(),
            key_cache: Arc::clone(&self.remembered.keys),
            uses: Arc::clone(&self.uses),
            cluster_credentials: Arc::clone(&self.cluster_credentials),
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
            kubeconfig_token_limit: config.kubeconfig_token_limit,
            namespace_limit: config.namespace_limit,
            access_tokens: config.access_tokens.clone(),
            service_user_limit: config.service_user_limit,
            service_user_token_limit: config.service_user_token_limit,
            invitation_limit: config.invitation_limit,
            token_lifetime: config.token_lifetime,
        };
        let ports = self.api_ports(config, passwords.clone(), mint_limits);
        let console = config.console.as_ref();
        let console = console.map(|settings| self.console(config, settings, &edge, &ports));
        let api = Api::new(Arc::clone(&edge), api_config, ports);
        (edge, api, console)
    }

    fn console(
        &self,
        config: &Config,
        settings: &ConsoleSettings,
        edge: &Arc<Edge>,
        api: &ApiPorts,
    ) -> Arc<Console> {
        let console_config = ConsoleConfig {
            sign_up_open: config.sign_up_open,
            key_limit: config.key_limit,
            kubeconfig_token_limit: config.kubeconfig_token_limit,
            namespace_limit: config.namespace_limit,
            access_tokens: config.access_tokens.clone(),
            service_user_limit: config.service_user_limit,
            service_user_token_limit: config.service_user_token_limit,
            invitation_limit: config.invitation_limit,
            baseline: config.tenant_baseline.in_words(),
            notice: settings.notice.clone(),
            support_url: settings.support_url.clone(),
        };
        let ports = ConsolePorts {
            users: Arc::clone(&api.users),
            sessions: Arc::clone(&api.sessions),
            members: Arc::clone(&api.members),
            service_users: Arc::clone(&api.service_users),
            invitations: Arc::clone(&api.invitations),
            attempts: Arc::clone(&api.attempts),
            forms: Arc::new(self.database.clone()),
            keys: Arc::clone(&api.keys),
            access_tokens: Arc::clone(&api.access_tokens),
            key_changes: Arc::clone(&api.key_changes),
            kubeconfig_tokens: Arc::clone(&api.kubeconfig_tokens),
            namespaces: Arc::clone(&api.namespaces),
            identities: Arc::clone(&api.identities),
            known_identities: Arc::clone(&api.known_identities),
            identity_uses: Arc::clone(&api.identity_uses),
            mint: Arc::clone(&api.mint),
            mint_limits: Arc::clone(&api.mint_limits),
            clusters: Arc::clone(&api.clusters),
            usage: self.claimed_clusters(),
            claims: Arc::clone(&api.claims),
            passwords: api.passwords.clone(),
            signals: Arc::clone(&api.signals),
            audit: Arc::clone(&api.audit),
            audit_log: Arc::clone(&api.audit_log),
            clock: Arc::clone(&api.clock),
        };
        Console::new(Arc::clone(edge), console_config, ports)
    }

    /// What clusters ask, the embedded one too.
    pub(super) fn webhooks(&self, config: &Config, embedded: Option<&DevCluster>) -> Arc<Webhooks> {
        let ports = WebhookPorts {
            tokens: self.cached_tokens(),
            cache: Arc::clone(&self.remembered.keys),
            uses: Arc::clone(&self.access_token_uses),
            restore_notice: Arc::clone(&self.remembered.notice),
            clock: Arc::new(SystemClock),
        };
        // The embedded one is as any.
        let all = self.clusters.list().into_iter();
        let mut audiences: HashMap<_, _> = all
            .map(|cluster| (cluster.name, default_audiences()))
            .collect();
        let configured = config.clusters.iter();
        audiences.extend(configured.map(|known| (known.name.clone(), known.audiences.clone())));
        let webhooks = Webhooks::new(ports, audiences);
        if let Some(cluster) = embedded {
            self.answer_in_process(cluster, &webhooks);
        }
        webhooks
    }

    /// Has the embedded development cluster ask what others ask over the network.
    fn answer_in_process(&self, cluster: &DevCluster, webhooks: &Arc<Webhooks>) {
        let Some(known) = self.clusters.list().into_iter().next() else {
            return;
        };
        let asking = AskingCluster::in_this_process(known.name);
        let webhooks = Arc::clone(webhooks);
        cluster.ask_about_tokens(Arc::new(move |review| {
            let (webhooks, asking) = (Arc::clone(&webhooks), asking.clone());
            Box::pin(async move { webhooks.review_in_process(&asking, &review).await })
        }));
    }

    fn cached_tokens(&self) -> Arc<CachedAccessTokens> {
        let database = Arc::new(self.database.clone());
        let cache = Arc::clone(&self.remembered.keys);
        Arc::new(CachedAccessTokens::new(database, cache))
    }

    fn cached_keys(&self) -> Arc<CachedApiKeys> {
        let database = Arc::new(self.database.clone());
        Arc::new(CachedApiKeys::new(
            database,
            Arc::clone(&self.remembered.keys),
        ))
    }

    fn noted_service_users(&self) -> Arc<NotedServiceUsers> {
        let database = Arc::new(self.database.clone());
        Arc::new(NotedServiceUsers::new(
            database,
            Arc::clone(&self.remembered.keys),
        ))
    }

    fn noted_members(&self) -> Arc<NotedMembers> {
        let database = Arc::new(self.database.clone());
        Arc::new(NotedMembers::new(
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
            members: self.noted_members(),
            service_users: self.noted_service_users(),
            invitations: database.clone(),
            attempts: database.clone(),
            keys: self.cached_keys(),
            access_tokens: self.cached_tokens(),
            key_changes: Arc::new(KeyChangeLimits::new(config.limits.key_change_rate)),
            key_cache: Arc::clone(&self.remembered.keys),
            kubeconfig_tokens: database.clone(),
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
