#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod adopt_namespace;
mod audit_buffer;
mod authenticate_api_key;
mod authenticate_session;
mod cached_api_keys;
mod change_password;
mod claim_cluster;
mod claim_gate;
mod claimed_clusters;
mod compare_namespaces;
mod concurrency_limit;
mod create_account;
mod create_first_admin;
mod create_namespace;
mod create_user;
mod delete_namespace;
mod end_all;
mod end_all_keys;
mod end_all_sessions;
mod fair_limit;
mod follow_key_changes;
mod issue_api_key;
mod key_cache;
mod key_change_limits;
mod known_identities;
mod last_uses;
mod mint_exec_credential;
mod mint_limits;
mod own_accounts;
mod password_workers;
mod reconcile_identities;
mod reconcile_namespaces;
mod render_kubeconfig;
mod repair_namespace;
mod reset_password;
mod restore_notice;
mod revoke_api_key;
mod rotate_api_key;
mod run_reconciler;
mod settle_held;
mod sign_in;
mod sign_up;
mod signals;
mod sweep_identities;
mod sweep_namespaces;
mod sweeper;
mod tidy_store;
mod update_api_key;
mod verify_claim;
mod work_off;

pub use adopt_namespace::{AdoptHeld, HeldNamespaceError, adopt_namespace, want_of_held};
pub use audit_buffer::AuditBuffer;
pub use authenticate_api_key::{
    AuthenticateApiKeyError, RecalledApiKey, authenticate_api_key, recall_api_key,
};
pub use authenticate_session::{AuthenticateSessionError, authenticate_session};
pub use cached_api_keys::CachedApiKeys;
pub use change_password::{ChangePasswordError, ChangePasswordPorts, change_password};
pub use claim_cluster::{
    ClaimClusterError, ClaimClusterPorts, ClaimPreview, claim_cluster, look_at_claim, preview_claim,
};
pub use claim_gate::ClaimGate;
pub use claimed_clusters::{ClaimNotHeld, ClaimedClusters};
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
pub use end_all::{Choice, EndAll, Ended};
pub use end_all_keys::{EndAllKeysPorts, EndedKeys, end_all_keys};
pub use end_all_sessions::end_all_sessions;
pub use follow_key_changes::follow_key_changes;
pub use issue_api_key::{IssueApiKey, IssueApiKeyError, IssuedApiKey, issue_api_key};
pub use key_cache::{KeyCache, KeyCacheCounts};
pub use key_change_limits::{KeyChangeLimits, KeyChangeTurn, KeyChangesTooOften};
pub use known_identities::KnownIdentities;
pub use last_uses::{IdentityUses, KeyUses, LastUses};
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
pub use restore_notice::RestoreNotice;
pub use revoke_api_key::{RevokeApiKeyError, revoke_api_key};
pub use rotate_api_key::{MAX_GRACE, RotateApiKeyError, rotate_api_key};
pub use run_reconciler::{ReconcilerPorts, run_reconciler};
pub use settle_held::{HeldPorts, keep_held_settled, settle_held};
pub use sign_in::{SignInError, SignInPorts, SignedIn, sign_in};
pub use sign_up::{SignUp, SignUpError, SignUpPorts, sign_up};
pub use signals::Signals;
pub use sweep_identities::{SweepError, SweepPorts, sweep_identities};
pub use sweep_namespaces::{NamespaceSweepPorts, SweepCounts, sweep_namespaces};
pub use sweeper::release_sweeps;
pub use tidy_store::{Tidied, TidyPorts, tidy_store};
pub use update_api_key::{UpdateApiKeyError, update_api_key};
pub use verify_claim::{
    ClaimError, ClaimPorts, raise_claim, verify_claim, verify_claims, watch_claims,
};
