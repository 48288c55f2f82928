//! Who is in the account (contract T7).

use anyhow::Result;
use serde_json::{Value, json};

use super::choice::{Choice, Understood};
use super::confirm::Confirmed;
use super::role::Role;
use crate::client::Client;
use crate::output::{self, Cell, Column, Format, say, text};

const PATH: [&str; 3] = ["v1", "account", "members"];

#[derive(Debug, clap::Subcommand)]
pub enum Members {
    /// List the account's people.
    #[command(after_help = "Examples:
  remotegpu members list
  remotegpu members list -o json")]
    List,
    /// Give a person another role.
    #[command(after_help = "Examples:
  remotegpu members set-role bob@example.com write
  remotegpu members set-role bob@example.com read --take-over-keys --yes

With the role `read` the API keys that they made are revoked, and with them what these have opened,
unless you take the keys over.")]
    SetRole {
        /// E-mail or id of the person.
        member: String,
        role: Role,
        #[command(flatten)]
        keys: TakeOver,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Take a person out of the account, at once.
    #[command(after_help = "Examples:
  remotegpu members remove bob@example.com
  remotegpu members remove bob@example.com --take-over-keys --yes")]
    Remove {
        /// E-mail or id of the person.
        member: String,
        #[command(flatten)]
        keys: TakeOver,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Leave the account that you act for.
    #[command(after_help = "Example:
  remotegpu members leave")]
    Leave {
        #[command(flatten)]
        confirmed: Confirmed,
    },
}

/// What becomes of somebody's API keys.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(skip)]
pub struct TakeOver {
    /// Answer for their API keys yourself, instead of having them revoked.
    #[arg(long)]
    pub take_over_keys: bool,
}

impl TakeOver {
    /// What ends with their role, as the end of a sentence.
    pub fn what_ends(self) -> &'static str {
        if self.take_over_keys {
            "You answer for their API keys from now on; their other tokens end"
        } else {
            "The API keys that they made are revoked, and what these have opened ends"
        }
    }
}

const COLUMNS: &[Column] = &[
    ("E-MAIL", Cell::Text("email")),
    ("ROLE", Cell::Text("role")),
    ("JOINED", Cell::Since("joined_at")),
    ("ID", Cell::Text("user_id")),
];

impl Members {
    pub fn run(self, client: &Client, format: Format) -> Result<()> {
        match self {
            Self::List => {
                let members = client.list(&PATH)?;
                print(client, format, &members)
            }
            Self::SetRole {
                member,
                role,
                keys,
                confirmed,
            } => {
                let id = find_id(client, &member)?;
                if role == Role::Read {
                    let what = keys.what_ends();
                    confirmed.ask(&format!("{member} may only look from now on. {what}."))?;
                }
                let mut body = json!({"role": role.as_str()});
                if keys.take_over_keys {
                    body["take_over_keys"] = true.into();
                }
                let item = client.patch(&path_of(&id), &body)?;
                tell_what_ended(&item);
                print(client, format, std::slice::from_ref(&item))
            }
            Self::Remove {
                member,
                keys,
                confirmed,
            } => {
                let id = find_id(client, &member)?;
                let what = keys.what_ends();
                confirmed.ask(&format!(
                    "{member} loses all access to this account. {what}."
                ))?;
                let query: &[_] = if keys.take_over_keys {
                    &[("take_over_keys", "true")]
                } else {
                    &[]
                };
                let ended = client.delete_with(&path_of(&id), query)?;
                done(format, &ended, &format!("Removed {member}."))
            }
            Self::Leave { confirmed } => {
                let session = client.get(&["v1", "auth", "session"])?;
                let account = text(&session["account"], "name");
                confirmed.ask(&format!(
                    "You lose all access to the account {account}. The API keys that you made \
                     there are revoked, and what these have opened ends."
                ))?;
                let id = text(&session["user"], "id");
                let ended = client.delete(&path_of(&id))?;
                done(format, &ended, &format!("Left the account {account}."))
            }
        }
    }
}

/// Names for machines are addresses.
fn print(client: &Client, format: Format, members: &[Value]) -> Result<()> {
    match format {
        Format::Name => output::print_names(members, "email"),
        _ => output::print_list(format, COLUMNS, members, client.time()),
    }
}

/// Says what was done, and what has ended with it.
pub fn done(format: Format, ended: &Value, what: &str) -> Result<()> {
    if format == Format::Json {
        return output::print_json(ended);
    }
    say(what);
    tell_what_ended(ended);
    Ok(())
}

/// Names what has ended with a role, and what has changed hands.
pub fn tell_what_ended(answer: &Value) {
    for (member, what) in [("ended", "Ended"), ("taken_over", "Taken over")] {
        for made in answer[member].as_array().into_iter().flatten() {
            let kind = text(made, "type").replace('_', " ");
            let (name, id) = (text(made, "name"), text(made, "id"));
            say(&format!("{what}: {kind} {name}  {id}"));
        }
    }
}

fn path_of(id: &str) -> [&str; 4] {
    let [v1, account, members] = PATH;
    [v1, account, members, id]
}

/// The id of the person that is meant by an e-mail or an id.
fn find_id(client: &Client, wanted: &str) -> Result<String> {
    let named = |mut member: Value| {
        member["id"] = member["user_id"].clone();
        member["name"] = member["email"].clone();
        member
    };
    let members: Vec<Value> = client.list(&PATH)?.into_iter().map(named).collect();
    let choice = Choice {
        noun: "member",
        list: "remotegpu members list",
        items: &members,
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
