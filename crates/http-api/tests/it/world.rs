//! A server, and people who use it.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc};

use remotegpu_accounts::{InsertSession, PlainSession, SessionPolicy, SessionRepository};
use remotegpu_control_plane::{
    AccessTokenRules, ClusterCredentials, KeyCache, KeyChangeLimits, MintLimits, PasswordWorkers,
    RestoreNotice,
};
use remotegpu_edge::{
    Edge, EdgeConfig, EdgePorts, PublicUrl, Readiness, Ready, ServerLimits, Unready,
    internal_server, public_server,
};
use remotegpu_http_api::{Api, ApiConfig, ApiPorts, internal_front, public_front};
use remotegpu_namespaces::TokenLifetime;
use remotegpu_primitives::Clock;
use remotegpu_storage::Database;
use remotegpu_test_support::{act, clock::TestClock, cluster::TestCluster, rng, store::TestStore};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::client::{Answer, Request};

pub struct World {
    store: TestStore,
    clock: Arc<TestClock>,
    pub restore_notice: Arc<RestoreNotice>,
    pub edge: Arc<Edge>,
    pub api: Arc<Api>,
    address: SocketAddr,
    pub internal: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// What a world may have otherwise.
pub struct WorldConfig {
    pub edge: EdgeConfig,
    pub api: ApiConfig,
}

struct DatabaseReadiness(Database);

#[async_trait::async_trait]
impl Readiness for DatabaseReadiness {
    async fn check(&self) -> Result<Ready, Unready> {
        let ready = self.0.ping().await.map(|()| Ready::default());
        ready.map_err(|source| Unready {
            sentence: None,
            source,
        })
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut WorldConfig)) -> Self {
        let clock = Arc::new(TestClock::default());
        let cluster = Arc::new(TestCluster::new(clock.clone()));
        let store = TestStore::new().await.unwrap();
        let public = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, internal) = (public.local_addr().unwrap(), inside.local_addr().unwrap());
        let mut config = WorldConfig {
            edge: EdgeConfig {
                public_url: PublicUrl::parse(&format!("http://{address}")).unwrap(),
                extra_hosts: Vec::new(),
                trusted_proxies: Vec::new(),
                session_policy: SessionPolicy::default(),
                request_concurrency: 1024,
            },
            api: ApiConfig {
                sign_up_open: true,
                key_limit: 20,
                kubeconfig_token_limit: 100,
                namespace_limit: 10,
                access_tokens: AccessTokenRules::default(),
                service_user_limit: 20,
                service_user_token_limit: 20,
                invitation_limit: 50,
                token_lifetime: TokenLifetime::default(),
            },
        };
        change(&mut config);
        let database = Arc::new(store.database.clone());
        let restore_notice = Arc::<RestoreNotice>::default();
        let ports = ApiPorts {
            sweeps: Arc::default(),
            work: Arc::default(),
            known_identities: Arc::default(),
            identity_uses: Arc::default(),
            key_changes: Arc::new(KeyChangeLimits::new(NonZeroU32::MAX)),
            users: database.clone(),
            sessions: database.clone(),
            members: database.clone(),
            service_users: database.clone(),
            invitations: database.clone(),
            attempts: database.clone(),
            key_cache: Arc::new(KeyCache::new(0)),
            keys: database.clone(),
            access_tokens: database.clone(),
            kubeconfig_tokens: database.clone(),
            namespaces: database.clone(),
            identities: database.clone(),
            audit: Arc::default(),
            audit_log: database.clone(),
            claims: database.clone(),
            backlog: database,
            clusters: cluster.clone(),
            mint: cluster.clone(),
            passwords: PasswordWorkers::new(2, 16).unwrap(),
            mint_limits: Arc::new(MintLimits::new([], 0, 0, NonZeroU32::MAX, NonZeroU32::MAX)),
            signals: Arc::default(),
            clock: clock.clone(),
        };
        let edge = EdgePorts {
            sessions: ports.sessions.clone(),
            service_users: ports.service_users.clone(),
            keys: ports.keys.clone(),
            key_cache: ports.key_cache.clone(),
            uses: Arc::default(),
            cluster_credentials: Arc::new(ClusterCredentials::new([])),
            passwords: ports.passwords.clone(),
            mint_limits: ports.mint_limits.clone(),
            restore_notice: restore_notice.clone(),
            readiness: Arc::new(DatabaseReadiness(store.database.clone())),
            clock: clock.clone(),
        };
        let edge = Edge::new(config.edge, edge);
        let api = Api::new(edge.clone(), config.api, ports);
        let limits = ServerLimits {
            workers: 2,
            max_connections: 1000,
            keep_alive: std::time::Duration::from_secs(75),
        };
        let (server, _) =
            public_server(edge.clone(), vec![public_front(&api)], public, None, limits).unwrap();
        let (internal_server, _) =
            internal_server(edge.clone(), vec![internal_front(&api)], inside, None).unwrap();
        let tasks = vec![
            tokio::spawn(async move { server.await.unwrap() }),
            tokio::spawn(async move { internal_server.await.unwrap() }),
        ];
        Self {
            store,
            clock,
            restore_notice,
            edge,
            api,
            address,
            internal,
            tasks,
        }
    }

    pub fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.address, method, target)
    }

    pub fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    pub fn post(&self, target: &str) -> Request {
        self.request("POST", target)
    }

    /// A person with an account of their own, and the token of their session.
    pub async fn person(&self, name: &str) -> String {
        let context = self.store.person(name, self.clock.now()).await.unwrap();
        let secret = PlainSession::generate(&mut rng());
        let mut session = context.session;
        session.id = remotegpu_primitives::SessionId::generate(self.clock.now(), &mut rng());
        let new = remotegpu_accounts::NewSession {
            hash: secret.hash(),
            verified: context.user.password,
            session,
        };
        let act = act(self.clock.now());
        let inserted = SessionRepository::insert(&self.store.database, &new, &act).await;
        assert_eq!(inserted.unwrap(), InsertSession::Inserted);
        secret.reveal().to_owned()
    }

    /// A key with these scopes: the answer that made it.
    pub async fn key(&self, token: &str, scopes: serde_json::Value) -> Answer {
        let body = json!({"name": "ci", "scopes": scopes});
        let create = self.post("/v1/account/api-keys").bearer(token).json(body);
        create.send().await
    }

    /// A namespace of this name, which stands already: its identifier.
    pub async fn namespace(&self, token: &str, name: &str) -> String {
        let hash = PlainSession::parse(token).unwrap().hash();
        let person = SessionRepository::find_by_hash(&self.store.database, &hash).await;
        let (person, now) = (person.unwrap().unwrap(), self.clock.now());
        let made = self.store.namespace(&person, name, now).await;
        made.unwrap().id.to_string()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

pub fn text(answer: &Answer, member: &str) -> String {
    let found = answer.json()[member].as_str().map(str::to_owned);
    found.unwrap_or_else(|| panic!("{member} in {answer:?}"))
}

/// Status, code and detail of an expected refusal.
pub fn refusal(status: u16, code: &str, detail: &str) -> (u16, String, String) {
    (status, code.to_owned(), detail.to_owned())
}
