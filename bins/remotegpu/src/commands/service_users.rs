//! Machines that manage, and their tokens (contract T8).

use anyhow::Result;
use clap::ArgGroup;
use serde_json::{Map, json};

use super::choice::{Choice, Understood};
use super::confirm::Confirmed;
use super::members::{TakeOver, done, tell_what_ended};
use super::role::Role;
use super::shown_once::ShownOnce;
use crate::client::Client;
use crate::expiry::TokenExpiry;
use crate::output::{self, Cell, Column, Format, say};
use crate::secret::parse_name;

const PATH: [&str; 3] = ["v1", "account", "service-users"];

#[derive(Debug, clap::Subcommand)]
pub enum ServiceUsers {
    /// List the account's service users.
    #[command(after_help = "Example:
  remotegpu service-users list")]
    List,
    /// Create a service user. It does nothing before it has a token.
    #[command(after_help = "Example:
  remotegpu service-users create ci --role write")]
    Create {
        /// What to call it: 1 to 64 characters.
        #[arg(value_parser = parse_name)]
        name: String,
        /// What it may do.
        #[arg(long, value_enum)]
        role: Role,
    },
    /// Rename a service user, or give it another role.
    Update(Update),
    /// Delete a service user with its tokens, at once.
    #[command(after_help = "Example:
  remotegpu service-users delete ci --yes")]
    Delete {
        /// Name or id of the service user.
        service_user: String,
        #[command(flatten)]
        keys: TakeOver,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Create, list and delete the tokens of a service user.
    #[command(
        subcommand,
        visible_alias = "token",
        after_help = "Example:
  remotegpu service-users tokens create ci pipeline --expires-in 90d"
    )]
    Tokens(Tokens),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  remotegpu service-users update ci --name pipeline
  remotegpu service-users update ci --role read --yes")]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(["name", "role"]))]
pub struct Update {
    /// Name or id of the service user.
    service_user: String,
    /// The new name.
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// What it may do.
    #[arg(long, value_enum)]
    role: Option<Role>,
    #[command(flatten)]
    keys: TakeOver,
    #[command(flatten)]
    confirmed: Confirmed,
}

#[derive(Debug, clap::Subcommand)]
pub enum Tokens {
    /// List the tokens of a service user.
    #[command(after_help = "Example:
  remotegpu service-users tokens list ci")]
    List {
        /// Name or id of the service user.
        service_user: String,
    },
    /// Create a token and print it. It is never shown again.
    #[command(after_help = "Examples:
  remotegpu service-users tokens create ci pipeline --expires-in 90d
  remotegpu service-users tokens create ci pipeline --expires-at 2030-01-31T12:00:00Z -o json

The token is a Bearer for whatever manages the account: it is no API key, and opens no cluster.")]
    #[command(group = ArgGroup::new("end").required(true).args(["expires_in", "expires_at"]))]
    Create {
        /// Name or id of the service user.
        service_user: String,
        /// What to call the token: 1 to 64 characters.
        #[arg(value_parser = parse_name)]
        name: String,
        #[command(flatten)]
        expiry: TokenExpiry,
    },
    /// Delete a token: it opens nothing any more.
    #[command(after_help = "Example:
  remotegpu service-users tokens delete ci pipeline --yes")]
    Delete {
        /// Name or id of the service user.
        service_user: String,
        /// Name or id of the token.
        token: String,
        #[command(flatten)]
        understood: Understood,
        #[command(flatten)]
        confirmed: Confirmed,
    },
}

const COLUMNS: &[Column] = &[
    ("NAME", Cell::Text("name")),
    ("ROLE", Cell::Text("role")),
    ("AGE", Cell::Since("created_at")),
    ("ID", Cell::Text("id")),
];

const TOKEN_COLUMNS: &[Column] = &[
    ("NAME", Cell::Text("name")),
    ("PREFIX", Cell::Text("prefix")),
    ("EXPIRES", Cell::Until("expires_at")),
    ("LAST USED", Cell::Since("last_used_at")),
    ("ID", Cell::Text("id")),
];

