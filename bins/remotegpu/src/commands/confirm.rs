//! Asking before something ends that others use.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Result, bail};

use crate::output::say;

/// Whether a person has said yes already.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(skip)]
pub struct Confirmed {
    /// Do it without asking.
    #[arg(short, long)]
    yes: bool,
}

impl Confirmed {
    /// Says what will end, and asks; a script says `--yes`.
    pub fn ask(self, what: &str) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            bail!("{what}\nNothing was done; say --yes to do it.");
        }
        say(&format!("{what}\nGo on? [y/N]"));
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => bail!("nothing was done"),
        }
    }
}
