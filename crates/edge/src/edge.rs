//! What every request meets, whichever front answers it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ipnet::IpNet;
use rand::CryptoRng;
use remotegpu_accounts::{ServiceUserRepository, SessionPolicy, SessionRepository};
use remotegpu_control_plane::{
    ClusterCredentials, ConcurrencyLimit, KeyCache, KeyUses, Load, MintLimits, Overloaded,
    PasswordWorkers, RestoreNotice,
};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_primitives::Clock;
use time::OffsetDateTime;

use crate::{
    error::{ApiError, ErrorCode},
    policy::WorkClass,
    public_url::{Authority, ExtraHost, PublicUrl},
    readiness::{LastReadiness, Readiness, Ready},
    request_metrics::RequestMetrics,
};

/// What an operator chooses of it.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// What the product calls itself (contract C8).
    pub public_url: PublicUrl,
    /// Hosts that are answered to besides: `host`, on every port, or `host:port`.
    pub extra_hosts: Vec<ExtraHost>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long sessions live.
    pub session_policy: SessionPolicy,
    /// How many requests are worked on at the same time.
    pub request_concurrency: usize,
}

/// What it asks.
pub struct EdgePorts {
    /// Who is signed in.
    pub sessions: Arc<dyn SessionRepository>,
    /// Machines that manage.
    pub service_users: Arc<dyn ServiceUserRepository>,
    /// API keys.
    pub keys: Arc<dyn ApiKeyRepository>,
    /// The keys that are remembered.
    pub key_cache: Arc<KeyCache>,
    /// Uses of keys that are not written down yet.
    pub uses: Arc<KeyUses>,
    /// By what the clusters are known that ask.
    pub cluster_credentials: Arc<ClusterCredentials>,
    /// What hashes and compares passwords, and has room for so many.
    pub passwords: PasswordWorkers,
    /// How many credentials are minted at the same time.
    pub mint_limits: Arc<MintLimits>,
    /// Whether the database was restored under this instance.
    pub restore_notice: Arc<RestoreNotice>,
    /// Whether requests can be served.
    pub readiness: Arc<dyn Readiness>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// How many questions of clusters are worked on at the same time.
const REVIEWS: usize = 256;

/// The edge, shared by all fronts, listeners and threads.
pub struct Edge {
    pub(crate) config: EdgeConfig,
    pub(crate) ports: EdgePorts,
    requests: ConcurrencyLimit,
    reviews: ConcurrencyLimit,
    metrics: RequestMetrics,
    last_readiness: LastReadiness,
    closed: AtomicBool,
    draining: AtomicBool,
}

impl Edge {
    /// Puts it together.
    pub fn new(config: EdgeConfig, ports: EdgePorts) -> Arc<Self> {
        Arc::new(Self {
            requests: ConcurrencyLimit::new(config.request_concurrency),
            reviews: ConcurrencyLimit::new(REVIEWS),
            config,
            ports,
            metrics: RequestMetrics::default(),
            last_readiness: LastReadiness::default(),
            closed: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        })
    }

    /// What the product calls itself (contract C8).
    pub fn public_url(&self) -> &PublicUrl {
        &self.config.public_url
    }

    /// How long sessions live.
    pub fn session_policy(&self) -> SessionPolicy {
        self.config.session_policy
    }

    /// What is counted of requests, and the recorder that fronts count with too.
    pub fn metrics(&self) -> &RequestMetrics {
        &self.metrics
    }

    /// Refuses everything but what machines ask about this instance until
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

    /// Says from now on that this instance is going down, so that nobody sends it
    /// anything new.
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
            WorkClass::Review | WorkClass::Other | WorkClass::Probe => Ok(()),
        }
    }

    /// Where a request of this class takes its place, if it takes one.
    pub(crate) fn places(&self, class: WorkClass) -> Option<&ConcurrencyLimit> {
        match class {
            WorkClass::Probe => None,
            WorkClass::Review => Some(&self.reviews),
            WorkClass::Password | WorkClass::Mint | WorkClass::Other => Some(&self.requests),
        }
    }

    /// Contract R6, R7: before the store is what requests need, and once the database was
    /// restored under this instance, it answers what machines ask about it and nothing
    /// else.
    pub(crate) fn check_store(&self, class: WorkClass) -> Result<(), ApiError> {
        if class == WorkClass::Probe {
            return Ok(());
        }
        self.check_restored()?;
        if self.is_closed() {
            return Err(starting());
        }
        Ok(())
    }

    fn check_restored(&self) -> Result<(), ApiError> {
        if !self.is_restored() {
            return Ok(());
        }
        let detail = "The database was restored or replaced while this server ran; it answers \
                      again after it is started anew";
        Err(ApiError::new(ErrorCode::DatabaseUnavailable, detail))
    }

    /// Whether the database was restored under this instance (contract R7).
    pub fn is_restored(&self) -> bool {
        self.ports.restore_notice.is_given()
    }

    /// Whether this instance wants requests, and can serve them (contract R4).
    pub async fn ready(&self) -> Result<Ready, ApiError> {
        if self.is_draining() {
            let detail = "The server is going down";
            return Err(ApiError::new(ErrorCode::Overloaded, detail));
        }
        self.check_restored()?;
        let ready = self.last_readiness.or_ask(&*self.ports.readiness).await;
        let ready = ready.map_err(|unready| {
            // The schema is another version's: whoever asks learns what to do (contract R6).
            let error = match &unready.sentence {
                Some(sentence) => ApiError::new(ErrorCode::DatabaseUnavailable, sentence.clone()),
                None => ErrorCode::DatabaseUnavailable.into(),
            };
            // While it starts that is what is waited for, and nobody needs to be woken.
            if self.is_closed() {
                return error;
            }
            error.because(unready)
        })?;
        if self.is_closed() {
            return Err(starting());
        }
        Ok(ready)
    }

    /// How much is under way, and was refused, by class of work.
    pub fn loads(&self) -> [(&'static str, Load); 4] {
        [
            ("password", self.ports.passwords.limit().load()),
            ("mint", self.ports.mint_limits.load()),
            ("review", self.reviews.load()),
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

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What is answered before the store is what requests need.
fn starting() -> ApiError {
    ApiError::new(ErrorCode::DatabaseUnavailable, "The server is starting")
}

/// The operating system's generator of randomness.
pub fn rng() -> impl CryptoRng {
    rand::rand_core::UnwrapErr(rand::rngs::SysRng)
}
