//! Signing in and out, the password, and who is signed in.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::signed_in;
use crate::client::{Client, ServerOptions};
use crate::output::{self, Cell, Column, Format, say, text};
use crate::problem::Problem;
use crate::proxy::is_loopback;
use crate::secret::Secret;
use crate::service_user_token;
use crate::session_file::SessionFile;
use crate::stdout;

const SIGN_OUT: &[&str] = &["v1", "auth", "sign-out"];

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  remotegpu login --email me@example.com
  remotegpu login --email me@example.com --password-stdin < password-file
  remotegpu --server https://api.example.com login

The session is kept in $XDG_CONFIG_HOME/remotegpu/session.json, one for each server; the one before
ends.")]
pub struct Login {
    /// Your e-mail address; asked for if left out.
    #[arg(long)]
    email: Option<String>,
    /// Read the password from the first line of stdin instead of asking for it.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  printf '%s\\n%s\\n' \"$OLD\" \"$NEW\" | remotegpu password --password-stdin")]
pub struct Password {
    /// Read the current and the new password from two lines of stdin instead of asking for them.
    #[arg(long)]
    password_stdin: bool,
}

impl Login {
    pub fn run(self, server: &ServerOptions, format: Format) -> Result<()> {
        let file = SessionFile::locate()?;
        // A session that nobody can use would live on at the server.
        file.try_to_store().map_err(|error| not_kept(&error))?;
        warn_of_plain_http(server);
        if service_user_token::find()?.is_some() {
            say("warning: the other commands go on as the service user whose token is set");
        }
        let email = match self.email {
            Some(email) => email,
            None => ask_email()?,
        };
        let password = if self.password_stdin {
            read_secret_line(&mut io::stdin().lock())?
        } else {
            ask_secret("Password: ")?
        };
        let client = Client::new(server)?;
        let body = json!({"email": email, "password": password.reveal(), "cookie": false});
        let mut answer = client.post(&["v1", "auth", "sign-in"], Some(&body))?;
        let Value::String(token) = answer["access_token"].take() else {
            bail!("{} answered without a session token", server.name());
        };
        let token = Secret::new(token);
        let client = client.with_session_token(token.clone());
        // Another login may take the place of this one, and end it, as soon as it is kept.
        let session = client.get(&["v1", "auth", "session"]);
        match file.store(&server.name(), &token, &text(&answer, "expires_at")) {
            Ok(None) => {}
            Ok(Some(replaced)) => end_unused(server, replaced),
            Err(error) => {
                return Err(match client.post(SIGN_OUT, None) {
                    Ok(_) => not_kept(&error),
                    Err(_) => error.context("a session was opened and is lost"),
                });
            }
        }
        match session {
            Ok(session) => {
                say(&format!("Signed in at {}.", server.name()));
                print_session(format, &session, client.time())
            }
            Err(error) if must_change_password(&error) => {
                say(&format!(
                    "Signed in at {}, but this password is for one time only and opens nothing \
                     else.\nChange it now with `remotegpu password`.",
                    server.name()
                ));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Password {
    pub fn run(self, server: &ServerOptions) -> Result<()> {
        let client = signed_in(server)?;
        let (current, new) = if self.password_stdin {
            let mut stdin = io::stdin().lock();
            (read_secret_line(&mut stdin)?, read_secret_line(&mut stdin)?)
        } else {
            let current = ask_secret("Current password: ")?;
            let new = ask_secret("New password (12 to 128 characters): ")?;
            if new.reveal() != ask_secret("New password again: ")?.reveal() {
                bail!("the two new passwords are not the same");
            }
            (current, new)
        };
        let body = json!({"current": current.reveal(), "new": new.reveal()});
        client.put(&["v1", "auth", "password"], &body)?;
        say("The password is changed; your other sessions have ended.");
        Ok(())
    }
}

/// Whoever listens could use what is sent.
pub fn warn_of_plain_http(server: &ServerOptions) {
    if server.server.scheme() == "http" && !is_loopback(&server.server) {
        say("warning: the connection to this server is not encrypted");
    }
}

/// Ends a session that nobody has any more. Where that fails it ends by itself, when it has rested.
fn end_unused(server: &ServerOptions, token: Secret) {
    if let Ok(client) = Client::new(server) {
        let _ = client.with_session_token(token).post(SIGN_OUT, None);
    }
}

/// Ends the session. It is forgotten here even if the server cannot be told.
pub fn logout(server: &ServerOptions) -> Result<()> {
    let file = SessionFile::locate()?;
    let Some(token) = file.find(&server.name())? else {
        say(&format!("Not signed in at {}.", server.name()));
        return Ok(());
    };
    let client = Client::new(server)?.with_session_token(token.clone());
    let told = client.post(SIGN_OUT, None);
    let forgotten = file.forget(&server.name(), &token);
    match told {
        Err(error) if !is_unauthorized(&error) => {
            forgotten.context("the session lives on, here and at the server")?;
            Err(error.context("the session is forgotten here, but the server was not told"))
        }
        _ => {
            say(&format!("Signed out of {}.", server.name()));
            if let Err(error) = forgotten {
                say(&format!(
                    "warning: what is left of the session, and opens nothing, could not be taken \
                     out of its file: {error:#}"
                ));
            }
            Ok(())
        }
    }
}

fn not_kept(error: &anyhow::Error) -> anyhow::Error {
    anyhow!("no session was opened: {error:#}; XDG_CONFIG_HOME may name another folder")
}

pub fn whoami(server: &ServerOptions, format: Format) -> Result<()> {
    let client = signed_in(server)?;
    let session = client.get(&["v1", "auth", "session"])?;
    print_session(format, &session, client.time())
}

const COLUMNS: &[Column] = &[
    (
        "USER",
        Cell::Made(|session| {
            let is_person = session["user"].is_object();
            let kind = if is_person { "" } else { " (service user)" };
            who(session) + kind
        }),
    ),
    (
        "ACCOUNT",
        Cell::Made(|session| text(&session["account"], "name")),
    ),
    ("ROLE", Cell::Text("role")),
    ("EXPIRES", Cell::Until("expires_at")),
];

/// A person by their address, a service user by its name.
fn who(session: &Value) -> String {
    if session["service_user"].is_object() {
        return text(&session["service_user"], "name");
    }
    text(&session["user"], "email")
}

fn print_session(format: Format, session: &Value, now: Option<OffsetDateTime>) -> Result<()> {
    match format {
        Format::Name => stdout::write(&(who(session) + "\n")),
        _ => output::print_item(format, COLUMNS, session, now),
    }
}

fn must_change_password(error: &anyhow::Error) -> bool {
    let problem = error.downcast_ref::<Problem>();
    problem.and_then(Problem::code) == Some("password_change_required")
}

fn is_unauthorized(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Problem>()
        .is_some_and(|problem| problem.status == 401)
}

fn ask_email() -> Result<String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        bail!("who signs in? Give --email");
    }
    say("E-mail:");
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn ask_secret(prompt: &str) -> Result<Secret> {
    rpassword::prompt_password(prompt)
        .map(Secret::new)
        // What the system says about terminals helps nobody here.
        .map_err(|_| anyhow!("cannot ask for a password here; use --password-stdin"))
}

fn read_secret_line(input: &mut impl BufRead) -> Result<Secret> {
    let mut line = String::new();
    input
        .read_line(&mut line)
        .context("cannot read a password from stdin")?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        bail!("stdin has no line with a password");
    }
    Ok(Secret::new(password.to_owned()))
}
