#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod acts;
mod caller;
mod machinery;

pub use acts::accept_invitation::{
    AcceptInvitationError, AcceptInvitationPorts, Acceptance, accept_invitation,
};
pub use acts::adopt_namespace::{AdoptHeld, HeldNamespaceError, adopt_namespace};
pub use acts::appoint_member::{AppointMemberError, appoint_member};
pub use acts::authenticate_api_key::{
    AuthenticateApiKeyError, RecalledApiKey, authenticate_api_key, recall_api_key,
};
pub use acts::authenticate_service_user::{
    AuthenticateServiceUserError, authenticate_service_user,
};
pub use acts::authenticate_session::{AuthenticateSessionError, authenticate_session};
pub use acts::change_member_role::{ChangeMemberError, NewRole, change_member_role};
pub use acts::change_password::{ChangePasswordError, ChangePasswordPorts, change_password};
pub use acts::claim_cluster::{ClaimClusterError, ClaimClusterPorts, claim_cluster};
pub use acts::create_account::create_account;
pub use acts::create_first_admin::{
    CreateFirstAdminError, FirstAdmin, FirstPassword, create_first_admin,
};
pub use acts::create_invitation::{
    CreateInvitation, CreateInvitationError, CreatedInvitation, create_invitation,
};
pub use acts::create_kubeconfig_token::{
    CreateKubeconfigToken, CreateKubeconfigTokenError, CreateKubeconfigTokenPorts,
    CreatedKubeconfigToken, create_kubeconfig_token,
};
pub use acts::create_namespace::{
    CreateNamespace, CreateNamespaceError, CreateNamespacePorts, create_namespace, find_cluster,
};
pub use acts::create_service_user::{
    CreateServiceUser, CreateServiceUserError, create_service_user,
};
pub use acts::create_user::{CreateUserError, create_user};
pub use acts::delete_access_token::delete_access_token;
pub use acts::delete_invitation::{DeleteInvitationError, delete_invitation};
pub use acts::delete_namespace::delete_namespace;
pub use acts::delete_service_user::delete_service_user;
pub use acts::delete_service_user_token::delete_service_user_token;
pub use acts::dismiss_member::dismiss_member;
pub use acts::end_all::{Choice, EndAll, Ended};
pub use acts::end_all_access_tokens::end_all_access_tokens;
pub use acts::end_all_keys::{EndAllKeysPorts, EndedKeys, end_all_keys};
pub use acts::end_all_kubeconfig_tokens::end_all_kubeconfig_tokens;
pub use acts::end_all_sessions::end_all_sessions;
pub use acts::end_kubeconfig_token::end_kubeconfig_token;
pub use acts::end_other_sessions::end_other_sessions;
pub use acts::end_session::end_session;
pub use acts::find_access_token::find_access_token;
pub use acts::find_account::{AccountError, find_account};
pub use acts::find_api_key::find_api_key;
pub use acts::find_foreign_namespaces::find_foreign_namespaces;
pub use acts::find_invitation::find_invitation;
pub use acts::find_kubeconfig_token::find_kubeconfig_token;
pub use acts::find_member::find_member;
pub use acts::find_namespace::find_namespace;
pub use acts::find_service_user::find_service_user;
pub use acts::find_service_user_token::find_service_user_token;
pub use acts::issue_access_token::{
    AccessTokenRules, ExpiryNotAllowed, IssueAccessToken, IssueAccessTokenError,
    IssueAccessTokenPorts, IssuedAccessToken, TokenFile, issue_access_token,
};
pub use acts::issue_api_key::{IssueApiKey, IssueApiKeyError, IssuedApiKey, issue_api_key};
pub use acts::issue_service_user_token::{
    IssueServiceUserToken, IssueServiceUserTokenError, IssuedServiceUserToken,
    issue_service_user_token,
};
pub use acts::leave_account::leave_account;
pub use acts::list_access_tokens::list_access_tokens;
pub use acts::list_accounts::list_accounts;
pub use acts::list_api_keys::list_api_keys;
pub use acts::list_audit_events::list_audit_events;
pub use acts::list_clusters::list_clusters;
pub use acts::list_held::list_held;
pub use acts::list_invitations::list_invitations;
pub use acts::list_kubeconfig_tokens::list_kubeconfig_tokens;
pub use acts::list_made::list_made;
pub use acts::list_members::list_members;
pub use acts::list_namespaces::list_namespaces;
pub use acts::list_own_accounts::list_own_accounts;
pub use acts::list_own_made::list_own_made;
pub use acts::list_service_user_tokens::list_service_user_tokens;
pub use acts::list_service_users::list_service_users;
pub use acts::list_sessions::list_sessions;
pub use acts::look_at_claim::look_at_claim;
pub use acts::look_at_invitation::{InvitedGuest, ShownInvitation, look_at_invitation};
pub use acts::look_at_last_reach::{Reach, look_at_last_reach};
pub use acts::look_at_namespace::look_at_namespace;
pub use acts::mint_exec_credential::{
    MintExecCredentialError, MintExecCredentialPorts, mint_exec_credential,
};
pub use acts::preview_claim::{ClaimPreview, preview_claim};
pub use acts::read_usage::read_usage;
pub use acts::read_webhook_credential::read_webhook_credential;
pub use acts::remove_member::remove_member;
pub use acts::rename_namespace::{RenameNamespaceError, rename_namespace};
pub use acts::render_account_kubeconfig::{
    AccountKubeconfig, AccountKubeconfigPorts, render_account_kubeconfig,
};
pub use acts::render_kubeconfig::{RenderKubeconfigError, RenderedKubeconfig, render_kubeconfig};
pub use acts::reset_password::{ResetPasswordError, reset_password};
pub use acts::restore_missing::restore_missing;
pub use acts::resume_account::resume_account;
pub use acts::review_token::{ReviewTokenPorts, TokenQuestion, review_token};
pub use acts::revoke_api_key::{RevokeApiKeyError, revoke_api_key};
pub use acts::rotate_api_key::{RotateApiKeyError, RotateApiKeyPorts, rotate_api_key};
pub use acts::rotate_webhook_credential::rotate_webhook_credential;
pub use acts::search_api_keys::search_api_keys;
pub use acts::set_limits::set_limits;
pub use acts::sign_in::{SignInError, SignInPorts, SignedIn, sign_in};
pub use acts::sign_out::sign_out;
pub use acts::sign_up::{SignUp, SignUpError, SignUpPorts, sign_up};
pub use acts::suspend_account::suspend_account;
pub use acts::switch_account::switch_account;
pub use acts::update_api_key::{UpdateApiKeyError, update_api_key};
pub use acts::update_service_user::{UpdateServiceUser, update_service_user};
pub use acts::want_of_held::want_of_held;
pub use caller::{
    Admin, Anyone, Asking, AskingCluster, Caller, KeyHolder, NotAllowed, OneTimePassword, Operator,
    Person, PersonsRight, Principal, Read, Right, Who, Write,
};
pub use machinery::audit_buffer::AuditBuffer;
pub use machinery::buffer::{Buffer, Entry, Pace};
pub use machinery::cached_access_tokens::CachedAccessTokens;
pub use machinery::cached_api_keys::CachedApiKeys;
pub use machinery::claim_gate::ClaimGate;
pub use machinery::claimed_clusters::{ClaimNotHeld, ClaimedClusters};
pub use machinery::cluster_credentials::{
    ClusterCredentials, CredentialsNotKnown, PlainClusterCredential,
};
pub use machinery::concurrency_limit::{
    ConcurrencyLimit, Load, Overloaded, Place, QueuedLimit, Turn,
};
pub use machinery::follow_key_changes::follow_key_changes;
pub use machinery::key_cache::{KeyCache, KeyCacheCounts};
pub use machinery::key_change_limits::{KeyChangeLimits, KeyChangeTurn, KeyChangesTooOften};
pub use machinery::known_identities::KnownIdentities;
pub use machinery::last_uses::{AccessTokenUses, IdentityUses, KeyUses, LastUses};
pub use machinery::mint_limits::{MintLimits, MintTurn};
pub use machinery::noted_members::NotedMembers;
pub use machinery::noted_service_users::NotedServiceUsers;
pub use machinery::password_workers::{PasswordError, PasswordTurn, PasswordWorkers};
pub use machinery::reconcile_identities::{
    EndIdentityError, IdentityPorts, claim_ended_identities, end_identity,
};
pub use machinery::reconcile_namespaces::{NamespacePorts, claim_namespaces, settle_namespace};
pub use machinery::restore_notice::RestoreNotice;
pub use machinery::run_reconciler::{ReconcilerCounts, ReconcilerPorts, run_reconciler};
pub use machinery::settle_held::{HeldPorts, list_wanted, settle_held};
pub use machinery::signals::Signals;
pub use machinery::sweep_identities::{SweepError, SweepPorts, sweep_identities};
pub use machinery::sweep_namespaces::{NamespaceSweepPorts, SweepCounts, sweep_namespaces};
pub use machinery::sweeper::release_sweeps;
pub use machinery::tidy_store::{Tidied, TidyPorts, tidy_store};
pub use machinery::verify_claim::{
    ClaimError, ClaimPorts, raise_claim, verify_claim, verify_claims, watch_claims,
};
pub use machinery::work::{WorkCounts, WorkOutcome};
