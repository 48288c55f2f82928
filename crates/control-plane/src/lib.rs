#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod audit_buffer;
mod authenticate_api_key;
mod authenticate_session;
mod cached_api_keys;
mod change_password;
mod concurrency_limit;
mod create_account;
mod create_first_admin;
mod create_namespace;
mod create_user;
mod delete_namespace;
mod fair_limit;
mod follow_key_changes;
mod issue_api_key;
mod key_cache;
mod key_uses;
mod known_identities;
mod mint_exec_credential;
mod mint_limits;
mod own_accounts;
mod password_workers;
mod reconcile_identities;
mod reconcile_namespaces;
mod render_kubeconfig;
mod reset_password;
mod revoke_api_key;
mod rotate_api_key;
mod run_reconciler;
mod sign_in;
mod sign_up;
mod signals;
mod sweep_identities;
mod sweep_namespaces;
mod sweeper;
mod update_api_key;
mod work_off;

pub use audit_buffer::AuditBuffer;
pub use authenticate_api_key::{
    AuthenticateApiKeyError, RecalledApiKey, authenticate_api_key, recall_api_key,
};
pub use authenticate_session::{AuthenticateSessionError, authenticate_session};
pub use cached_api_keys::CachedApiKeys;
pub use change_password::{ChangePasswordError, ChangePasswordPorts, change_password};
pub use concurrency_limit::{ConcurrencyLimit, Load, Overloaded, Place, QueuedLimit, Turn};
pub use create_account::create_account;
pub use create_first_admin::{
    CreateFirstAdminError, FirstAdmin, FirstPassword, create_first_admin,
};
pub use create_namespace::{
    CreateNamespace, CreateNamespaceError, CreateNamespacePorts, create_namespace,
};
pub use create_user::{CreateUserError, create_user};
pub use delete_namespace::delete_namespace;
pub use follow_key_changes::follow_key_changes;
pub use issue_api_key::{IssueApiKey, IssueApiKeyError, IssuedApiKey, issue_api_key};
pub use key_cache::{KeyCache, KeyCacheCounts};
pub use key_uses::KeyUses;
pub use known_identities::KnownIdentities;
pub use mint_exec_credential::{
    MintExecCredentialError, MintExecCredentialPorts, mint_exec_credential,
};
pub use mint_limits::{MintLimits, MintTurn};
pub use password_workers::{PasswordError, PasswordTurn, PasswordWorkers};
pub use reconcile_identities::{
    EndIdentityError, IdentityPorts, claim_ended_identities, end_identity,
};
pub use reconcile_namespaces::{NamespacePorts, claim_namespaces, settle_namespace};
pub use render_kubeconfig::{
    RenderKubeconfigError, RenderedKubeconfig, render_namespace_kubeconfig,
};
pub use reset_password::{ResetPasswordError, reset_password};
pub use revoke_api_key::{RevokeApiKeyError, revoke_api_key};
pub use rotate_api_key::{MAX_GRACE, RotateApiKeyError, rotate_api_key};
pub use run_reconciler::{ReconcilerPorts, run_reconciler};
pub use sign_in::{SignInError, SignInPorts, SignedIn, sign_in};
pub use sign_up::{SignUp, SignUpError, SignUpPorts, sign_up};
pub use signals::Signals;
pub use sweep_identities::{SweepError, SweepPorts, sweep_identities};
pub use sweep_namespaces::{NamespaceSweepPorts, SweepCounts, sweep_namespaces};
pub use sweeper::release_sweeps;
pub use update_api_key::{UpdateApiKeyError, update_api_key};
