//! The exec plugin of the kubeconfigs that were asked for with `--plugin remotegpu`; as
//! `kubectl remotegpu`, a plugin of kubectl.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use remotegpu_cli::api_key;
use remotegpu_cli::client::{Client, ServerOptions, parse_server};
use remotegpu_cli::commands::{keys::scopes_cell, print_completions};
use remotegpu_cli::given::Found;
use remotegpu_cli::output::{self, Cell, Column, Format, print_item};
use remotegpu_cli::secret::Secret;
use remotegpu_cli::trust::TrustOptions;
use remotegpu_cli::{
    arguments,
    exec_credential::{self, LocalClock},
    problem::Problem,
    stdout,
};
use time::OffsetDateTime;
use url::Url;

/// Gets Kubernetes credentials for an API key.
///
/// The key is read from `REMOTEGPU_API_KEY`, else from the file that `REMOTEGPU_API_KEY_FILE`
/// names, else from where `remotegpu keys use` keeps it.
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
    ("NAME", Cell::Text("name")),
    ("PREFIX", Cell::Text("prefix")),
    ("SCOPES", Cell::Made(scopes_cell)),
    ("EXPIRES", Cell::Until("expires_at")),
    ("ID", Cell::Text("id")),
];

#[allow(
    clippy::disallowed_methods,
    reason = "this is the binary: the one place that reads the clock"
)]
fn main() -> ExitCode {
    let clock = LocalClock {
        began: OffsetDateTime::now_utc(),
        started: Instant::now(),
    };
    let Cli { command } = arguments::parse();
    match run(command, clock) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = match error.downcast_ref::<Problem>() {
                Some(problem) => problem.sentence(),
                None => format!("{error:#}"),
            };
            say(&line);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, clock: LocalClock) -> Result<()> {
    match command {
        Command::ExecCredential { url, trust } => {
            let key = find_key(&url)?;
            let minted = exec_credential::mint(&url, &trust, &key, clock)?;
            if let Some(warning) = minted.warning {
                say(&format!("warning: {warning}"));
            }
            stdout::write(&format!("{}\n", minted.credential))
        }
        Command::Whoami { server, output } => {
            let key = find_key(&server.server)?;
            let client = Client::new(&server)?.with_api_key(key);
            let key = client.get(&["v1", "auth", "key"])?;
            print_item(output, COLUMNS, &key, client.time())
        }
        Command::Completions { shell } => print_completions(shell, Cli::command()),
    }
}

fn find_key(server: &Url) -> Result<Secret> {
    let Found { secret, warning } = api_key::find(server)?;
    if let Some(warning) = warning {
        say(&format!("warning: {warning}"));
    }
    Ok(secret)
}

fn say(line: &str) {
    let line = exec_credential::one_line(line);
    output::say(&format!("{}{line}", exec_credential::PREFIX));
}
