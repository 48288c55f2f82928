//! Invitations into the account (contract T7, T10).

use anyhow::Result;
use serde_json::{Value, json};

use super::choice::{Choice, Understood};
use super::role::Role;
use super::shown_once::ShownOnce;
use crate::client::Client;
use crate::output::{self, Cell, Column, Format, say};

const PATH: [&str; 3] = ["v1", "account", "invitations"];

#[derive(Debug, clap::Subcommand)]
pub enum Invitations {
    /// List the invitations that are open.
    #[command(after_help = "Example:
  remotegpu invitations list")]
    List,
    /// Invite somebody, and print the link that they accept by. It is never shown again.
    #[command(after_help = "Examples:
  remotegpu invitations create bob@example.com
  remotegpu invitations create bob@example.com --role admin -o json

The link is for this address alone, and lives for seven days.")]
    Create {
        /// Whom to invite.
        email: String,
        /// What they may do.
        #[arg(long, value_enum, default_value_t = Role::Write)]
        role: Role,
    },
    /// Take an invitation back.
    #[command(after_help = "Example:
  remotegpu invitations delete bob@example.com")]
    Delete {
        /// E-mail or id of the invitation.
        invitation: String,
    },
}

const COLUMNS: &[Column] = &[
    ("E-MAIL", Cell::Text("email")),
    ("ROLE", Cell::Text("role")),
    ("EXPIRES", Cell::Until("expires_at")),
    ("ID", Cell::Text("id")),
];

impl Invitations {
    pub fn run(self, client: &Client, format: Format) -> Result<()> {
        match self {
            Self::List => {
                let invitations = client.list(&PATH)?;
                match format {
                    Format::Name => output::print_names(&invitations, "email"),
                    _ => output::print_list(format, COLUMNS, &invitations, client.time()),
                }
            }
            Self::Create { email, role } => {
                let body = json!({"email": email, "role": role.as_str()});
                let link = ShownOnce {
                    member: "link",
                    columns: COLUMNS,
                    lost: &|id| {
                        format!(
                            "the link is lost, for nobody read it; take the invitation back with \
                             `remotegpu invitations delete {id}` and create another"
                        )
                    },
                    doubt: "there may be an invitation whose link nobody knows; look with \
                            `remotegpu invitations list`, and delete it",
                };
                link.print(client, format, || client.post(&PATH, Some(&body)))
            }
            Self::Delete { invitation } => {
                let id = find_id(client, &invitation)?;
                let [v1, account, invitations] = PATH;
                client.delete(&[v1, account, invitations, &id])?;
                say("The link opens nothing any more.");
                Ok(())
            }
        }
    }
}

fn find_id(client: &Client, wanted: &str) -> Result<String> {
    let named = |mut invitation: Value| {
        invitation["name"] = invitation["email"].clone();
        invitation
    };
    let invitations: Vec<Value> = client.list(&PATH)?.into_iter().map(named).collect();
    let choice = Choice {
        noun: "invitation",
        list: "remotegpu invitations list",
        items: &invitations,
        say_which: "the id",
    };
    choice.id(wanted, Understood::default(), |items| {
        let is_called = |item: &&Value| {
            let email = item["email"].as_str();
            email.is_some_and(|email| email.eq_ignore_ascii_case(wanted))
        };
        items.iter().filter(is_called).collect()
    })
}
