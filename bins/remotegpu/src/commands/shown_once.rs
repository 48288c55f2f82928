//! What is shown once: the secret alone on stdout, so that `$(...)` takes it, and what it is on
//! stderr. Nothing is made that nobody could read.

use anyhow::{Error, Result, anyhow, bail};
use serde_json::Value;

use crate::client::Client;
use crate::output::{self, Column, Format, say, text};
use crate::problem::Problem;
use crate::stdout;

/// A secret that is about to be made.
pub struct ShownOnce<'a> {
    /// Where the answer has it.
    pub member: &'static str,
    pub columns: &'a [Column],
    /// What to do where nobody has read it, of the item's id.
    pub lost: &'a dyn Fn(&str) -> String,
    /// What to do where nobody knows whether it was made.
    pub doubt: &'a str,
}

impl ShownOnce<'_> {
    /// Has it made, and prints it.
    pub fn print(
        &self,
        client: &Client,
        format: Format,
        make: impl FnOnce() -> Result<Value>,
    ) -> Result<()> {
        client.reach()?;
        stdout::expect_reader()?;
        let mut item = make().map_err(|error| self.unanswered(error))?;
        let id = text(&item, "id");
        let printed = if format == Format::Json {
            output::pretty_json(&item)?
        } else {
            match item[self.member].take() {
                Value::String(secret) => format!("{secret}\n"),
                _ => bail!("the server answered without a {}", self.member),
            }
        };
        if !stdout::write_secret(&printed) {
            return Err(anyhow!("{}", (self.lost)(&id)));
        }
        if format != Format::Json {
            say(output::table(self.columns, &[item], client.time()).trim_end());
        }
        Ok(())
    }

    /// A refusal says that nothing was done. Where something failed, here, there or in between,
    /// nobody knows.
    pub fn unanswered(&self, error: Error) -> Error {
        let is_refusal =
            |problem: &Problem| problem.status < 500 || problem.code() == Some("overloaded");
        if error.downcast_ref().is_some_and(is_refusal) {
            return error;
        }
        anyhow!("{error:#}; {}", self.doubt)
    }
}
