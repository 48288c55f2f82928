//! Which account one acts for (contract A11).

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::choice::{Choice, Understood};
use crate::client::Client;
use crate::output::{self, Cell, Column, Format, say, text};

#[derive(Debug, clap::Subcommand)]
pub enum Account {
    /// List the accounts that you are a member of; a star marks the one you act for.
    #[command(after_help = "Example:
  remotegpu account list")]
    List,
    /// Act for another account from now on, in this session.
    #[command(after_help = "Example:
  remotegpu account switch \"Team Blue\"")]
    Switch {
        /// Name or id of the account.
        account: String,
        #[command(flatten)]
        understood: Understood,
    },
}

const COLUMNS: &[Column] = &[
    ("", Cell::Text("mark")),
    ("NAME", Cell::Text("name")),
    ("ROLE", Cell::Text("role")),
    ("ID", Cell::Text("id")),
];

impl Account {
    pub fn run(self, client: &Client, format: Format) -> Result<()> {
        let (accounts, current) = accounts(client)?;
        match self {
            Self::List if format == Format::Json => output::print_json(&Value::Array(accounts)),
            Self::List => {
                let marked: Vec<Value> = accounts
                    .into_iter()
                    .map(|mut account| {
                        let mark = if account["id"] == current { "*" } else { "" };
                        account["mark"] = mark.into();
                        account
                    })
                    .collect();
                output::print_list(format, COLUMNS, &marked, client.time())
            }
            Self::Switch {
                account,
                understood,
            } => {
                let choice = Choice {
                    noun: "account of yours",
                    list: "remotegpu account list",
                    items: &accounts,
                    say_which: "--name or --id",
                };
                let id = choice.id(&account, understood, |items| {
                    items
                        .iter()
                        .filter(|item| item["name"] == *account)
                        .collect()
                })?;
                let body = json!({"account_id": id});
                let session = client.post(&["v1", "auth", "session", "account"], Some(&body))?;
                if matches!(format, Format::Json) {
                    return output::print_json(&session);
                }
                let (name, role) = (text(&session["account"], "name"), text(&session, "role"));
                say(&format!("You act for {name} now, as {role}."));
                Ok(())
            }
        }
    }
}

/// The accounts, and the id of the one that is acted for.
fn accounts(client: &Client) -> Result<(Vec<Value>, Value)> {
    let mut session = client.get(&["v1", "auth", "session"])?;
    let current = session["account"]["id"].take();
    match session["accounts"].take() {
        Value::Array(accounts) => Ok((accounts, current)),
        _ => bail!("the server does not tell which accounts are yours"),
    }
}
