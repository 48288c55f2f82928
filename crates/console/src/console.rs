//! What the pages are made with.

use std::{fmt, sync::Arc};

use remotegpu_access_tokens::AccessTokenRepository;
use remotegpu_accounts::{
    AttemptRepository, AuditLog, FormKey, FormRepository, InvitationRepository, MemberRepository,
    ServiceUserRepository, SessionRepository, UserRepository,
};
use remotegpu_control_plane::{
    AccessTokenRules, AuditBuffer, CreateKubeconfigTokenPorts, IdentityUses, KeyChangeLimits,
    KnownIdentities, MintExecCredentialPorts, MintLimits, PasswordWorkers, Signals,
};
use remotegpu_edge::{Edge, rng};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{
    ClaimRepository, ClusterDirectory, CredentialMint, IdentityRepository,
    KubeconfigTokenRepository, NamespaceRepository, TokenLifetime, UsageReader,
};
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
    /// How many kubeconfigs with a token one may have in an account (contract T9).
    pub kubeconfig_token_limit: u32,
    /// How many namespaces an account may have without a limit of its own.
    pub namespace_limit: u32,
    /// What is allowed of access tokens, and how they are called.
    pub access_tokens: AccessTokenRules,
    /// How many service users an account may have (contract T8).
    pub service_user_limit: u32,
    /// How many tokens a service user may have.
    pub service_user_token_limit: u32,
    /// How many open invitations an account may have.
    pub invitation_limit: u32,
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
    /// Who is in which account.
    pub members: Arc<dyn MemberRepository>,
    /// Machines that manage, and their tokens.
    pub service_users: Arc<dyn ServiceUserRepository>,
    /// Who is asked into which account.
    pub invitations: Arc<dyn InvitationRepository>,
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
    /// Tokens in kubeconfigs.
    pub kubeconfig_tokens: Arc<dyn KubeconfigTokenRepository>,
    /// Namespaces.
    pub namespaces: Arc<dyn NamespaceRepository>,
    /// Cluster identities.
    pub identities: Arc<dyn IdentityRepository>,
    /// Those of keys that worked before.
    pub known_identities: Arc<KnownIdentities>,
    /// Uses of them that are not written down yet.
    pub identity_uses: Arc<IdentityUses>,
    /// What mints cluster tokens.
    pub mint: Arc<dyn CredentialMint>,
    /// How many are minted at the same time.
    pub mint_limits: Arc<MintLimits>,
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

    /// What a kubeconfig with a token needs that lives for so long.
    pub(crate) fn kubeconfig_token_ports(
        &self,
        lifetime: TokenLifetime,
    ) -> CreateKubeconfigTokenPorts<'_> {
        let ports = &self.ports;
        CreateKubeconfigTokenPorts {
            tokens: &*ports.kubeconfig_tokens,
            mint: MintExecCredentialPorts {
                keys: &*ports.keys,
                namespaces: &*ports.namespaces,
                identities: &*ports.identities,
                known: &ports.known_identities,
                uses: &ports.identity_uses,
                mint: &*ports.mint,
                signals: &ports.signals,
                limits: &ports.mint_limits,
                lifetime,
                audit: &ports.audit,
                token_request_took: &|_| {},
            },
            clusters: &*ports.clusters,
            claims: &*ports.claims,
            changes: &ports.key_changes,
        }
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
