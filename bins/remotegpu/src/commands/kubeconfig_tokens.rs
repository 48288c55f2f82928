//! Kubeconfigs with a token that open something (contract T9).

use anyhow::Result;

use super::confirm::Confirmed;
use crate::client::Client;
use crate::output::{self, Cell, Column, Format, say};

const PATH: [&str; 3] = ["v1", "account", "kubeconfig-tokens"];

#[derive(Debug, clap::Subcommand)]
pub enum KubeconfigTokens {
    /// List your kubeconfigs with a token, the newest first; an admin sees all of the account.
    #[command(after_help = "Example:
  remotegpu kubeconfig-tokens list")]
    List,
    /// End one before its time: it opens nothing any more.
    #[command(after_help = "Example:
  remotegpu kubeconfig-tokens delete 0198c0de-0000-7000-8000-00000000000b --yes")]
    Delete {
        /// Its id.
        id: String,
        #[command(flatten)]
        confirmed: Confirmed,
    },
}

const COLUMNS: &[Column] = &[
    ("ID", Cell::Text("id")),
    ("NAMESPACE", Cell::Text("namespace_id")),
    ("CLUSTER ROLE", Cell::Text("cluster_role")),
    ("AGE", Cell::Since("created_at")),
    ("EXPIRES", Cell::Until("expires_at")),
];

impl KubeconfigTokens {
    pub fn run(self, client: &Client, format: Format) -> Result<()> {
        match self {
            Self::List => {
                let tokens = client.list(&PATH)?;
                match format {
                    Format::Name => output::print_names(&tokens, "id"),
                    _ => output::print_list(format, COLUMNS, &tokens, client.time()),
                }
            }
            Self::Delete { id, confirmed } => {
                confirmed.ask(&format!(
                    "Whatever uses the kubeconfig {id} is refused at once."
                ))?;
                let [v1, account, tokens] = PATH;
                client.delete(&[v1, account, tokens, &id])?;
                say("It has ended.");
                Ok(())
            }
        }
    }
}
