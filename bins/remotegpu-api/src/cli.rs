//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use remotegpu_accounts::{AccountName, Email, LimitChange, Role};
use remotegpu_namespaces::{ClusterName, InvalidClusterName, NamespaceName};
use remotegpu_primitives::AccountId;

use crate::{
    output,
    redaction::sentence_without_passwords,
    settings::{SETTINGS, Setting},
};

/// Turns Kubernetes clusters into a GPU cloud.
///
/// Without a command it serves. Without any configuration it serves on
/// 127.0.0.1:8080 from SQLite in ./remotegpu-data, with a development cluster of
/// its own.
#[derive(Debug, Parser)]
#[command(name = "remotegpu-api", version, max_term_width = 100)]
pub struct Cli {
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "The configuration file, TOML [env: REMOTEGPU_CONFIG]",
        help_heading = "Settings"
    )]
    pub config: Option<PathBuf>,

    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API (what happens without a command)
    Serve,
    /// Print every setting that holds, and where it came from; secrets hidden
    Config,
    /// Reach every dependency, and say what is wrong
    Check,
    /// Bring the database's schema up to date, and say what was done
    Migrate,
    /// Manage accounts and users, beside a running server too
    #[command(subcommand)]
    Admin(Admin),
    /// Prepare clusters
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Print the OpenAPI document
    Openapi,
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Print what an administrator applies to a cluster once: pipe it into
    /// `kubectl apply -f -`
    Manifest {
        /// Print instead the file by which the API servers of this cluster ask who an access
        /// token is; it holds a secret
        #[arg(long, value_name = "NAME", value_parser = cluster_name)]
        token_webhook: Option<ClusterName>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Admin {
    /// List, make and manage accounts
    #[command(subcommand)]
    Account(AccountCommand),
    /// Make users, and let them in again
    #[command(subcommand)]
    User(UserCommand),
    /// End many sessions or API keys at once: after a restore, or a leak
    ///
    /// Without --yes it says how many it would end, and where, and changes nothing. Keys
    /// are revoked, and their cluster identities end with them: running servers see to the
    /// tokens that were handed out, within a second, and in a cluster that is down as soon
    /// as it is back. It may be broken off and run again.
    EndAll(EndAllArgs),
    /// Say in which clusters this database acts
    #[command(subcommand)]
    Cluster(AdminClusterCommand),
    /// Decide over namespaces that no row knows, or that are missing after a restore
    #[command(subcommand)]
    Held(HeldCommand),
}

#[derive(Debug, Args)]
pub struct EndAllArgs {
    /// What is ended
    #[arg(value_enum)]
    pub what: EndAllOf,
    /// Only those of this account
    #[arg(long, value_name = "ID")]
    pub account: Option<AccountId>,
    /// Only those that this file names, an identifier on each line; - is standard input.
    /// Empty lines count for nothing, nor does what follows a #
    #[arg(long, value_name = "FILE")]
    pub ids: Option<PathBuf>,
    /// End them, instead of saying how many there are
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EndAllOf {
    /// Everybody has to sign in again
    Sessions,
    /// The active API keys
    Keys,
    /// The active access tokens
    AccessTokens,
    /// The kubeconfigs with a token in them
    KubeconfigTokens,
}

#[derive(Debug, Subcommand)]
pub enum AdminClusterCommand {
    /// Show what would come of letting this database act in a cluster, and let it
    Claim {
        /// The cluster's name in the configuration
        #[arg(value_parser = cluster_name)]
        name: ClusterName,
        /// Take it over, whatever acts there now
        #[arg(long)]
        yes: bool,
    },
    /// Make another credential by which a cluster asks who an access token is, and print it
    RotateWebhookCredential {
        /// The cluster's name in the configuration
        #[arg(value_parser = cluster_name)]
        name: ClusterName,
        /// How long the one before counts as well
        #[arg(long, value_name = "SECONDS", default_value_t = 3600,
              value_parser = clap::value_parser!(u32).range(0..=86_400))]
        grace_seconds: u32,
    },
}

