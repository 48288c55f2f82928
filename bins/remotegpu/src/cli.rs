//! The words of the command line `remotegpu`.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::client::ServerOptions;
use crate::commands::{
    access_tokens, account, invitations, keys, kubeconfig, kubeconfig_tokens, members, namespaces,
    service_users, session,
};
use crate::output::Format;

/// RemoteGPU from the command line: API keys, namespaces, kubeconfigs and members.
#[derive(Debug, Parser)]
#[command(
    name = "remotegpu",
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  remotegpu login --email me@example.com
  remotegpu namespaces create team-ml
  export REMOTEGPU_API_KEY=$(remotegpu keys create laptop --namespace team-ml --expires-in 30d)
  remotegpu kubeconfig team-ml
  kubectl --kubeconfig ./kubeconfig-team-ml.yaml get pods

A pipeline needs no login: REMOTEGPU_TOKEN, or a file that REMOTEGPU_TOKEN_FILE names, holds a
service user's token.

Exit status: 0 if all was done, 1 if it was refused or failed, 2 if the words were wrong.
What is told goes to stderr, what was asked for to stdout. A variable that is empty is not set."
)]
pub struct Cli {
    #[command(flatten)]
    pub server: ServerOptions,

    /// How to print what the server answers.
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Everywhere",
        value_enum,
        value_name = "FORMAT",
        default_value_t
    )]
    pub output: Format,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign in and keep the session for the other commands.
    Login(session::Login),
    /// End the session, here and at the server.
    #[command(after_help = "Example:
  remotegpu logout")]
    Logout,
    /// Change your password.
    Password(session::Password),
    /// Tell who is calling.
    #[command(after_help = "Examples:
  remotegpu whoami
  remotegpu whoami -o name")]
    Whoami,
    /// Create, list, change, revoke and rotate API keys.
    #[command(subcommand, visible_alias = "key")]
    Keys(keys::Keys),
    /// Create, list, rename and delete namespaces.
    #[command(subcommand, visible_aliases = ["namespace", "ns"])]
    Namespaces(namespaces::Namespaces),
    /// Download the kubeconfig of a namespace, or of all.
    Kubeconfig(kubeconfig::Kubeconfig),
    /// List and end kubeconfigs with a token.
    #[command(subcommand)]
    KubeconfigTokens(kubeconfig_tokens::KubeconfigTokens),
    /// Create, list and delete tokens that open clusters.
    #[command(subcommand, visible_alias = "access-token")]
    AccessTokens(access_tokens::AccessTokens),
    /// List the accounts that you are a member of, and act for another.
    #[command(subcommand, visible_alias = "accounts")]
    Account(account::Account),
    /// List the account's people, change their roles and remove them.
    #[command(subcommand, visible_alias = "member")]
    Members(members::Members),
    /// Invite people into the account.
    #[command(subcommand, visible_alias = "invitation")]
    Invitations(invitations::Invitations),
    /// Create, change and delete machines that manage the account, and their tokens.
    #[command(subcommand, visible_alias = "service-user")]
    ServiceUsers(service_users::ServiceUsers),
    /// Print the completion script of a shell.
    #[command(after_help = "Example:
  remotegpu completions bash > ~/.local/share/bash-completion/completions/remotegpu")]
    Completions { shell: Shell },
}
