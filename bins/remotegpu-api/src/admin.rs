//! `remotegpu-api admin`: what the operator does, through the database, beside a
//! running server too (contract A13).

mod cluster_claim;
mod held;

use std::io;

use anyhow::{Context, Result, anyhow, bail};
use remotegpu_accounts::{Account, LimitChanges, MadeBefore, PlainPassword};
use remotegpu_control_plane::{
    Operator, PasswordWorkers, appoint_member, create_account, create_user, dismiss_member,
    list_accounts, reset_password, resume_account, set_limits, suspend_account,
};
use remotegpu_primitives::{Clock, PageRequest};
use remotegpu_storage::Database;

use crate::{
    cli::{AccountCommand, Admin, AdminClusterCommand, UserCommand},
    clock::{SystemClock, system_rng},
    config::Config,
    end_all,
    output::{self, say},
    schema, webhook_credential,
};

/// Runs one command.
pub async fn run(config: &Config, command: Admin) -> Result<()> {
    // Changes no schema: a command of a newer version must not do that to the servers
    // that run (contract R6).
    let database = schema::existing(config).await?;
    let operator = Operator::at_the_command_line();
    match command {
        Admin::Account(command) => account(&database, operator, command).await,
        Admin::User(command) => user(&database, operator, command).await,
        Admin::EndAll(args) => end_all::run(&database, operator, &args).await,
        Admin::Cluster(AdminClusterCommand::Claim { name, yes }) => {
            cluster_claim::run(config, &database, operator, &name, yes).await
        }
        Admin::Cluster(AdminClusterCommand::RotateWebhookCredential {
            name,
            grace_seconds,
        }) => webhook_credential::rotate(config, &database, operator, &name, grace_seconds).await,
        Admin::Held(command) => held::run(&database, operator, command).await,
    }
}

async fn account(database: &Database, operator: Operator, command: AccountCommand) -> Result<()> {
    let (rng, now) = (&mut system_rng(), SystemClock.now());
    let account = match command {
        AccountCommand::List => return list(database, operator).await,
        AccountCommand::Create { name } => {
            create_account(database, operator, name, rng, now).await?
        }
        AccountCommand::Suspend { account_id } => {
            suspend_account(database, operator, account_id, rng, now).await?
        }
        AccountCommand::Resume { account_id } => {
            resume_account(database, operator, account_id, rng, now).await?
        }
        AccountCommand::SetLimit {
            account_id,
            keys,
            namespaces,
        } => {
            if keys.is_none() && namespaces.is_none() {
                bail!("say which limit: --keys, --namespaces or both");
            }
            let changes = LimitChanges {
                keys: keys.unwrap_or_default(),
                namespaces: namespaces.unwrap_or_default(),
            };
            set_limits(database, operator, account_id, changes, rng, now).await?
        }
    };
    print(&account)
}

async fn list(database: &Database, operator: Operator) -> Result<()> {
    let mut request = PageRequest::new(PageRequest::MAX_LIMIT, None)?;
    loop {
        let page = list_accounts(database, operator, request).await?;
        page.items.iter().try_for_each(print)?;
        match page.next {
            Some(next) => request = PageRequest::new(PageRequest::MAX_LIMIT, Some(next))?,
            None => return Ok(()),
        }
    }
}

fn print(account: &Account) -> Result<()> {
    let limit = |limit: Option<u32>| limit.map_or("default".to_owned(), |own| own.to_string());
    say!(
        "{}  {:<9}  keys {:<8} namespaces {:<8} {}",
        account.id,
        if account.suspended_at.is_some() {
            "suspended"
        } else {
            "active"
        },
        limit(account.limits.keys),
        limit(account.limits.namespaces),
        account.name
    )
}

async fn user(database: &Database, operator: Operator, command: UserCommand) -> Result<()> {
    let passwords = PasswordWorkers::new(1, 0)?;
    let (rng, now) = (&mut system_rng(), SystemClock.now());
    match command {
        UserCommand::Create {
            email,
            account_id,
            role,
        } => {
            let place = (account_id, role);
            let address = email.clone();
            let made = create_user(database, &passwords, operator, email, place, rng, now).await?;
            tell(&made).with_context(|| {
                format!(
                    "the user was made, but the one-time password could not be told; \
                     `remotegpu-api admin user reset-password {address}` makes another"
                )
            })
        }
        UserCommand::SetRole {
            email,
            account_id,
            role,
        } => {
            let (stores, place) = ((database as _, database as _), (account_id, role));
            let before = appoint_member(stores, operator, &email, place, rng, now).await?;
            tell_ended(&before)
        }
        UserCommand::Remove { email, account_id } => {
            let stores = (database as _, database as _);
            let before = dismiss_member(stores, operator, &email, account_id, rng, now).await?;
            tell_ended(&before)
        }
        UserCommand::ResetPassword { email } => {
            let reset = reset_password(database, &passwords, operator, &email, tell, rng, now);
            reset
                .await
                .map_err(|error| anyhow!(error).context(email.to_string()))
        }
    }
}

/// What has ended with a role, one on each line.
fn tell_ended(before: &MadeBefore) -> Result<()> {
    let mut ended = before.ended.iter();
    ended.try_for_each(|made| say!("ended  {}  {}  {}", made.kind.as_str(), made.id, made.name))
}

/// The password alone on stdout, so that a script can take it.
fn tell(password: &PlainPassword) -> io::Result<()> {
    output::note(format_args!(
        "One-time password, to be changed within 24 hours:"
    ));
    output::print_secret(password.reveal())
}