#[derive(Debug, Subcommand)]
pub enum HeldCommand {
    /// List namespaces that are held, because no row knows them, and rows whose namespace
    /// is missing
    List,
    /// Give a held namespace to an account; its identifier stays, so that kubeconfig files
    /// and scopes of before work
    Adopt {
        /// What its cluster calls it
        kubernetes_namespace: String,
        #[arg(long, value_parser = cluster_name)]
        cluster: ClusterName,
        #[arg(long)]
        account: AccountId,
        /// What the account will call it; its name without the random end where absent
        #[arg(long, value_parser = |text: &str| NamespaceName::parse(text))]
        name: Option<NamespaceName>,
        /// Take it from another account that its label names
        #[arg(long)]
        yes: bool,
    },
    /// Delete a held namespace, with all that is in it
    Delete {
        /// What its cluster calls it
        kubernetes_namespace: String,
        #[arg(long, value_parser = cluster_name)]
        cluster: ClusterName,
    },
    /// Make a missing namespace again, empty
    Restore {
        /// What its cluster called it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        kubernetes_namespace: Option<String>,
        #[arg(long, value_parser = cluster_name)]
        cluster: ClusterName,
        /// All that are missing in the cluster
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// List all accounts, newest first
    List,
    /// Make an account that has no members yet
    Create {
        #[arg(value_parser = |text: &str| AccountName::parse(text))]
        name: AccountName,
    },
    /// End the account's sessions and cluster access at once; its keys rest
    Suspend { account_id: AccountId },
    /// Lift a suspension; what it ended stays ended
    Resume { account_id: AccountId },
    /// Set limits that hold for this account alone; one that is not named stays
    SetLimit {
        account_id: AccountId,
        /// How many active API keys, or "default"
        #[arg(long, value_parser = limit)]
        keys: Option<LimitChange>,
        /// How many namespaces, or "default"
        #[arg(long, value_parser = limit)]
        namespaces: Option<LimitChange>,
    },
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user in an account, and print a one-time password
    Create {
        #[arg(value_parser = |text: &str| Email::parse(text))]
        email: Email,
        #[arg(long)]
        account_id: AccountId,
        /// read, write or admin
        #[arg(long, default_value = "admin")]
        role: Role,
    },
    /// Give a user a role in an account, and take them into it where they are not in it.
    /// With the role read end the API keys that they made there
    SetRole {
        #[arg(value_parser = |text: &str| Email::parse(text))]
        email: Email,
        #[arg(long)]
        account_id: AccountId,
        /// read, write or admin
        #[arg(long)]
        role: Role,
    },
    /// Take a user out of an account. The API keys that they made there end
    Remove {
        #[arg(value_parser = |text: &str| Email::parse(text))]
        email: Email,
        #[arg(long)]
        account_id: AccountId,
    },
    /// End the user's sessions, and print a one-time password
    ResetPassword {
        #[arg(value_parser = |text: &str| Email::parse(text))]
        email: Email,
    },
}

fn cluster_name(text: &str) -> Result<ClusterName, InvalidClusterName> {
    ClusterName::parse(text)
}

fn limit(text: &str) -> Result<LimitChange, String> {
    match text {
        "default" => Ok(LimitChange::Default),
        _ => text
            .parse()
            .ok()
            .filter(|limit| *limit <= 1_000_000)
            .map(LimitChange::Own)
            .ok_or_else(|| "a number from 0 to 1000000, or default, is expected".to_owned()),
    }
}

/// The whole command line, every setting as a flag included.
pub fn command() -> clap::Command {
    Cli::command().args(SETTINGS.iter().map(Setting::arg))
}

/// Reads the process's arguments.
pub fn parse() -> Result<(Cli, ArgMatches), clap::Error> {
    let matches = command().try_get_matches()?;
    let cli = Cli::from_arg_matches(&matches)?;
    Ok((cli, matches))
}

/// What to do where there is no command to run: the help was asked for, or the arguments
/// are wrong.
pub fn answer(error: &clap::Error) -> anyhow::Result<ExitCode> {
    let text = error.render();
    if !error.use_stderr() {
        output::print(format_args!("{text}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let _ = output::tell(format_args!(
        "{}",
        sentence_without_passwords(&text.to_string())
    ));
    Ok(u8::try_from(error.exit_code()).unwrap_or(2).into())
}

#[cfg(test)]
mod tests {
    #[test]
    fn command_line_is_consistent() {
        super::command().debug_assert();
    }
}
