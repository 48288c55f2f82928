//! What the API is made with.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use ipnet::IpNet;
use rand::CryptoRng;
use remotegpu_accounts::{
    AttemptRepository, AuditLog, SessionPolicy, SessionRepository, UserRepository,
};
use remotegpu_control_plane::{
    AuditBuffer, ConcurrencyLimit, IdentityUses, KeyCache, KeyChangeLimits, KeyUses,
    KnownIdentities, Load, MintLimits, Overloaded, PasswordWorkers, RestoreNotice, Signals,
    SweepCounts,
};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{
    BacklogSource, ClusterDirectory, CredentialMint, IdentityRepository, NamespaceRepository,
    TokenLifetime,
};
use remotegpu_primitives::{Clock, StoreError};
use time::OffsetDateTime;

use crate::{
    PublicUrl,
    error::{ApiError, ErrorCode},
    last_readiness::LastReadiness,
    public_url::{Authority, ExtraHost},
    request_metrics::RequestMetrics,
    routes::WorkClass,
};

/// What an operator chooses.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// What the product calls itself (contract C8).
    pub public_url: PublicUrl,
    /// Hosts that are answered to besides: `host`, on every port, or `host:port`.
    pub extra_hosts: Vec<ExtraHost>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether anybody may sign up (contract A10).
    pub sign_up_open: bool,
    /// How many active keys an account may have without a limit of its own.
    pub key_limit: u32,
    /// How many namespaces an account may have without a limit of its own.
    pub namespace_limit: u32,
    /// How long sessions live.
    pub session_policy: SessionPolicy,
    /// For how long cluster tokens are asked for.
    pub token_lifetime: TokenLifetime,
    /// How many requests are worked on at the same time.
    pub request_concurrency: usize,
}

/// What the API works on.
pub struct ApiPorts {
    /// People.
    pub users: Arc<dyn UserRepository>,
    /// Who is signed in.
    pub sessions: Arc<dyn SessionRepository>,
    /// Attempts to sign in and up.
    pub attempts: Arc<dyn AttemptRepository>,
    /// API keys.
    pub keys: Arc<dyn ApiKeyRepository>,
    /// How often accounts issue and rotate keys.
    pub key_changes: Arc<KeyChangeLimits>,
    /// The keys that are remembered, for the metrics.
    pub key_cache: Arc<KeyCache>,
    /// Namespaces.
    pub namespaces: Arc<dyn NamespaceRepository>,
    /// Cluster identities of keys.
    pub identities: Arc<dyn IdentityRepository>,
    /// The cluster identities that worked before.
    pub known_identities: Arc<KnownIdentities>,
    /// Uses of cluster identities that are not written down yet.
    pub identity_uses: Arc<IdentityUses>,
    /// The clusters that are configured.
    pub clusters: Arc<dyn ClusterDirectory>,
    /// What mints cluster tokens.
    pub mint: Arc<dyn CredentialMint>,
    /// What hashes and compares passwords.
    pub passwords: PasswordWorkers,
    /// How many credentials are minted at the same time, and how often.
    pub mint_limits: Arc<MintLimits>,
    /// What wakes the reconciler.
    pub signals: Arc<Signals>,
    /// Uses of keys that are not written down yet.
    pub uses: Arc<KeyUses>,
    /// Audit events that are not written down yet.
    pub audit: Arc<AuditBuffer>,
    /// Audit events that are.
    pub audit_log: Arc<dyn AuditLog>,
    /// How much work on the clusters waits, for the metrics.
    pub backlog: Arc<dyn BacklogSource>,
    /// What sweeps of the clusters found, for the metrics.
    pub sweeps: Arc<SweepCounts>,
    /// Whether the database was restored under this instance.
    pub restore_notice: Arc<RestoreNotice>,
    /// Whether requests can be served.
    pub readiness: Arc<dyn Readiness>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Whether this instance can serve requests: the database is there, and its
/// migrations are (contract R4).
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Asks now.
    async fn check(&self) -> Result<Ready, Unready>;
}

/// That requests can be served, and what is to be said all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ready {
    /// What whoever runs the installation should know, in sentences; anybody may
    /// read them.
    pub warnings: Vec<String>,
}

/// Why requests cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("the instance is not ready")]
pub struct Unready {
    /// What may be said of it to anybody, in a sentence; nothing where the store
    /// just does not answer.
    pub sentence: Option<String>,
    /// The whole reason.
    #[source]
    pub source: StoreError,
}

/// The API, shared by all its threads and both its listeners.
pub struct Api {
    pub(crate) config: ApiConfig,
    pub(crate) ports: ApiPorts,
    pub(crate) metrics: RequestMetrics,
    pub(crate) requests: ConcurrencyLimit,
    pub(crate) last_readiness: LastReadiness,
    closed: AtomicBool,
    draining: AtomicBool,
}

impl Api {
    /// Puts the API together.
    pub fn new(config: ApiConfig, ports: ApiPorts) -> Arc<Self> {
        Arc::new(Self {
            requests: ConcurrencyLimit::new(config.request_concurrency),
            config,
            ports,
            metrics: RequestMetrics::new(),
            last_readiness: LastReadiness::default(),
            closed: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        })
    }

    /// Refuses everything but `/livez`, `/readyz` and `/metrics` until
    /// [`Self::open`]: the store is not yet what requests need (contract R6).
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Lets requests in. What was said of the store before counts no more.
    pub async fn open(&self) {
        self.last_readiness.forget().await;
        self.closed.store(false, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Lets `/readyz` say from now on that this instance is going down, so that
    /// nobody sends it anything new.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether a request of this class would find room for its dear part. That
    /// part takes its place itself, later: while a client still sends, or has yet
    /// to show who it is, it must hold none.
    pub(crate) fn check_room(&self, class: WorkClass) -> Result<(), Overloaded> {
        match class {
            WorkClass::Password => self.ports.passwords.limit().check(),
            WorkClass::Mint => self.ports.mint_limits.check(),
            WorkClass::Other | WorkClass::Probe => Ok(()),
        }
    }

    /// Contract R7: an instance under which the database was restored answers what
    /// machines ask about it, and nothing else.
    pub(crate) fn check_database(&self, class: WorkClass) -> Result<(), ApiError> {
        if class != WorkClass::Probe && self.ports.restore_notice.is_given() {
            return Err(restored());
        }
        Ok(())
    }

    /// How much is under way, and was refused, by class of work.
    pub(crate) fn loads(&self) -> [(&'static str, Load); 3] {
        [
            ("password", self.ports.passwords.limit().load()),
            ("mint", self.ports.mint_limits.load()),
            ("request", self.requests.load()),
        ]
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.ports.clock.now()
    }

    /// Contract C8.
    pub(crate) fn answers_to(&self, asked: &Authority) -> bool {
        self.config.public_url.answers_to(asked)
            || self
                .config
                .extra_hosts
                .iter()
                .any(|extra| extra.matches(asked))
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What is answered when the database was restored under this instance.
pub(crate) fn restored() -> ApiError {
    let detail = "The database was restored or replaced while this server ran; it answers \
                  again after it is started anew";
    ApiError::new(ErrorCode::DatabaseUnavailable, detail)
}

/// The operating system's generator of randomness.
pub(crate) fn rng() -> impl CryptoRng {
    rand::rand_core::UnwrapErr(rand::rngs::SysRng)
}
