//! Namespaces: rooms in a cluster that belong to the account (contract N1 to N7).

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{id_of, is_id};
use crate::client::Client;
use crate::output::{self, Column, Format, say, text};

const PATH: [&str; 3] = ["v1", "kubernetes", "namespaces"];

#[derive(Debug, clap::Subcommand)]
pub enum Namespaces {
    /// List the account's namespaces.
    List,
    /// Create a namespace.
    #[command(after_help = "Examples:
  remotegpu namespaces create team-ml
  remotegpu namespaces create team-ml --cluster fra1")]
    Create {
        /// A lowercase DNS label of at most 63 characters.
        name: String,
        /// The cluster to create it in; the server's first one if left out.
        #[arg(long)]
        cluster: Option<String>,
    },
    /// Give a namespace another name. Its name in Kubernetes stays.
    Rename {
        /// Name or id of the namespace.
        namespace: String,
        /// The new name.
        name: String,
    },
    /// Delete a namespace with everything in it.
    Delete {
        /// Name or id of the namespace.
        namespace: String,
    },
}

const COLUMNS: &[Column] = &[
    ("NAME", |item| text(item, "name")),
    ("STATUS", |item| text(item, "status")),
    ("KUBERNETES", |item| text(item, "kubernetes_namespace")),
    ("CLUSTER", |item| text(item, "cluster")),
    ("CREATED", |item| text(item, "created_at")),
    ("ID", |item| text(item, "id")),
];

impl Namespaces {
    pub fn run(self, client: &Client, format: Format) -> Result<()> {
        match self {
            Self::List => output::print_list(format, COLUMNS, &client.list(&PATH)?),
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
                output::print_item(format, COLUMNS, &item)
            }
            Self::Rename { namespace, name } => {
                let id = find_id(client, &namespace)?;
                let item = client.patch(&path_of(&id), &json!({"name": name}))?;
                output::print_item(format, COLUMNS, &item)
            }
            Self::Delete { namespace } => {
                let id = find_id(client, &namespace)?;
                let item = client.delete(&path_of(&id))?;
                output::print_item(format, COLUMNS, &item)
            }
        }
    }
}

fn path_of(id: &str) -> [&str; 4] {
    let [v1, kubernetes, namespaces] = PATH;
    [v1, kubernetes, namespaces, id]
}

/// The id of the namespace that a person means by its name or its id.
pub fn find_id(client: &Client, name_or_id: &str) -> Result<String> {
    Ok(find_ids(client, &[name_or_id.to_owned()])?.remove(0))
}

/// The same for several; the list is asked for once, and only if a name is among them.
pub fn find_ids(client: &Client, names_or_ids: &[String]) -> Result<Vec<String>> {
    let mut list: Option<Vec<Value>> = None;
    let mut ids = Vec::with_capacity(names_or_ids.len());
    for wanted in names_or_ids {
        if is_id(wanted) {
            ids.push(wanted.clone());
            continue;
        }
        let items = match &list {
            Some(items) => items,
            None => list.insert(client.list(&PATH)?),
        };
        match items.iter().find(|item| item["name"] == **wanted) {
            Some(item) => ids.push(id_of(item)?),
            None => bail!("there is no namespace `{wanted}`"),
        }
    }
    Ok(ids)
}
