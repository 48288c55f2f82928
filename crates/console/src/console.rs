//! What the pages are made with.

use std::{fmt, sync::Arc};

use remotegpu_access_tokens::AccessTokenRepository;
use remotegpu_accounts::{
    AttemptRepository, AuditLog, FormKey, FormRepository, SessionRepository, UserRepository,
};
use remotegpu_control_plane::{
    AccessTokenRules, AuditBuffer, KeyChangeLimits, PasswordWorkers, Signals,
};
use remotegpu_edge::{Edge, rng};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{ClaimRepository, ClusterDirectory, NamespaceRepository, UsageReader};
use remotegpu_primitives::{Clock, StoreError};
use time::OffsetDateTime;
use tokio::sync::OnceCell;

/// What an operator chooses.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// Whether anybody may sign up (contract A10).
    pub sign_up_open: bool,
    /// How many active keys an account may have without a limit of its own.
    pub key_limit: u32,
    /// How many namespaces an account may have without a limit of its own.
    pub namespace_limit: u32,
    /// What is allowed of access tokens, and how they are called.
    pub access_tokens: AccessTokenRules,
    /// A sentence that stands on every page (contract H7).
    pub notice: Option<String>,
    /// What applies in every namespace, in sentences; `code` stands between backquotes.
    pub baseline: Vec<String>,
    /// Where people find help (contract H7).
    pub support_url: Option<String>,
}

/// What the pages work on.
pub struct ConsolePorts {
    /// People.
    pub users: Arc<dyn UserRepository>,
    /// Who is signed in.
    pub sessions: Arc<dyn SessionRepository>,
    /// Attempts to sign in and up.
    pub attempts: Arc<dyn AttemptRepository>,
    /// Forms that were sent.
    pub forms: Arc<dyn FormRepository>,
    /// API keys.
    pub keys: Arc<dyn ApiKeyRepository>,
    /// Access tokens.
    pub access_tokens: Arc<dyn AccessTokenRepository>,
    /// How often accounts make keys and tokens.
    pub key_changes: Arc<KeyChangeLimits>,
    /// Namespaces.
    pub namespaces: Arc<dyn NamespaceRepository>,
    /// The clusters that are configured.
    pub clusters: Arc<dyn ClusterDirectory>,
    /// What they count in namespaces.
    pub usage: Arc<dyn UsageReader>,
    /// Which of them this installation holds.
    pub claims: Arc<dyn ClaimRepository>,
    /// What hashes and compares passwords.
    pub passwords: PasswordWorkers,
    /// What wakes the reconciler.
    pub signals: Arc<Signals>,
    /// Audit events that are not written down yet.
    pub audit: Arc<AuditBuffer>,
    /// Audit events that are.
    pub audit_log: Arc<dyn AuditLog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The console, shared by all its threads.
pub struct Console {
    pub(crate) edge: Arc<Edge>,
    pub(crate) config: ConsoleConfig,
    pub(crate) ports: ConsolePorts,
    form_key: OnceCell<FormKey>,
}

impl Console {
    /// Puts the console together, on an edge that it shares with other fronts.
    pub fn new(edge: Arc<Edge>, config: ConsoleConfig, ports: ConsolePorts) -> Arc<Self> {
        Arc::new(Self {
            edge,
            config,
            ports,
            form_key: OnceCell::new(),
        })
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.ports.clock.now()
    }

    /// What identifiers of forms are made with. It is asked for when the first form is
    /// shown, because the schema may be brought up to date after the start.
    pub(crate) async fn form_key(&self) -> Result<&FormKey, StoreError> {
        let ask = || async {
            let candidate = FormKey::generate(&mut rng());
            self.ports.forms.form_key(candidate).await
        };
        self.form_key.get_or_try_init(ask).await
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
