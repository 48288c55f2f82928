//! How both programs take their arguments: variables that are empty are not set, and what is
//! refused is not said aloud if a secret may stand in it.

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, Parser};

/// The arguments of this process; ends it where they are wrong.
pub fn parse<P: Parser>() -> P {
    let matches = without_empty_variables(P::command()).try_get_matches();
    let parsed = matches.and_then(|mut matches| P::from_arg_matches_mut(&mut matches));
    parsed.unwrap_or_else(|mut error| {
        hide_secrets(&mut error);
        error.format(&mut P::command()).exit()
    })
}

fn without_empty_variables(command: Command) -> Command {
    let is_empty = |arg: &Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| {
            if is_empty(&arg) {
                arg.env(None::<&'static str>)
            } else {
                arg
            }
        })
        .mut_subcommands(without_empty_variables)
}

/// Takes out API keys, session tokens and addresses that hold a password.
fn hide_secrets(error: &mut clap::Error) {
    let hidden: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| Some((kind, hide(value)?)))
        .collect();
    for (kind, value) in hidden {
        error.insert(kind, value);
    }
}

fn hide(value: &ContextValue) -> Option<ContextValue> {
    const SECRETS: [&str; 5] = ["rgpu_", "rgse_", "rgsu_", "rgat_", "@"];
    let is_secret = |text: &str| SECRETS.iter().any(|secret| text.contains(secret));
    match value {
        ContextValue::String(text) if is_secret(text) => {
            Some(ContextValue::String("...".to_owned()))
        }
        ContextValue::Strings(texts) if texts.iter().any(|text| is_secret(text)) => {
            Some(ContextValue::Strings(vec!["...".to_owned()]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_said_aloud() {
        let hidden = |text: &str| hide(&ContextValue::String(text.to_owned())).is_some();
        for secret in [
            "rgpu_abc",
            "xrgse_abc",
            "rgat_abc",
            "https://ada:password@host",
        ] {
            assert!(hidden(secret), "{secret}");
        }
        for plain in ["lapto", "--server", "https://host"] {
            assert!(!hidden(plain), "{plain}");
        }
    }
}
