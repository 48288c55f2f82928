//! API keys (contract K1 to K15).

use anyhow::{Error, Result, anyhow, bail};
use clap::ArgGroup;
use serde_json::{Map, Value, json};

use super::choice::{Choice, Understood};
use super::{namespaces, signed_in, use_key::UseKey};
use crate::client::{Client, ServerOptions};
use crate::expiry::{Span, parse_time};
use crate::output::{self, Cell, Column, Format, say, text};
use crate::problem::Problem;
use crate::secret::{PREFIX_LENGTH, parse_name};
use crate::stdout;

/// How to say which key is meant, where several may be.
const BY_ID_OR_NAME: &str = "--name or --id";
const BY_ID: &str = "--id";

const PATH: [&str; 3] = ["v1", "account", "api-keys"];

#[derive(Debug, clap::Subcommand)]
pub enum Keys {
    /// List the account's keys, the newest first.
    #[command(after_help = "Examples:
  remotegpu keys list
  remotegpu keys list -o json")]
    List,
    /// Create a key and print it. It is never shown again.
    Create(Create),
    /// Rename a key, or change what it may do or when it ends.
    Update(Update),
    /// Revoke a key at once and for good.
    #[command(after_help = "Examples:
  remotegpu keys revoke laptop
  remotegpu keys revoke rgpu_aaaaaaaa")]
    Revoke {
        /// Id of the key, or a name or prefix that only one active key has.
        key: String,
        #[command(flatten)]
        understood: Understood,
    },
    /// Give a key a new secret and print it. It is never shown again.
    Rotate(Rotate),
    /// Keep a key, read from stdin, for `kubectl` to use.
    Use(UseKey),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  export REMOTEGPU_API_KEY=$(remotegpu keys create laptop --namespace team-ml --expires-in 30d)
  remotegpu keys create image-bot --inference
  remotegpu keys create ci --namespace team-ml --namespace batch -o json")]
#[command(group = ArgGroup::new("scope").required(true))]
pub struct Create {
    /// What to call the key: 1 to 64 characters.
    #[arg(value_parser = parse_name)]
    name: String,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    expiry: Expiry,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  remotegpu keys update laptop --name old-laptop
  remotegpu keys update laptop --all-namespaces --never-expires")]
#[command(group = ArgGroup::new("change").required(true).multiple(true)
    .args(["name", "all", "inference", "namespaces", "namespace_ids", "all_namespaces", "expires_in", "expires_at", "never_expires"]))]
pub struct Update {
    /// Id of the key, or a name or prefix that only one active key has.
    key: String,
    /// The key is named by its id, whatever is called so.
    #[arg(long)]
    id: bool,
    /// The new name.
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    expiry: Expiry,
    /// Let the key live until it is revoked.
    #[arg(long, conflicts_with_all = ["expires_in", "expires_at"])]
    never_expires: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  export REMOTEGPU_API_KEY=$(remotegpu keys rotate laptop --grace 1h)")]
pub struct Rotate {
    /// Id of the key, or a name or prefix that only one active key has.
    key: String,
    #[command(flatten)]
    understood: Understood,
    /// How long the old secret still works, at most 24h.
    #[arg(long, value_name = "SPAN")]
    grace: Option<Span>,
}

/// What a key may do: exactly one of the modes.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Scope {
    /// Inference and every namespace of the account.
    #[arg(long, group = "scope")]
    all: bool,
    /// Inference only.
    #[arg(long, group = "scope")]
    inference: bool,
    /// Kubernetes credentials for this namespace only, by name or id; may be repeated.
    #[arg(
        long = "namespace",
        group = "scope",
        value_name = "NAME_OR_ID",
        value_delimiter = ','
    )]
    namespaces: Vec<String>,
    /// The same by id alone, where an id is also another namespace's name.
    #[arg(
        long = "namespace-id",
        group = "scope",
        value_name = "ID",
        value_delimiter = ','
    )]
    namespace_ids: Vec<String>,
    /// Kubernetes credentials for every namespace of the account.
    #[arg(long, group = "scope")]
    all_namespaces: bool,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
struct Expiry {
    /// When the key ends, from now by the server's clock: 90m, 12h, 30d, 2w.
    #[arg(long, value_name = "SPAN", conflicts_with = "expires_at")]
    expires_in: Option<Span>,
    /// When the key ends: 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires_at: Option<String>,
}

