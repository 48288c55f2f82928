use std::fmt;
use std::str::FromStr;

use crate::document::{Argument, Exec};

/// The script of [`Plugin::Shell`]. It is one literal text, whatever the kubeconfig is for.
const SCRIPT: &str = include_str!("exec_credential.sh");

/// The program that `kubectl` runs for a credential (contract X4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Plugin {
    /// A script inside the kubeconfig that needs nothing but `sh`, `date` and `curl` 7.88.
    #[default]
    Shell,
    /// The project's own binary, `kubectl-remotegpu`.
    Remotegpu,
}

impl Plugin {
    /// Every plugin, the default first.
    pub const ALL: [Self; 2] = [Self::Shell, Self::Remotegpu];

    /// The word that names the plugin in a query string or on a command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Remotegpu => "remotegpu",
        }
    }

    pub(crate) fn exec(self, exec_credential_url: &str) -> Exec<'_> {
        let (command, args, install_hint) = match self {
            // The word after the script is the script's `$0`, the address its `$1`: nothing of
            // the address is ever read as shell.
            Self::Shell => (
                "sh",
                vec![
                    Argument::plain("-c"),
                    Argument::literal(SCRIPT),
                    Argument::plain("remotegpu-exec-credential"),
                    Argument::plain(exec_credential_url),
                ],
                "This kubeconfig runs sh, date and curl. Install them, or download the kubeconfig \
                 again with ?plugin=remotegpu.",
            ),
            Self::Remotegpu => (
                "kubectl-remotegpu",
                vec![
                    Argument::plain("exec-credential"),
                    Argument::plain("--url"),
                    Argument::plain(exec_credential_url),
                ],
                "This kubeconfig runs kubectl-remotegpu. Put it into a directory of PATH, or \
                 download the kubeconfig again with ?plugin=shell, which needs sh, date and curl.",
            ),
        };
        Exec::new(command, args, install_hint)
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no [`Plugin`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plugin is `shell` or `remotegpu`")]
pub struct UnknownPlugin;

impl FromStr for Plugin {
    type Err = UnknownPlugin;

    fn from_str(word: &str) -> Result<Self, UnknownPlugin> {
        Self::ALL
            .into_iter()
            .find(|plugin| plugin.as_str() == word)
            .ok_or(UnknownPlugin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // X1, X4
    #[test]
    fn plugins_are_named_by_exact_words() {
        for plugin in Plugin::ALL {
            assert_eq!(plugin.as_str().parse(), Ok(plugin));
        }
        for word in ["", "Shell", "shell ", "bash", "remotegpu,shell"] {
            assert_eq!(word.parse::<Plugin>(), Err(UnknownPlugin), "{word:?}");
        }
        assert_eq!(Plugin::default(), Plugin::Shell);
    }
}