impl ServiceUsers {
    pub fn run(self, client: &Client, format: Format) -> Result<()> {
        match self {
            Self::List => {
                let service_users = client.list(&PATH)?;
                output::print_list(format, COLUMNS, &service_users, client.time())
            }
            Self::Create { name, role } => {
                let body = json!({"name": name, "role": role.as_str()});
                let item = client.post(&PATH, Some(&body))?;
                output::print_changed(format, COLUMNS, &item, client.time())
            }
            Self::Update(update) => update.run(client, format),
            Self::Delete {
                service_user,
                keys,
                confirmed,
            } => {
                let id = find_id(client, &service_user)?;
                let what = keys.what_ends();
                confirmed.ask(&format!(
                    "{service_user} and all its tokens open nothing any more. {what}."
                ))?;
                let query: &[_] = if keys.take_over_keys {
                    &[("take_over_keys", "true")]
                } else {
                    &[]
                };
                let ended = client.delete_with(&path_of(&id, &[]), query)?;
                done(format, &ended, &format!("Deleted {service_user}."))
            }
            Self::Tokens(tokens) => tokens.run(client, format),
        }
    }
}

impl Update {
    fn run(self, client: &Client, format: Format) -> Result<()> {
        let id = find_id(client, &self.service_user)?;
        if self.role == Some(Role::Read) {
            let what = self.keys.what_ends();
            let service_user = &self.service_user;
            let what = format!("{service_user} may only look from now on. {what}.");
            self.confirmed.ask(&what)?;
        }
        let mut body = Map::new();
        body.extend(self.name.map(|name| ("name".into(), name.into())));
        let role = self.role.map(|role| ("role".into(), role.as_str().into()));
        body.extend(role);
        if self.keys.take_over_keys {
            body.insert("take_over_keys".into(), true.into());
        }
        let item = client.patch(&path_of(&id, &[]), &body.into())?;
        tell_what_ended(&item);
        output::print_changed(format, COLUMNS, &item, client.time())
    }
}

impl Tokens {
    fn run(self, client: &Client, format: Format) -> Result<()> {
        match self {
            Self::List { service_user } => {
                let id = find_id(client, &service_user)?;
                let tokens = client.list(&path_of(&id, &["tokens"]))?;
                output::print_list(format, TOKEN_COLUMNS, &tokens, client.time())
            }
            Self::Create {
                service_user,
                name,
                expiry,
            } => {
                let id = find_id(client, &service_user)?;
                let mut body = Map::new();
                body.insert("name".into(), name.into());
                body.extend(expiry.member());
                let token = ShownOnce {
                    member: "token",
                    columns: TOKEN_COLUMNS,
                    lost: &|token| {
                        format!(
                            "the token is lost, for nobody read it; delete it with `remotegpu \
                             service-users tokens delete {id} {token} --yes` and create another"
                        )
                    },
                    doubt: "there may be a token that nobody knows; look with `remotegpu \
                            service-users tokens list`, and delete it",
                };
                let (path, body) = (path_of(&id, &["tokens"]), body.into());
                token.print(client, format, || client.post(&path, Some(&body)))
            }
            Self::Delete {
                service_user,
                token,
                understood,
                confirmed,
            } => {
                let id = find_id(client, &service_user)?;
                let choice = Choice {
                    noun: "token",
                    list: "remotegpu service-users tokens list",
                    items: &client.list(&path_of(&id, &["tokens"]))?,
                    say_which: "--name or --id",
                };
                let token_id = choice.id(&token, understood, |items| {
                    items.iter().filter(|item| item["name"] == *token).collect()
                })?;
                confirmed.ask(&format!(
                    "Whatever uses the token {token} is refused at once."
                ))?;
                client.delete(&path_of(&id, &["tokens", &token_id]))?;
                say(&format!("Deleted {token}."));
                Ok(())
            }
        }
    }
}

fn path_of<'a>(id: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    PATH.iter()
        .copied()
        .chain([id])
        .chain(rest.iter().copied())
        .collect()
}

fn find_id(client: &Client, wanted: &str) -> Result<String> {
    let choice = Choice {
        noun: "service user",
        list: "remotegpu service-users list",
        items: &client.list(&PATH)?,
        say_which: "the id",
    };
    choice.id(wanted, Understood::default(), |items| {
        items
            .iter()
            .filter(|item| item["name"] == *wanted)
            .collect()
    })
}
