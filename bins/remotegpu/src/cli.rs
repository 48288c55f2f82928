//! The words of the command line `remotegpu`.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::client::ServerOptions;
use crate::commands::{keys, kubeconfig, namespaces, session};
use crate::output::Format;

/// RemoteGPU from the command line: API keys, namespaces and kubeconfigs.
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
    /// Tell who is signed in.
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
    /// Download a namespace's kubeconfig.
    Kubeconfig(kubeconfig::Kubeconfig),
    /// Print the completion script of a shell.
    #[command(after_help = "Example:
  remotegpu completions bash > ~/.local/share/bash-completion/completions/remotegpu")]
    Completions { shell: Shell },
}
