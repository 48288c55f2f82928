//! Which item a person means by a word: its id, its name, or what else tells it apart.

use anyhow::{Result, anyhow, bail};
use serde_json::Value;

use super::id_of;
use crate::output::text;
use crate::secret::masked;

/// How a word is to be understood, where a person says so.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[group(skip)]
pub struct Understood {
    /// What is named is an id, whatever is called so.
    #[arg(long = "id", conflicts_with = "as_name")]
    pub as_id: bool,
    /// What is named is a name, whatever has such an id.
    #[arg(long = "name")]
    pub as_name: bool,
}

/// A list to choose from, and its words.
pub struct Choice<'a> {
    /// What an item is called, such as `namespace`.
    pub noun: &'static str,
    /// The command that lists them.
    pub list: &'static str,
    pub items: &'a [Value],
    /// How to say which one is meant.
    pub say_which: &'static str,
}

impl<'a> Choice<'a> {
    /// The id of the only one that `wanted` means. `by_name` finds those that are called so.
    pub fn id(
        &self,
        wanted: &str,
        understood: Understood,
        by_name: impl FnOnce(&'a [Value]) -> Vec<&'a Value>,
    ) -> Result<String> {
        let has_id = |item: &&Value| {
            let id = item["id"].as_str();
            id.is_some_and(|id| id.eq_ignore_ascii_case(wanted))
        };
        let by_id = self
            .items
            .iter()
            .find(has_id)
            .filter(|_| !understood.as_name);
        let mut found: Vec<(&str, &Value)> = by_id.map(|item| ("id", item)).into_iter().collect();
        if !understood.as_id {
            for item in by_name(self.items) {
                if by_id.is_none_or(|by_id| by_id["id"] != item["id"]) {
                    let is_name = item["name"] == *wanted;
                    found.push((if is_name { "name" } else { "prefix" }, item));
                }
            }
        }
        match found.as_slice() {
            [] => bail!(
                "there is no {} `{}`; see `{}`",
                self.noun,
                masked(wanted),
                self.list
            ),
            [(_, item)] => id_of(item),
            several => Err(self.ambiguous(wanted, several)),
        }
    }

    fn ambiguous(&self, wanted: &str, found: &[(&str, &Value)]) -> anyhow::Error {
        let lines = found.iter().map(|(how, item)| {
            let (name, id) = (text(item, "name"), text(item, "id"));
            format!("\n  by {how}: {name}  {id}")
        });
        anyhow!(
            "`{}` may be one of several {}s:{}\nSay which with {}.",
            masked(wanted),
            self.noun,
            lines.collect::<String>(),
            self.say_which
        )
    }
}
