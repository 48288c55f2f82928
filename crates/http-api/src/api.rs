//! What the API is made with.

use std::{fmt, sync::Arc};

use remotegpu_access_tokens::AccessTokenRepository;
use remotegpu_accounts::{
    AttemptRepository, AuditLog, InvitationRepository, MemberRepository, ServiceUserRepository,
    SessionRepository, UserRepository,
};
use remotegpu_control_plane::{
    AccessTokenRules, AuditBuffer, IdentityUses, KeyCache, KeyChangeLimits, KnownIdentities,
    MintLimits, PasswordWorkers, ReconcilerCounts, Signals, SweepCounts,
};
use remotegpu_edge::Edge;
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{
    BacklogSource, ClaimRepository, ClusterDirectory, CredentialMint, IdentityRepository,
    KubeconfigTokenRepository, NamespaceRepository, TokenLifetime,
};
use remotegpu_primitives::Clock;
use time::OffsetDateTime;

use crate::{gathered, mint_metrics::MintMetrics};

pub(crate) use remotegpu_edge::rng;

/// What an operator chooses.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Whether anybody may sign up (contract A10).
    pub sign_up_open: bool,
    /// How many active keys an account may have without a limit of its own.
    pub key_limit: u32,
    /// How many namespaces an account may have without a limit of its own.
    pub namespace_limit: u32,
    /// What is allowed of access tokens, and how they are called.
    pub access_tokens: AccessTokenRules,
    /// How many kubeconfigs with a token one may have in an account (contract T9).
    pub kubeconfig_token_limit: u32,
    /// How many service users an account may have.
    pub service_user_limit: u32,
    /// How many tokens a service user may have.
    pub service_user_token_limit: u32,
    /// How many open invitations an account may have (contract T10).
    pub invitation_limit: u32,
    /// For how long cluster tokens are asked for.
    pub token_lifetime: TokenLifetime,
}

/// What the API works on.
pub struct ApiPorts {
    /// People.
    pub users: Arc<dyn UserRepository>,
    /// Who is signed in.
    pub sessions: Arc<dyn SessionRepository>,
    /// Who is in which account.
    pub members: Arc<dyn MemberRepository>,
    /// Machines that manage.
    pub service_users: Arc<dyn ServiceUserRepository>,
    /// Who is asked into which account.
    pub invitations: Arc<dyn InvitationRepository>,
    /// Attempts to sign in and up.
    pub attempts: Arc<dyn AttemptRepository>,
    /// API keys.
    pub keys: Arc<dyn ApiKeyRepository>,
    /// Access tokens.
    pub access_tokens: Arc<dyn AccessTokenRepository>,
    /// How often accounts make keys and tokens.
    pub key_changes: Arc<KeyChangeLimits>,
    /// The keys that are remembered, for the metrics.
    pub key_cache: Arc<KeyCache>,
    /// Tokens in kubeconfigs.
    pub kubeconfig_tokens: Arc<dyn KubeconfigTokenRepository>,
    /// Namespaces.
    pub namespaces: Arc<dyn NamespaceRepository>,
    /// Cluster identities of keys.
    pub identities: Arc<dyn IdentityRepository>,
    /// The cluster identities that worked before.
    pub known_identities: Arc<KnownIdentities>,
    /// Uses of cluster identities that are not written down yet.
    pub identity_uses: Arc<IdentityUses>,
    /// Which installation this is.
    pub claims: Arc<dyn ClaimRepository>,
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
    /// Audit events that are not written down yet.
    pub audit: Arc<AuditBuffer>,
    /// Audit events that are.
    pub audit_log: Arc<dyn AuditLog>,
    /// How much work on the clusters waits, for the metrics.
    pub backlog: Arc<dyn BacklogSource>,
    /// What sweeps of the clusters found, for the metrics.
    pub sweeps: Arc<SweepCounts>,
    /// What comes of the reconciler's work, for the metrics.
    pub work: Arc<ReconcilerCounts>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The API, shared by all its threads.
pub struct Api {
    pub(crate) edge: Arc<Edge>,
    pub(crate) config: ApiConfig,
    pub(crate) ports: ApiPorts,
    pub(crate) metrics: MintMetrics,
}

impl Api {
    /// Puts the API together, on an edge that it may share with other fronts.
    pub fn new(edge: Arc<Edge>, config: ApiConfig, ports: ApiPorts) -> Arc<Self> {
        edge.metrics().with_recorder(gathered::describe);
        Arc::new(Self {
            metrics: MintMetrics::new(Arc::clone(&edge)),
            edge,
            config,
            ports,
        })
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.ports.clock.now()
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
