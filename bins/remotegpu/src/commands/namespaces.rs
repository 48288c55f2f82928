//! Namespaces: rooms in a cluster that belong to the account (contract N1 to N7).

use anyhow::Result;
use serde_json::json;

use super::choice::{Choice, Understood};
use crate::client::Client;
use crate::output::{self, Cell, Column, Format, say};
use crate::secret::parse_name;

const PATH: [&str; 3] = ["v1", "kubernetes", "namespaces"];

#[derive(Debug, clap::Subcommand)]
pub enum Namespaces {
    /// List the account's namespaces.
    #[command(after_help = "Examples:
  remotegpu namespaces list
  remotegpu namespaces list -o json")]
    List,
    /// Create a namespace.
    #[command(after_help = "Examples:
  remotegpu namespaces create team-ml
  remotegpu namespaces create team-ml --cluster fra1")]
    Create {
        /// A lowercase DNS label of at most 63 characters.
        #[arg(value_parser = parse_name)]
        name: String,
        /// The cluster to create it in; the server's first one if left out.
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Give a namespace another name. Its name in Kubernetes stays.
    #[command(after_help = "Example:
  remotegpu namespaces rename team-ml research")]
    Rename {
        /// Name or id of the namespace.
        namespace: String,
        /// The new name.
        #[arg(value_parser = parse_name)]
        new_name: String,
        #[command(flatten)]
        understood: Understood,
    },
    /// Delete a namespace with everything in it.
    #[command(after_help = "Examples:
  remotegpu namespaces delete team-ml
  remotegpu namespaces delete --id 0198c0de-0000-7000-8000-00000000000b")]
    Delete {
        /// Name or id of the namespace.
        namespace: String,
        #[command(flatten)]
        understood: Understood,
    },
}

const COLUMNS: &[Column] = &[
    ("NAME", Cell::Text("name")),
    ("STATUS", Cell::Text("status")),
    ("KUBERNETES", Cell::Text("kubernetes_namespace")),
    ("CLUSTER", Cell::Text("cluster")),
    ("AGE", Cell::Since("created_at")),
    ("ID", Cell::Text("id")),
];

impl Namespaces {
    pub fn run(self, client: &Client, format: Format) -> Result<()> {
        match self {
            Self::List => {
                let namespaces = client.list(&PATH)?;
                output::print_list(format, COLUMNS, &namespaces, client.time())
            }
            Self::Create { name, cluster } => {
                let mut body = json!({"name": name});
                if let Some(cluster) = cluster {
                    body["cluster"] = cluster.into();
                }
                let item = client.post(&PATH, Some(&body))?;
                if item["status"] == "provisioning" {
                    say(
                        "The cluster is still preparing the namespace; see `remotegpu namespaces list`.",
                    );
                }
                output::print_changed(format, COLUMNS, &item, client.time())
            }
            Self::Rename {
                namespace,
                new_name,
                understood,
            } => {
                let id = find_id(client, &namespace, understood)?;
                let item = client.patch(&path_of(&id), &json!({"name": new_name}))?;
                output::print_changed(format, COLUMNS, &item, client.time())
            }
            Self::Delete {
                namespace,
                understood,
            } => {
                let id = find_id(client, &namespace, understood)?;
                let item = client.delete(&path_of(&id))?;
                output::print_changed(format, COLUMNS, &item, client.time())
            }
        }
    }
}

fn path_of(id: &str) -> [&str; 4] {
    let [v1, kubernetes, namespaces] = PATH;
    [v1, kubernetes, namespaces, id]
}

/// The id of the namespace that a person means by its name or its id.
pub fn find_id(client: &Client, wanted: &str, understood: Understood) -> Result<String> {
    const SAY_WHICH: &str = "--name or --id";
    let wanted = [wanted.to_owned()];
    Ok(find_ids(client, &wanted, understood, SAY_WHICH)?.remove(0))
}

/// The same for several.
pub fn find_ids(
    client: &Client,
    wanted: &[String],
    understood: Understood,
    say_which: &'static str,
) -> Result<Vec<String>> {
    let choice = Choice {
        noun: "namespace",
        list: "remotegpu namespaces list",
        items: &client.list(&PATH)?,
        say_which,
    };
    let find = |wanted: &String| {
        choice.id(wanted, understood, |items| {
            items
                .iter()
                .filter(|item| item["name"] == **wanted)
                .collect()
        })
    };
    wanted.iter().map(find).collect()
}
