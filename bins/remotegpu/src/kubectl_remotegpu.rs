//! The exec plugin of the kubeconfigs that were asked for with `--plugin remotegpu`; as
//! `kubectl remotegpu`, a plugin of kubectl.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use remotegpu_cli::client::{Client, ServerOptions, TrustOptions, parse_server};
use remotegpu_cli::commands::{
    keys::{expires_cell, scopes_cell},
    print_completions,
};
use remotegpu_cli::output::{self, Column, Format, print_item, text};
use remotegpu_cli::{exec_credential, problem::Problem};
use url::Url;

/// Gets Kubernetes credentials for an API key. The key is read from `REMOTEGPU_API_KEY`.
#[derive(Parser)]
#[command(
    name = "kubectl-remotegpu",
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  export REMOTEGPU_API_KEY=rgpu_your_api_key
  kubectl remotegpu whoami --server https://api.example.com
  kubectl --kubeconfig ./kubeconfig-team-ml.yaml get pods"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print a Kubernetes credential; kubectl runs this by itself.
    ExecCredential {
        /// Address of the namespace's exec-credential route.
        #[arg(long, value_parser = parse_server)]
        url: Url,
        #[command(flatten)]
        trust: TrustOptions,
    },
    /// Tell what the API key may do.
    Whoami {
        #[command(flatten)]
        server: ServerOptions,
        /// How to print it.
        #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
        output: Format,
    },
    /// Print the completion script of a shell.
    Completions { shell: Shell },
}

const COLUMNS: &[Column] = &[
    ("NAME", |key| text(key, "name")),
    ("PREFIX", |key| text(key, "prefix")),
    ("SCOPES", scopes_cell),
    ("EXPIRES", expires_cell),
    ("ID", |key| text(key, "id")),
];

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            output::say(&format!("remotegpu: {}", exec_credential::one_line(&line)));
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked; an error is one line.
fn run(command: Command) -> Result<(), String> {
    let done = match command {
        Command::ExecCredential { url, trust } => {
            let answer = exec_credential::mint(&url, &trust)?;
            let text = String::from_utf8_lossy(&answer);
            output::write_stdout(&format!("{}\n", text.trim_end()))
        }
        Command::Whoami { server, output } => {
            let key = exec_credential::api_key_from_environment()?;
            Client::new(&server)
                .and_then(|client| client.with_api_key(key).get(&["v1", "auth", "key"]))
                .and_then(|key| print_item(output, COLUMNS, &key))
        }
        Command::Completions { shell } => print_completions(shell, Cli::command()),
    };
    done.map_err(|error| match error.downcast_ref::<Problem>() {
        Some(problem) => problem.sentence(),
        None => format!("{error:#}"),
    })
}
