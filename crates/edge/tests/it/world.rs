//! A listener with one front.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use remotegpu_accounts::{
    InsertSession, NewSession, PlainSession, SessionPolicy, SessionRepository,
};
use remotegpu_control_plane::{ClusterCredentials, KeyCache, KeyUses, MintLimits, PasswordWorkers};
use remotegpu_edge::{
    Edge, EdgeConfig, EdgePorts, Front, PublicUrl, Readiness, Ready, ServerLimits, Unready,
    public_server,
};
use remotegpu_primitives::{Clock, SessionId};
use remotegpu_test_support::{
    act, clock::TestClock, rng, self_signed::self_signed, store::TestStore,
};
use rustls::ServerConfig;
use tokio::task::JoinHandle;

pub struct World {
    pub edge: Arc<Edge>,
    pub address: SocketAddr,
    store: TestStore,
    clock: Arc<TestClock>,
    serving: JoinHandle<()>,
}

struct AlwaysReady;

#[async_trait::async_trait]
impl Readiness for AlwaysReady {
    async fn check(&self) -> Result<Ready, Unready> {
        Ok(Ready::default())
    }
}

impl World {
    pub async fn new(front: Front) -> Self {
        Self::serve(front, None).await
    }

    /// One that speaks TLS, and so HTTP/2.
    pub async fn encrypted(front: Front) -> Self {
        let (config, _) = self_signed(["127.0.0.1"]);
        Self::serve(front, Some(config)).await
    }

    async fn serve(front: Front, tls: Option<ServerConfig>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (clock, store) = (
            Arc::new(TestClock::default()),
            TestStore::new().await.unwrap(),
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = EdgeConfig {
            public_url: PublicUrl::parse(&format!("{scheme}://{address}")).unwrap(),
            extra_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            session_policy: SessionPolicy::default(),
            request_concurrency: 16,
        };
        let (rate, burst) = (NonZeroU32::MAX, NonZeroU32::MAX);
        let ports = EdgePorts {
            sessions: Arc::new(store.database.clone()),
            service_users: Arc::new(store.database.clone()),
            keys: Arc::new(store.database.clone()),
            key_cache: Arc::new(KeyCache::new(0)),
            uses: Arc::new(KeyUses::default()),
            cluster_credentials: Arc::new(ClusterCredentials::new([])),
            passwords: PasswordWorkers::new(1, 1).unwrap(),
            mint_limits: Arc::new(MintLimits::new([], 0, 0, rate, burst)),
            restore_notice: Arc::default(),
            readiness: Arc::new(AlwaysReady),
            clock: clock.clone(),
        };
        let edge = Edge::new(config, ports);
        let limits = ServerLimits {
            workers: 1,
            max_connections: 16,
            keep_alive: Duration::from_secs(75),
        };
        let (server, _) = public_server(edge.clone(), vec![front], listener, tls, limits).unwrap();
        Self {
            edge,
            address,
            store,
            clock,
            serving: tokio::spawn(async move { server.await.unwrap() }),
        }
    }

    /// The secret of a session of `ada@example.org`.
    pub async fn session(&self) -> String {
        let now = self.clock.now();
        let context = self.store.person("ada", now).await.unwrap();
        let secret = PlainSession::generate(&mut rng());
        let mut session = context.session;
        session.id = SessionId::generate(now, &mut rng());
        let new = NewSession {
            hash: secret.hash(),
            verified: context.user.password,
            session,
        };
        let inserted = SessionRepository::insert(&self.store.database, &new, &act(now)).await;
        assert_eq!(inserted.unwrap(), InsertSession::Inserted);
        secret.reveal().to_owned()
    }

    /// Asks, and answers all that came until the server closed.
    pub async fn ask(&self, method: &str, path: &str, headers: &[&str]) -> String {
        let own_host = format!("host: {}", self.address);
        let mut lines = vec![
            format!("{method} {path} HTTP/1.1"),
            "connection: close".into(),
        ];
        if !headers.iter().any(|header| header.starts_with("host:")) {
            lines.push(own_host);
        }
        lines.extend(headers.iter().map(|header| (*header).to_owned()));
        let request = lines.join("\r\n") + "\r\n\r\n";
        let address = self.address;
        let exchange = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let patience = Some(Duration::from_secs(20));
            stream.set_read_timeout(patience).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut raw = Vec::new();
            // A stream that the server gives up may end with an error.
            let _ = stream.read_to_end(&mut raw);
            String::from_utf8(raw).unwrap()
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
