//! Tokens that open clusters, in a kubeconfig of their own (contract T1 to T5).

use anyhow::Result;
use clap::ArgGroup;
use serde_json::{Map, Value};

use super::choice::{Choice, Understood};
use super::confirm::Confirmed;
use super::namespaces;
use super::secret_file::SecretFile;
use crate::client::Client;
use crate::expiry::TokenExpiry;
use crate::output::{self, Cell, Column, Format, say, text};
use crate::secret::parse_name;

const PATH: [&str; 3] = ["v1", "account", "access-tokens"];

#[derive(Debug, clap::Subcommand)]
pub enum AccessTokens {
    /// List your tokens, the newest first; an admin sees all of the account.
    #[command(after_help = "Example:
  remotegpu access-tokens list")]
    List,
    /// Create a token, and write its kubeconfig. Neither is ever shown again.
    Create(Box<Create>),
    /// Delete a token: it opens nothing any more.
    #[command(after_help = "Example:
  remotegpu access-tokens delete laptop --yes")]
    Delete {
        /// Name or id of the token.
        token: String,
        #[command(flatten)]
        understood: Understood,
        #[command(flatten)]
        confirmed: Confirmed,
    },
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  remotegpu access-tokens create laptop --cluster fra1 --expires-in 30d
  remotegpu access-tokens create laptop --cluster fra1 --cluster ams2 --namespace team-ml \\
      --expires-in 30d --unique-names -f ~/.kube/laptop.yaml

The file holds a secret: whoever has it has what you may do in these clusters. Its names are those of
every such file; with --unique-names it merges with any other.")]
#[command(group = ArgGroup::new("end").required(true).args(["expires_in", "expires_at"]))]
pub struct Create {
    /// What to call the token: 1 to 64 characters.
    #[arg(value_parser = parse_name)]
    name: String,
    /// A cluster that it opens; may be repeated.
    #[arg(long = "cluster", required = true, value_delimiter = ',')]
    clusters: Vec<String>,
    /// Name or id of the namespace that commands without one are for.
    #[arg(long)]
    namespace: Option<String>,
    /// What it is for.
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    expiry: TokenExpiry,
    /// Names that merge with any other file.
    #[arg(long)]
    unique_names: bool,
    #[command(flatten)]
    file: SecretFile,
}

const COLUMNS: &[Column] = &[
    ("NAME", Cell::Text("name")),
    ("CLUSTERS", Cell::Made(clusters_cell)),
    ("EXPIRES", Cell::Until("expires_at")),
    ("LAST USED", Cell::Since("last_used_at")),
    ("ID", Cell::Text("id")),
];

fn clusters_cell(item: &Value) -> String {
    let clusters = item["clusters"].as_array().into_iter().flatten();
    let names: Vec<&str> = clusters.filter_map(Value::as_str).collect();
    output::printable(&names.join(","))
}

impl AccessTokens {
    pub fn run(self, client: &Client, format: Format) -> Result<()> {
        match self {
            Self::List => {
                let tokens = client.list(&PATH)?;
                output::print_list(format, COLUMNS, &tokens, client.time())
            }
            Self::Create(create) => create.run(client, format),
            Self::Delete {
                token,
                understood,
                confirmed,
            } => {
                let choice = Choice {
                    noun: "access token",
                    list: "remotegpu access-tokens list",
                    items: &client.list(&PATH)?,
                    say_which: "--name or --id",
                };
                let id = choice.id(&token, understood, |items| {
                    items.iter().filter(|item| item["name"] == *token).collect()
                })?;
                confirmed.ask(&format!(
                    "Whatever uses the token {token} is refused at once."
                ))?;
                let [v1, account, tokens] = PATH;
                client.delete(&[v1, account, tokens, &id])?;
                say(&format!("Deleted {token}."));
                Ok(())
            }
        }
    }
}

impl Create {
    fn run(self, client: &Client, format: Format) -> Result<()> {
        let mut body = Map::new();
        body.insert("name".into(), self.name.into());
        body.insert("clusters".into(), self.clusters.into());
        body.extend(self.note.map(|note| ("note".into(), note.into())));
        if let Some(namespace) = self.namespace {
            let id = namespaces::find_id(client, &namespace, Understood::default())?;
            body.insert("namespace_id".into(), id.into());
        }
        body.extend(self.expiry.member());
        let query: &[_] = if self.unique_names {
            &[("names", "unique")]
        } else {
            &[]
        };
        let body = body.into();
        let end = |item: &Value| {
            let id = text(item, "id");
            format!("remotegpu access-tokens delete --id {id} --yes")
        };
        let made = self.file.write(client, format, &end, || {
            client.post_with(&PATH, query, Some(&body))
        })?;
        if format == Format::Table {
            say(output::table(COLUMNS, &[made], client.time()).trim_end());
        }
        Ok(())
    }
}
