//! How both programs take their arguments: variables that are empty are not set, and what is
//! refused is not said aloud if a secret may stand in it.

use std::io::{self, Write};
use std::path::Path;
use std::process::exit;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Parser};

use crate::{files, output};

/// The arguments of this process; ends it where they are wrong.
pub fn parse<P: Parser>() -> P {
    let matches = without_empty_variables(P::command()).try_get_matches();
    let parsed = matches.and_then(|mut matches| P::from_arg_matches_mut(&mut matches));
    parsed.unwrap_or_else(|mut error| {
        hide_secrets(&mut error);
        end(&error.format(&mut P::command()))
    })
}

/// Prints what is wrong, or the help that was asked for, and ends the process.
fn end(error: &clap::Error) -> ! {
    let unknown = error.get(ContextKind::InvalidArg);
    if let Some(ContextValue::String(name)) = unknown
        && error.kind() == ErrorKind::UnknownArgument
        && name.starts_with("--password")
    {
        output::say(
            "error: a password is never an argument, for every user of this machine could read \
             it; use --password-stdin",
        );
        exit(2);
    }
    let printed = error.print().and_then(|()| io::stdout().flush());
    match printed {
        // Nobody is there to be told.
        _ if error.use_stderr() => exit(error.exit_code()),
        Err(failed) if failed.kind() != io::ErrorKind::BrokenPipe => {
            let failed = files::failure("cannot write to", Path::new("stdout"), &failed);
            output::say(&format!("error: {failed}"));
            exit(1)
        }
        _ => exit(error.exit_code()),
    }
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
    let is_secret = |text: &str| {
        SECRETS.iter().any(|secret| text.contains(secret)) || is_misplaced_password(text)
    };
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

/// What follows these commands without being asked for may be a password.
fn is_misplaced_password(text: &str) -> bool {
    let mut given = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    !text.starts_with('-')
        && given.any(|word| word == "login" || word == "password")
        && given.any(|word| word == text)
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
