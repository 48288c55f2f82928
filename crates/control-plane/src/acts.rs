//! What a caller can ask for: one file for one act.

pub(crate) mod adopt_namespace;
pub(crate) mod authenticate_api_key;
pub(crate) mod authenticate_session;
pub(crate) mod change_password;
pub(crate) mod claim_cluster;
pub(crate) mod create_account;
pub(crate) mod create_first_admin;
pub(crate) mod create_namespace;
pub(crate) mod create_user;
pub(crate) mod delete_namespace;
pub(crate) mod end_all;
pub(crate) mod end_all_keys;
pub(crate) mod end_all_sessions;
pub(crate) mod issue_api_key;
pub(crate) mod mint_exec_credential;
pub(crate) mod own_accounts;
pub(crate) mod render_kubeconfig;
pub(crate) mod reset_password;
pub(crate) mod revoke_api_key;
pub(crate) mod rotate_api_key;
pub(crate) mod sign_in;
pub(crate) mod sign_up;
pub(crate) mod update_api_key;