const COLUMNS: &[Column] = &[
    ("NAME", Cell::Text("name")),
    ("PREFIX", Cell::Text("prefix")),
    ("STATUS", Cell::Text("status")),
    ("SCOPES", Cell::Made(scopes_cell)),
    ("EXPIRES", Cell::Until("expires_at")),
    ("LAST USED", Cell::Since("last_used_at")),
    ("ID", Cell::Text("id")),
];

/// A key's scopes in a few words.
pub fn scopes_cell(item: &Value) -> String {
    let scopes = &item["scopes"];
    let exec = &scopes["kubernetes_exec"];
    if scopes["all"] == true {
        "all".to_owned()
    } else if scopes["inference"] == true {
        "inference".to_owned()
    } else if exec["all_namespaces"] == true {
        "all namespaces".to_owned()
    } else if let Some(ids) = exec["namespace_ids"].as_array() {
        match ids.len() {
            1 => "1 namespace".to_owned(),
            count => format!("{count} namespaces"),
        }
    } else {
        text(item, "scopes")
    }
}

impl Keys {
    pub fn run(self, server: &ServerOptions, format: Format) -> Result<()> {
        // Keeping a key asks nobody.
        let client = || signed_in(server);
        match self {
            Self::List => {
                let client = client()?;
                let keys = client.list(&PATH)?;
                output::print_list(format, COLUMNS, &keys, client.time())
            }
            Self::Create(create) => create.run(&client()?, format),
            Self::Update(update) => update.run(&client()?, format),
            Self::Use(use_key) => use_key.run(server),
            Self::Revoke { key, understood } => {
                let client = &client()?;
                let id = find_id(client, &key, understood, BY_ID_OR_NAME)?;
                let item = client.post(&path_of(&id, Some("revoke")), None)?;
                output::print_changed(format, COLUMNS, &item, client.time())
            }
            Self::Rotate(rotate) => {
                let client = &client()?;
                let id = find_id(client, &rotate.key, rotate.understood, BY_ID_OR_NAME)?;
                let body = rotate
                    .grace
                    .map(|span| json!({"grace_seconds": span.whole_seconds()}));
                let making = Making::Secret {
                    grace: rotate.grace.is_some(),
                };
                print_secret(client, format, &making, || {
                    client.post(&path_of(&id, Some("rotate")), body.as_ref())
                })
            }
        }
    }
}

impl Create {
    fn run(self, client: &Client, format: Format) -> Result<()> {
        let mut body = Map::new();
        body.insert("name".into(), self.name.into());
        body.extend(self.scope.member(client)?);
        body.extend(self.expiry.member(client)?);
        print_secret(client, format, &Making::Key, || {
            client.post(&PATH, Some(&body.into()))
        })
    }
}

impl Update {
    fn run(self, client: &Client, format: Format) -> Result<()> {
        let mut body = Map::new();
        body.extend(self.name.map(|name| ("name".into(), name.into())));
        body.extend(self.scope.member(client)?);
        body.extend(self.expiry.member(client)?);
        if self.never_expires {
            body.insert("expires_at".into(), Value::Null);
        }
        let understood = Understood {
            as_id: self.id,
            as_name: false,
        };
        let id = find_id(client, &self.key, understood, BY_ID)?;
        let item = client.patch(&path_of(&id, None), &body.into())?;
        output::print_changed(format, COLUMNS, &item, client.time())
    }
}

type Member = Option<(String, Value)>;

impl Scope {
    fn member(self, client: &Client) -> Result<Member> {
        let scopes = if self.all {
            json!({"all": true})
        } else if self.inference {
            json!({"inference": true})
        } else if self.all_namespaces {
            json!({"kubernetes_exec": {"all_namespaces": true}})
        } else {
            const SAY_WHICH: &str = "--namespace-id";
            let as_id = !self.namespace_ids.is_empty();
            let wanted = [self.namespaces, self.namespace_ids].concat();
            if wanted.is_empty() {
                return Ok(None);
            }
            let understood = Understood {
                as_id,
                as_name: false,
            };
            let ids = namespaces::find_ids(client, &wanted, understood, SAY_WHICH)?;
            json!({"kubernetes_exec": {"namespace_ids": ids}})
        };
        Ok(Some(("scopes".into(), scopes)))
    }
}

