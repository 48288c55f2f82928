//! A kubeconfig that holds a secret and is told once: it goes into a file that nobody else reads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail};
use serde_json::Value;

use super::kubeconfig::safe_filename;
use crate::client::Client;
use crate::files::{self, Existing};
use crate::output::{self, Format, say};
use crate::problem::Problem;
use crate::stdout;

/// Where a secret kubeconfig goes.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct SecretFile {
    /// Where to write it, for its owner alone; `-` is stdout. Default: the file name that the
    /// server proposes.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Replace a file that is already there.
    #[arg(long)]
    pub force: bool,
}

impl SecretFile {
    /// Has the kubeconfig made and writes it; answers the item without its secrets. `end` is the
    /// command that ends what was made and could not be written.
    pub fn write(
        self,
        client: &Client,
        format: Format,
        end: &dyn Fn(&Value) -> String,
        make: impl FnOnce() -> Result<Value>,
    ) -> Result<Value> {
        let to_stdout = self.file.as_deref().is_some_and(is_stdout);
        let as_json = format == Format::Json && self.file.is_none();
        client.reach()?;
        if to_stdout || as_json {
            stdout::expect_reader()?;
        } else if let Some(file) = &self.file
            && !self.force
            && file.exists()
        {
            // Before something is made that has no place.
            bail!("{} is there already; --force replaces it", file.display());
        }
        let mut item = make().map_err(in_doubt)?;
        let lost = |error: Error| {
            let end = end(&item);
            anyhow!("{error:#}; the kubeconfig is lost: end it with `{end}` and make another")
        };
        if as_json {
            let printed = output::pretty_json(&item)?;
            if !stdout::write_secret(&printed) {
                return Err(lost(anyhow!("nobody read it")));
            }
        } else {
            let (Some(kubeconfig), Some(filename)) =
                (item["kubeconfig"].as_str(), item["filename"].as_str())
            else {
                bail!("the server answered without a kubeconfig");
            };
            if to_stdout {
                if !stdout::write_secret(kubeconfig) {
                    return Err(lost(anyhow!("nobody read it")));
                }
            } else {
                let file = match self.file {
                    Some(file) => file,
                    None => PathBuf::from(safe_filename(filename)),
                };
                let existing = if self.force {
                    Existing::Narrow
                } else {
                    Existing::Refuse
                };
                let written = files::write(&file, kubeconfig.as_bytes(), existing);
                written.map_err(lost)?;
                if format == Format::Name {
                    stdout::write(&format!("{}\n", file.display()))
                        .context("it was done, but nobody was told")?;
                } else {
                    say(&format!(
                        "Wrote {}. It holds a secret, and nobody else can read it.",
                        file.display()
                    ));
                }
            }
        }
        for secret in ["kubeconfig", "token"] {
            item[secret].take();
        }
        Ok(item)
    }
}

fn is_stdout(file: &Path) -> bool {
    file == Path::new("-") || files::is_stdout(file)
}

/// A refusal says that nothing was done. Where something failed, nobody knows.
fn in_doubt(error: Error) -> Error {
    let is_refusal =
        |problem: &Problem| problem.status < 500 || problem.code() == Some("overloaded");
    if error.downcast_ref().is_some_and(is_refusal) {
        return error;
    }
    anyhow!("{error:#}; there may be a token that nobody has: look into the list, and end it")
}
