//! `remotegpu-api admin`: what the operator does, through the database, beside a
//! running server too (contract A13).

mod cluster_claim;
mod held;

use anyhow::{Context, Result, anyhow, bail};
use remotegpu_accounts::{Account, AccountRepository, LimitChanges, PlainPassword};
use remotegpu_control_plane::{PasswordWorkers, create_account, create_user, reset_password};
use remotegpu_primitives::{AccountId, Act, Actor, Clock, Origin, PageRequest};
use remotegpu_storage::Database;

use crate::{
    cli::{AccountCommand, Admin, AdminClusterCommand, UserCommand},
    clock::{SystemClock, system_rng},
    config::Config,
    end_all, schema,
};

/// What the operator does at this moment, for the audit log.
fn operator() -> Act {
    let (actor, origin) = (Actor::Operator, Origin::default());
    Act::new(actor, origin, &mut system_rng(), SystemClock.now())
}

/// Runs one command.
pub async fn run(config: &Config, command: Admin) -> Result<()> {
    // Changes no schema: a command of a newer version must not do that to the servers
    // that run (contract R6).
    let database = schema::existing(config).await?;
    match command {
        Admin::Account(command) => account(&database, command).await,
        Admin::User(command) => user(&database, command).await,
        Admin::EndAll(args) => end_all::run(&database, &args).await,
        Admin::Cluster(AdminClusterCommand::Claim { name, yes }) => {
            cluster_claim::run(config, &database, &name, yes).await
        }
        Admin::Held(command) => held::run(&database, command).await,
    }
}

async fn account(database: &Database, command: AccountCommand) -> Result<()> {
    let accounts: &dyn AccountRepository = database;
    match command {
        AccountCommand::List => return list(accounts).await,
        AccountCommand::Create { name } => {
            print(&create_account(accounts, name, &mut system_rng(), &operator()).await?);
        }
        AccountCommand::Suspend { account_id } => {
            let suspended = accounts.suspend(account_id, &operator()).await?;
            print(&known(suspended, account_id)?);
        }
        AccountCommand::Resume { account_id } => {
            let resumed = accounts.resume(account_id, &operator()).await?;
            print(&known(resumed, account_id)?);
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
            let set = accounts
                .set_limits(account_id, changes, &operator())
                .await?;
            print(&known(set, account_id)?);
        }
    }
    Ok(())
}

async fn list(accounts: &dyn AccountRepository) -> Result<()> {
    let mut request = PageRequest::new(PageRequest::MAX_LIMIT, None)?;
    loop {
        let page = accounts.list(request).await?;
        page.items.iter().for_each(print);
        match page.next {
            Some(next) => request = PageRequest::new(PageRequest::MAX_LIMIT, Some(next))?,
            None => return Ok(()),
        }
    }
}

fn known(account: Option<Account>, id: AccountId) -> Result<Account> {
    account.with_context(|| format!("there is no account {id}"))
}

fn print(account: &Account) {
    let limit = |limit: Option<u32>| limit.map_or("default".to_owned(), |own| own.to_string());
    println!(
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
    );
}

async fn user(database: &Database, command: UserCommand) -> Result<()> {
    let passwords = PasswordWorkers::new(1, 0)?;
    let (act, mut rng) = (operator(), system_rng());
    let password: PlainPassword = match command {
        UserCommand::Create {
            email,
            account_id,
            role,
        } => {
            let place = (account_id, role);
            create_user(database, &passwords, email, place, &mut rng, &act).await?
        }
        UserCommand::ResetPassword { email } => {
            reset_password(database, &passwords, &email, &mut rng, &act)
                .await
                .map_err(|error| anyhow!(error).context(email.to_string()))?
        }
    };
    // The password alone on stdout, so that a script can take it.
    eprintln!("One-time password, to be changed within 24 hours:");
    println!("{}", password.reveal());
    Ok(())
}
