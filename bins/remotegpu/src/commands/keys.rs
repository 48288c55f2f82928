//! API keys (contract K1 to K15).

use anyhow::{Result, bail};
use clap::ArgGroup;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::{id_of, is_id, namespaces, signed_in, use_key::UseKey};
use crate::client::{Client, ServerOptions};
use crate::expiry::{Span, parse_time};
use crate::output::{self, Column, Format, say, text};

const PATH: [&str; 3] = ["v1", "account", "api-keys"];

#[derive(Debug, clap::Subcommand)]
pub enum Keys {
    /// List the account's keys, the newest first.
    List,
    /// Create a key and print it. It is never shown again.
    Create(Create),
    /// Rename a key, or change what it may do or when it ends.
    Update(Update),
    /// Revoke a key at once and for good.
    Revoke {
        /// Id of the key, or a name or prefix that only one active key has.
        key: String,
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
    .args(["name", "all", "inference", "namespaces", "all_namespaces", "expires_in", "expires_at", "never_expires"]))]
pub struct Update {
    /// Id of the key, or a name or prefix that only one active key has.
    key: String,
    /// The new name.
    #[arg(long)]
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
    /// Kubernetes credentials for every namespace of the account.
    #[arg(long, group = "scope")]
    all_namespaces: bool,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
struct Expiry {
    /// When the key ends, from now: 90m, 12h, 30d, 2w.
    #[arg(long, value_name = "SPAN", conflicts_with = "expires_at")]
    expires_in: Option<Span>,
    /// When the key ends: 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires_at: Option<String>,
}

const COLUMNS: &[Column] = &[
    ("NAME", |item| text(item, "name")),
    ("PREFIX", |item| text(item, "prefix")),
    ("STATUS", |item| text(item, "status")),
    ("SCOPES", scopes_cell),
    ("EXPIRES", expires_cell),
    ("LAST USED", |item| text(item, "last_used_at")),
    ("ID", |item| text(item, "id")),
];

/// When a key ends.
pub fn expires_cell(key: &Value) -> String {
    match &key["expires_at"] {
        Value::Null => "never".to_owned(),
        _ => text(key, "expires_at"),
    }
}

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
    pub fn run(self, server: &ServerOptions, format: Format, now: OffsetDateTime) -> Result<()> {
        // Keeping a key asks nobody.
        let client = || signed_in(server);
        match self {
            Self::List => output::print_list(format, COLUMNS, &client()?.list(&PATH)?),
            Self::Create(create) => create.run(&client()?, format, now),
            Self::Update(update) => update.run(&client()?, format, now),
            Self::Use(use_key) => use_key.run(server),
            Self::Revoke { key } => {
                let client = &client()?;
                let id = find_id(client, &key)?;
                let item = client.post(&path_of(&id, Some("revoke")), None)?;
                output::print_item(format, COLUMNS, &item)
            }
            Self::Rotate(rotate) => {
                let client = &client()?;
                let id = find_id(client, &rotate.key)?;
                let body = rotate
                    .grace
                    .map(|span| json!({"grace_seconds": span.whole_seconds()}));
                let item = client.post(&path_of(&id, Some("rotate")), body.as_ref())?;
                print_key(format, item)
            }
        }
    }
}

impl Create {
    fn run(self, client: &Client, format: Format, now: OffsetDateTime) -> Result<()> {
        let mut body = Map::new();
        body.insert("name".into(), self.name.into());
        body.extend(self.scope.member(client)?);
        body.extend(self.expiry.member(now)?);
        print_key(format, client.post(&PATH, Some(&body.into()))?)
    }
}

impl Update {
    fn run(self, client: &Client, format: Format, now: OffsetDateTime) -> Result<()> {
        let mut body = Map::new();
        body.extend(self.name.map(|name| ("name".into(), name.into())));
        body.extend(self.scope.member(client)?);
        body.extend(self.expiry.member(now)?);
        if self.never_expires {
            body.insert("expires_at".into(), Value::Null);
        }
        let id = find_id(client, &self.key)?;
        let item = client.patch(&path_of(&id, None), &body.into())?;
        output::print_item(format, COLUMNS, &item)
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
        } else if !self.namespaces.is_empty() {
            let ids = namespaces::find_ids(client, &self.namespaces)?;
            json!({"kubernetes_exec": {"namespace_ids": ids}})
        } else {
            return Ok(None);
        };
        Ok(Some(("scopes".into(), scopes)))
    }
}

impl Expiry {
    fn member(self, now: OffsetDateTime) -> Result<Member> {
        let end = match (self.expires_in, self.expires_at) {
            (Some(span), _) => Some(span.after(now)?),
            (None, at) => at,
        };
        Ok(end.map(|end| ("expires_at".into(), end.into())))
    }
}

/// Prints a key that was just made: the key alone on stdout, so that `$(...)` takes it, and what
/// it is on stderr.
fn print_key(format: Format, mut item: Value) -> Result<()> {
    if format == Format::Json {
        return output::print_json(&item);
    }
    let Value::String(key) = item["key"].take() else {
        bail!("the server answered without a key");
    };
    say(output::table(COLUMNS, &[item]).trim_end());
    output::write_stdout(&format!("{key}\n"))
}

fn path_of<'a>(id: &'a str, act: Option<&'a str>) -> Vec<&'a str> {
    PATH.into_iter().chain([id]).chain(act).collect()
}

/// The id of the key that a person means. Names are not unique, so a name or prefix counts only
/// while one active key has it.
fn find_id(client: &Client, wanted: &str) -> Result<String> {
    if is_id(wanted) {
        return Ok(wanted.to_owned());
    }
    let keys = client.list(&PATH)?;
    let named = |key: &&Value| key["name"] == *wanted || key["prefix"] == *wanted;
    let mut active = keys
        .iter()
        .filter(named)
        .filter(|key| key["status"] == "active");
    match (active.next(), active.next()) {
        (Some(key), None) => id_of(key),
        (Some(_), Some(_)) => {
            bail!("several active keys are called `{wanted}`: name one by its id or prefix")
        }
        // One that has ended is still named, so that the server can say why it cannot be changed.
        (None, _) => match keys.iter().find(named) {
            Some(key) => id_of(key),
            None => bail!("there is no API key `{wanted}`"),
        },
    }
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
