//! Downloading a namespace's kubeconfig (contract X1).

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::choice::Understood;
use super::namespaces;
use crate::client::Client;
use crate::files::{self, Existing};
use crate::output::{self, Format, say};
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

The file holds no secret. kubectl needs an API key when it uses the file, in REMOTEGPU_API_KEY:
  export REMOTEGPU_API_KEY=$(remotegpu keys create laptop --namespace team-ml)
With --plugin remotegpu it may also be kept:
  remotegpu keys create laptop --namespace team-ml | remotegpu keys use")]
pub struct Kubeconfig {
    /// Name or id of the namespace.
    namespace: String,
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
        let id = namespaces::find_id(client, &self.namespace, self.understood)?;
        let plugin = match self.plugin {
            Plugin::Shell => "shell",
            Plugin::Remotegpu => "remotegpu",
        };
        let path = ["v1", "kubernetes", "namespaces", &id, "kubeconfig"];
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

/// A server's word for a file is never a way out of this folder, nor a hidden file in it.
fn safe_filename(proposed: &str) -> String {
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
