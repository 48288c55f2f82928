//! Downloading a namespace's kubeconfig (contract X1).

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::choice::Understood;
use super::namespaces;
use super::secret_file::SecretFile;
use crate::client::Client;
use crate::expiry::Span;
use crate::files::{self, Existing};
use crate::output::{self, Format, say, text};
use crate::stdout;

/// Who gets the credentials for kubectl.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Plugin {
    /// A script inside the file that needs sh, date and curl 7.88 or newer.
    Shell,
    /// The program kubectl-remotegpu, which must be in PATH.
    Remotegpu,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  remotegpu kubeconfig team-ml
  remotegpu kubeconfig team-ml --plugin remotegpu -f ~/.kube/team-ml.yaml
  remotegpu kubeconfig team-ml -f - | less
  remotegpu kubeconfig --all
  remotegpu kubeconfig team-ml --token --expires-in 30m

The file holds no secret, but for --token. kubectl needs an API key when it uses the file, in REMOTEGPU_API_KEY:
  export REMOTEGPU_API_KEY=$(remotegpu keys create laptop --namespace team-ml)
With --plugin remotegpu it may also be kept:
  remotegpu keys create laptop --namespace team-ml | remotegpu keys use")]
pub struct Kubeconfig {
    /// Name or id of the namespace.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    namespace: Option<String>,
    /// One file for all active namespaces of the account, over all clusters.
    #[arg(long, conflicts_with_all = ["token", "as_id", "as_name"])]
    all: bool,
    /// A file with a token inside, for tools that can run no plugin. It is a secret.
    #[arg(long, conflicts_with = "plugin")]
    token: bool,
    /// With --token: for how long it opens the namespace, 10m to 1h.
    #[arg(long, value_name = "SPAN", requires = "token")]
    expires_in: Option<Span>,
    #[command(flatten)]
    understood: Understood,
    /// What kubectl runs to get its credentials.
    #[arg(long, value_enum, default_value_t = Plugin::Shell)]
    plugin: Plugin,
    /// Where to write it; `-` is stdout. Default: the file name that the server proposes. Links are
    /// followed, and what is no file (a device, a pipe) is written as it is.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Replace a file that is already there.
    #[arg(long)]
    force: bool,
}

impl Kubeconfig {
    pub fn run(self, client: &Client, format: Format) -> Result<()> {
        let plugin = match self.plugin {
            Plugin::Shell => "shell",
            Plugin::Remotegpu => "remotegpu",
        };
        let id = match &self.namespace {
            Some(namespace) => Some(namespaces::find_id(client, namespace, self.understood)?),
            None => None,
        };
        let path = match &id {
            Some(id) if self.token => return self.with_token(client, format, id),
            Some(id) => vec!["v1", "kubernetes", "namespaces", id, "kubeconfig"],
            None => vec!["v1", "kubernetes", "kubeconfig"],
        };
        let answer = client.get_with(&path, &[("plugin", plugin)])?;
        if format == Format::Json && self.file.is_none() {
            return output::print_json(&answer);
        }
        let (Some(kubeconfig), Some(filename)) =
            (answer["kubeconfig"].as_str(), answer["filename"].as_str())
        else {
            bail!("the server answered without a kubeconfig");
        };
        let file = match self.file {
            Some(file) if file == Path::new("-") || files::is_stdout(&file) => {
                return stdout::write(kubeconfig);
            }
            Some(file) => file,
            None => PathBuf::from(safe_filename(filename)),
        };
        // It may be ~/.kube/config, with everything else that the user has.
        let existing = if self.force {
            Existing::Replace
        } else {
            Existing::Refuse
        };
        files::write(&file, kubeconfig.as_bytes(), existing)?;
        if format == Format::Name {
            return stdout::write(&format!("{}\n", file.display()));
        }
        say(&format!("Wrote {}.", file.display()));
        Ok(())
    }
}

impl Kubeconfig {
    fn with_token(self, client: &Client, format: Format, id: &str) -> Result<()> {
        let path = ["v1", "kubernetes", "namespaces", id, "kubeconfig-token"];
        let span = self.expires_in;
        let body = span.map(|span| json!({"expires_in_seconds": span.whole_seconds()}));
        let file = SecretFile {
            file: self.file,
            force: self.force,
        };
        let end = |item: &Value| {
            let id = text(item, "id");
            format!("remotegpu kubeconfig-tokens delete {id} --yes")
        };
        let made = file.write(client, format, &end, || client.post(&path, body.as_ref()))?;
        if format == Format::Table {
            let (id, until) = (text(&made, "id"), text(&made, "expires_at"));
            say(&format!(
                "It opens the namespace until {until}; `remotegpu kubeconfig-tokens delete {id}` \
                 ends it before."
            ));
        }
        Ok(())
    }
}

/// A server's word for a file is never a way out of this folder, nor a hidden file in it.
pub fn safe_filename(proposed: &str) -> String {
    let safe = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
        _ => '-',
    };
    let name: String = proposed.chars().take(200).map(safe).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() {
        "kubeconfig.yaml".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // X1
    #[test]
    fn a_file_name_stays_in_the_folder() {
        for (proposed, safe) in [
            ("kubeconfig-team-ml.yaml", "kubeconfig-team-ml.yaml"),
            ("../../.bashrc", "bashrc"),
            ("/etc/passwd", "etc-passwd"),
            ("..", "kubeconfig.yaml"),
            ("", "kubeconfig.yaml"),
            ("a\\b\0\n", "a-b--"),
            ("-rf", "rf"),
        ] {
            assert_eq!(safe_filename(proposed), safe);
        }
    }
}
