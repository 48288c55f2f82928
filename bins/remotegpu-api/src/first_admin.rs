//! The operator's account on the first start (contract A10).

use anyhow::{Context, Result, anyhow};
use remotegpu_accounts::{PlainPassword, UserRepository};
use remotegpu_control_plane::{FirstPassword, PasswordWorkers, create_first_admin};
use remotegpu_primitives::Clock;
use remotegpu_storage::Database;

use crate::{
    clock::{SystemClock, system_rng},
    config::Config,
    output,
    text_files::read_text,
};

/// Makes the operator's account if the store never had one, and tells the
/// one-time password: to stderr, past the log. The file with a given password is for
/// the first start: later it may be gone, and is not looked at.
pub async fn create(
    config: &Config,
    database: &Database,
    passwords: &PasswordWorkers,
    url: &str,
) -> Result<()> {
    let unmade = "the operator's account could not be made";
    if database.has_first().await.context(unmade)? {
        return Ok(());
    }
    let password = match &config.initial_admin_password_file {
        None => FirstPassword::OneTime,
        Some(path) => {
            let text = read_text(path).with_context(|| {
                format!(
                    "initial_admin_password_file: {} cannot be read",
                    path.display()
                )
            })?;
            // Nor is the end of its line a part of it.
            let password = PlainPassword::parse(text.trim_end_matches(['\r', '\n']))
                .map_err(|error| anyhow!("initial_admin_password_file: the {error}"))?;
            FirstPassword::Given(password)
        }
    };
    if matches!(password, FirstPassword::OneTime) {
        // Before there is a password to lose.
        output::tell(format_args!("\n")).context(UNTOLD)?;
    }
    let email = config.initial_admin_email.clone();
    let now = SystemClock.now();
    let made = create_first_admin(database, passwords, email, password, &mut system_rng(), now)
        .await
        .context(unmade)?;
    let Some(admin) = made else {
        return Ok(());
    };
    let Some(password) = admin.one_time_password else {
        output::note(format_args!(
            "First start. Sign in at {url} as {}.",
            admin.email
        ));
        return Ok(());
    };
    let told = output::tell(format_args!(
        "First start. Sign in at {url} as {} with this one-time password,\n\
         and change it within 24 hours; it is not shown again:\n\n    {}\n\n",
        admin.email,
        password.reveal()
    ));
    told.with_context(|| {
        format!(
            "{UNTOLD}, and is lost: `remotegpu-api admin user reset-password {}` makes another",
            admin.email
        )
    })
}

const UNTOLD: &str = "the operator's one-time password could not be told";
