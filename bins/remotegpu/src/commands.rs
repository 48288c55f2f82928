//! What each command does. A command asks the server, and prints its answer.

pub mod access_tokens;
pub mod account;
mod choice;
mod confirm;
pub mod invitations;
pub mod keys;
pub mod kubeconfig;
pub mod kubeconfig_tokens;
pub mod members;
pub mod namespaces;
mod role;
mod secret_file;
pub mod service_users;
pub mod session;
mod shown_once;
pub mod use_key;

use anyhow::{Result, bail};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use serde_json::Value;

use crate::cli::{self, Cli};
use crate::client::{Client, ServerOptions};
use crate::given::Found;
use crate::output::say;
use crate::service_user_token;
use crate::session_file::SessionFile;
use crate::stdout;

/// Runs the command that was asked for.
pub fn run(cli: Cli) -> Result<()> {
    let Cli {
        server,
        output,
        command,
    } = cli;
    match command {
        cli::Command::Login(login) => login.run(&server, output),
        cli::Command::Logout => session::logout(&server),
        cli::Command::Password(password) => password.run(&server),
        cli::Command::Whoami => session::whoami(&server, output),
        cli::Command::Keys(keys) => keys.run(&server, output),
        cli::Command::Namespaces(namespaces) => namespaces.run(&signed_in(&server)?, output),
        cli::Command::Kubeconfig(kubeconfig) => kubeconfig.run(&signed_in(&server)?, output),
        cli::Command::KubeconfigTokens(tokens) => tokens.run(&signed_in(&server)?, output),
        cli::Command::AccessTokens(tokens) => tokens.run(&signed_in(&server)?, output),
        cli::Command::Account(account) => account.run(&signed_in(&server)?, output),
        cli::Command::Members(members) => members.run(&signed_in(&server)?, output),
        cli::Command::Invitations(invitations) => invitations.run(&signed_in(&server)?, output),
        cli::Command::ServiceUsers(service_users) => {
            service_users.run(&signed_in(&server)?, output)
        }
        cli::Command::Completions { shell } => print_completions(shell, Cli::command()),
    }
}

/// Prints a shell's completion script for a command line.
pub fn print_completions(shell: Shell, mut command: Command) -> Result<()> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    stdout::write(&String::from_utf8(script)?)
}

/// A client that speaks for the service user whose token the environment gives, or else for
/// whoever has signed in at this server.
fn signed_in(server: &ServerOptions) -> Result<Client> {
    if let Some(Found { secret, warning }) = service_user_token::find()? {
        if let Some(warning) = warning {
            say(&format!("warning: {warning}"));
        }
        session::warn_of_plain_http(server);
        return Ok(Client::new(server)?.with_service_user_token(secret));
    }
    match SessionFile::locate()?.find(&server.name())? {
        Some(token) => Ok(Client::new(server)?.with_session_token(token)),
        None => bail!(
            "not signed in at {}\nSign in with `remotegpu login`.",
            server.name()
        ),
    }
}

/// The identifier that an item of the server carries.
fn id_of(item: &Value) -> Result<String> {
    match item["id"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => bail!("the server answered with an item without an id"),
    }
}
