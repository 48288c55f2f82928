//! Two people of one account ask for acts: one may issue keys, the other may look.

use std::error::Error;

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use remotegpu_accounts::{AccountName, Email, PlainPassword, Role, SessionPolicy};
use remotegpu_control_plane::{
    AuditBuffer, Caller, ChangePasswordPorts, IssueApiKey, KeyChangeLimits, NotAllowed,
    OneTimePassword, Operator, PasswordWorkers, SignInPorts, Write, authenticate_session,
    change_password, create_account, create_user, issue_api_key, list_api_keys, sign_in,
};
use remotegpu_keys::KeyName;
use remotegpu_primitives::{AccountId, Origin, PageRequest};
use remotegpu_scopes::Scopes;
use remotegpu_storage::{Database, DatabaseOptions};
use time::OffsetDateTime;

/// What stands behind the front.
struct House {
    database: Database,
    passwords: PasswordWorkers,
    audit: AuditBuffer,
}

impl House {
    /// Has the operator make a user, and signs them in with a password of their own.
    async fn person(
        &self,
        account: AccountId,
        name: &str,
        role: Role,
    ) -> Result<Caller<OneTimePassword>, Box<dyn Error>> {
        let (rng, now) = (&mut UnwrapErr(SysRng), OffsetDateTime::now_utc());
        let (database, passwords) = (&self.database, &self.passwords);
        let email = Email::parse(&format!("{name}@example.org"))?;
        let operator = Operator::at_the_command_line();
        let place = (account, role);
        let one_time = create_user(
            database,
            passwords,
            operator,
            email.clone(),
            place,
            rng,
            now,
        )
        .await?;

        let ports = SignInPorts {
            users: database,
            sessions: database,
            attempts: database,
            passwords,
            audit: &self.audit,
        };
        let (email, password) = (email.as_str(), one_time.reveal());
        let signed_in = sign_in(ports, email, password, Origin::default(), rng, now).await?;
        let caller = Caller::signed_in(signed_in.context, Origin::default());
        // Whoever has a one-time password may do one thing with it.
        assert_eq!(
            caller.may::<Write>().err(),
            Some(NotAllowed::PasswordChangeRequired)
        );
        let ports = ChangePasswordPorts {
            users: database,
            attempts: database,
            passwords,
            audit: &self.audit,
        };
        let own = PlainPassword::parse("correct horse battery staple")?;
        change_password(ports, &caller, password, own, rng, now).await?;

        // As every request does: from the session's secret to who is calling.
        let (policy, secret) = (SessionPolicy::default(), signed_in.secret.reveal());
        let context = authenticate_session(database, policy, secret, true, now).await?;
        Ok(Caller::signed_in(context, Origin::default()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (rng, now) = (&mut UnwrapErr(SysRng), OffsetDateTime::now_utc());
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}", folder.path().join("acts.db").display());
    let database = Database::connect(&url, DatabaseOptions::default()).await?;
    database.migrate().await?;
    let house = House {
        database,
        passwords: PasswordWorkers::new(1, 0)?,
        audit: AuditBuffer::default(),
    };
    let database = &house.database;

    let name = AccountName::parse("Analytical Engines")?;
    let operator = Operator::at_the_command_line();
    let account = create_account(database, operator, name, rng, now).await?;
    let ada = house.person(account.id, "ada", Role::Write).await?;
    let charles = house.person(account.id, "charles", Role::Read).await?;

    // The act asks for the right, and `may` is the only way to one.
    let limits = KeyChangeLimits::new(60.try_into()?);
    let wanted = IssueApiKey {
        name: KeyName::parse("ci")?,
        scopes: Scopes::All,
        expires_at: None,
        default_limit: 10,
    };
    let issued = issue_api_key(database, &limits, &ada.may()?, wanted, rng, now).await?;
    println!("Ada issued {}...", issued.key.prefix.as_str());

    let refused = charles.may::<Write>().err();
    assert_eq!(refused, Some(NotAllowed::RoleTooSmall));
    println!("Charles was refused: {}", NotAllowed::RoleTooSmall);

    for (who, caller) in [("Ada", &ada), ("Charles", &charles)] {
        let page = PageRequest::new(10, None)?;
        let listed = list_api_keys(database, &caller.may()?, page).await?;
        let names: Vec<&str> = listed.items.iter().map(|key| key.name.as_str()).collect();
        println!("{who} sees {}", names.join(", "));
    }
    Ok(())
}
