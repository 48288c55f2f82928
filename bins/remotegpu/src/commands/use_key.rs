//! Keeping an API key for `kubectl` (contract X13).

use std::io::{self, IsTerminal, Read};

use anyhow::{Context, Result, anyhow, bail};

use crate::api_key;
use crate::client::ServerOptions;
use crate::output::say;
use crate::secret::Secret;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  remotegpu keys create laptop --namespace team-ml | remotegpu keys use
  remotegpu --server https://api.example.com keys use < key-file

The key is kept in $XDG_CONFIG_HOME/remotegpu/keys, one for each server, where nobody else can
read it. `kubectl-remotegpu` finds it there, unless REMOTEGPU_API_KEY or REMOTEGPU_API_KEY_FILE
is set.")]
pub struct UseKey {}

impl UseKey {
    pub fn run(self, server: &ServerOptions) -> Result<()> {
        let Self {} = self;
        let key = read_stdin()?;
        let path = api_key::keep(&server.server, &key)?;
        say(&format!(
            "The API key for {} is kept in {}.",
            server.name(),
            path.display()
        ));
        Ok(())
    }
}

fn read_stdin() -> Result<Secret> {
    let text = if io::stdin().is_terminal() {
        rpassword::prompt_password("API key: ")
            .map_err(|_| anyhow!("cannot ask for a key here; give it on stdin"))?
    } else {
        let mut text = String::new();
        let read = io::stdin().take(4096).read_to_string(&mut text);
        read.context("cannot read an API key from stdin")?;
        text
    };
    match api_key::read_key(text.as_bytes(), "stdin")? {
        Some(key) if key.reveal().starts_with("rgpu_") => Ok(key),
        Some(_) => bail!("what stdin holds is no API key: one begins with rgpu_"),
        None => bail!("stdin holds no API key"),
    }
}