impl Expiry {
    fn member(self, client: &Client) -> Result<Member> {
        let end = match (self.expires_in, self.expires_at) {
            (Some(span), _) => Some(span.after(client.now()?)?),
            (None, at) => at,
        };
        Ok(end.map(|end| ("expires_at".into(), end.into())))
    }
}

/// What makes a key's secret, which nobody sees twice.
enum Making {
    Key,
    Secret { grace: bool },
}

/// Has a secret made and printed: the key alone on stdout, so that `$(...)` takes it, and what it
/// is on stderr. Nothing is made that nobody could read.
fn print_secret(
    client: &Client,
    format: Format,
    making: &Making,
    make: impl FnOnce() -> Result<Value>,
) -> Result<()> {
    client.reach()?;
    stdout::expect_reader()?;
    let mut item = make().map_err(|error| making.unanswered(error))?;
    let id = text(&item, "id");
    let printed = if format == Format::Json {
        output::pretty_json(&item)?
    } else {
        match item["key"].take() {
            Value::String(key) => format!("{key}\n"),
            _ => bail!("the server answered without a key"),
        }
    };
    if !stdout::write_secret(&printed) {
        return Err(making.lost(&id));
    }
    if format != Format::Json {
        say(output::table(COLUMNS, &[item], client.time()).trim_end());
    }
    Ok(())
}

impl Making {
    fn lost(&self, id: &str) -> Error {
        let old = match self {
            Self::Key => {
                return anyhow!(
                    "the key is lost, for nobody read it; revoke it with `remotegpu keys revoke \
                     --id {id}` and create another"
                );
            }
            Self::Secret { grace: false } => "the old one has ended",
            Self::Secret { grace: true } => "the old one ends when its grace does",
        };
        anyhow!(
            "the key's new secret is lost, for nobody read it, and {old}; make another with \
             `remotegpu keys rotate --id {id}`"
        )
    }

    /// A refusal says that nothing was done. Where something failed, here, there or in between,
    /// nobody knows.
    fn unanswered(&self, error: Error) -> Error {
        let is_refusal =
            |problem: &Problem| problem.status < 500 || problem.code() == Some("overloaded");
        if error.downcast_ref().is_some_and(is_refusal) {
            return error;
        }
        let doubt = match self {
            Self::Key => {
                "there may be a key that nobody knows; look with `remotegpu keys list`, and revoke \
                 it"
            }
            Self::Secret { .. } => {
                "the key may have a new secret that nobody knows; rotate it once more"
            }
        };
        anyhow!("{error:#}; {doubt}")
    }
}

fn path_of<'a>(id: &'a str, act: Option<&'a str>) -> Vec<&'a str> {
    PATH.into_iter().chain([id]).chain(act).collect()
}

/// The id of the key that a person means. Names are not unique: those of keys that have ended
/// count only where no active key is called so, and then the server can say why nothing is done.
fn find_id(
    client: &Client,
    wanted: &str,
    understood: Understood,
    say: &'static str,
) -> Result<String> {
    let choice = Choice {
        noun: "API key",
        list: "remotegpu keys list",
        items: &client.list(&PATH)?,
        say_which: say,
    };
    // Who has a whole key at hand names it so; no more of it than its prefix is looked at.
    let wanted = match wanted.split_at_checked(PREFIX_LENGTH) {
        Some((prefix, _)) if wanted.starts_with("rgpu_") => prefix,
        _ => wanted,
    };
    choice.id(wanted, understood, |keys| {
        let is_called = |key: &&Value| {
            key["name"] == *wanted || (key["prefix"] == *wanted && !understood.as_name)
        };
        let called = || keys.iter().filter(is_called);
        let active: Vec<_> = called().filter(|key| key["status"] == "active").collect();
        if active.is_empty() {
            called().take(1).collect()
        } else {
            active
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // K9
    #[test]
    fn scopes_are_told_in_a_few_words() {
        for (scopes, words) in [
            (json!({"all": true}), "all"),
            (json!({"inference": true}), "inference"),
            (
                json!({"kubernetes_exec": {"all_namespaces": true}}),
                "all namespaces",
            ),
            (
                json!({"kubernetes_exec": {"namespace_ids": ["a"]}}),
                "1 namespace",
            ),
            (
                json!({"kubernetes_exec": {"namespace_ids": ["a", "b"]}}),
                "2 namespaces",
            ),
            (json!({"new": true}), "{\"new\":true}"),
        ] {
            assert_eq!(scopes_cell(&json!({"scopes": scopes})), words);
        }
    }
}
