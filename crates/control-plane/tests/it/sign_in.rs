//! Signing in, and what keeps guessing slow.

use std::net::IpAddr;

use async_trait::async_trait;
use remotegpu_accounts::{
    AccountRepository, Attempt, AttemptOutcome, AttemptRepository, AuditAction, AuditDetails,
    AuditFilter, AuditLog, AuditSubject, ClientAddress, Email, HashedPassword, PasswordChange,
    PlainPassword, SessionPolicy, UserRepository,
};
use remotegpu_control_plane::{
    AuditBuffer, AuthenticateSessionError, Caller, ChangePasswordError, ChangePasswordPorts,
    FirstPassword, PasswordWorkers, SignInError, SignInPorts, SignedIn, authenticate_session,
    change_password, create_first_admin, sign_in,
};
use remotegpu_primitives::{Actor, Origin, PageRequest, StoreError};
use remotegpu_test_support::{act, rng, store::TestStore};
use time::{Duration, OffsetDateTime};

use crate::world::World;

const PASSWORD: &str = "correct horse battery";

struct Door {
    world: World,
    passwords: PasswordWorkers,
    audit: AuditBuffer,
}

fn from(address: &str) -> Origin {
    Origin {
        ip: Some(address.parse::<IpAddr>().unwrap()),
        ..Origin::default()
    }
}

impl Door {
    async fn new(password: FirstPassword) -> (Self, Option<PlainPassword>) {
        let world = World::new().await;
        let passwords = PasswordWorkers::new(2, 16).unwrap();
        let email = Email::parse("admin@localhost").unwrap();
        let database = &world.store.database;
        let rng = &mut rng();
        let now = world.now();
        let admin = create_first_admin(
            database,
            &passwords,
            email.clone(),
            password.clone(),
            rng,
            now,
        );
        let admin = admin.await.unwrap().unwrap();
        // A10: only one insert ever wins.
        let again = create_first_admin(database, &passwords, email, password, rng, now);
        assert!(again.await.unwrap().is_none());
        let door = Self {
            world,
            passwords,
            audit: AuditBuffer::default(),
        };
        (door, admin.one_time_password)
    }

    async fn try_in(
        &self,
        email: &str,
        password: &str,
        address: &str,
    ) -> Result<SignedIn, SignInError> {
        self.try_in_with(&self.world.store.database, email, password, address)
            .await
    }

    async fn try_in_with(
        &self,
        attempts: &dyn AttemptRepository,
        email: &str,
        password: &str,
        address: &str,
    ) -> Result<SignedIn, SignInError> {
        let database = &self.world.store.database;
        let ports = SignInPorts {
            users: database,
            sessions: database,
            attempts,
            passwords: &self.passwords,
            audit: &self.audit,
        };
        let origin = from(address);
        sign_in(ports, email, password, origin, &mut rng(), self.world.now()).await
    }
}

/// Attempts of which each right password is another's as soon as it was compared.
struct ResetMeanwhile<'a> {
    store: &'a TestStore,
    reset: HashedPassword,
}

#[async_trait]
impl AttemptRepository for ResetMeanwhile<'_> {
    async fn begin(
        &self,
        attempt: &Attempt,
        now: OffsetDateTime,
    ) -> Result<AttemptOutcome, StoreError> {
        self.store.database.begin(attempt, now).await
    }

    async fn clear(&self, attempt: &Attempt) -> Result<(), StoreError> {
        let email = Email::parse("admin@localhost").unwrap();
        let user = self.store.database.find_by_email(&email).await?.unwrap();
        let change = PasswordChange::NotNeeded;
        let (store, act) = (&self.store.database, act(user.created_at));
        let set = store.set_password(user.id, None, &self.reset, change, None, &act);
        assert!(set.await?);
        self.store.database.clear(attempt).await
    }
}

fn given() -> FirstPassword {
    FirstPassword::Given(PlainPassword::parse(PASSWORD).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_failures_close_the_door_for_one_address_only() {
    // A8
    let (door, _) = Door::new(given()).await;
    let (here, there) = ("192.0.2.1", "192.0.2.2");
    for _ in 0..10 {
        let wrong = door.try_in("admin@localhost", "wrong", here).await;
        assert!(
            matches!(wrong, Err(SignInError::WrongCredentials)),
            "{wrong:?}"
        );
    }
    let closed = door.try_in("admin@localhost", PASSWORD, here).await;
    assert!(
        matches!(closed, Err(SignInError::Throttled(_))),
        "{closed:?}"
    );
    assert!(
        door.try_in("admin@localhost", PASSWORD, there)
            .await
            .is_ok()
    );
    door.world.clock.advance(Duration::MINUTE);
    assert!(door.try_in("Admin@Localhost", PASSWORD, here).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_refused_for_want_of_room_has_not_failed() {
    // A8, section 10
    let (mut door, _) = Door::new(given()).await;
    door.passwords = PasswordWorkers::new(1, 0).unwrap();
    let turns = [
        door.passwords.enter().await.unwrap(),
        door.passwords.enter().await.unwrap(),
    ];
    let here = "192.0.2.1";
    for _ in 0..20 {
        let refused = door.try_in("admin@localhost", "wrong", here).await;
        assert!(
            matches!(refused, Err(SignInError::Overloaded(_))),
            "{refused:?}"
        );
    }
    drop(turns);
    for _ in 0..10 {
        let wrong = door.try_in("admin@localhost", "wrong", here).await;
        assert!(
            matches!(wrong, Err(SignInError::WrongCredentials)),
            "{wrong:?}"
        );
    }
    let closed = door.try_in("admin@localhost", PASSWORD, here).await;
    assert!(
        matches!(closed, Err(SignInError::Throttled(_))),
        "{closed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_floods_from_one_address_locks_nobody_out_at_another() {
    // A8
    let (mut door, _) = Door::new(given()).await;
    door.passwords = PasswordWorkers::new(1, 0).unwrap();
    let (here, there) = ("192.0.2.1", "192.0.2.2");
    let flooding = ClientAddress::from(&from(here));
    let mut turns = Vec::new();
    while let Ok(turn) = door.passwords.enter_from(flooding).await {
        turns.push(turn);
    }
    let refused = door.try_in("admin@localhost", PASSWORD, here).await;
    assert!(
        matches!(refused, Err(SignInError::Overloaded(_))),
        "{refused:?}"
    );
    door.try_in("admin@localhost", PASSWORD, there)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_clears_the_pair() {
    // A8
    let (door, _) = Door::new(given()).await;
    for _ in 0..3 {
        for _ in 0..9 {
            let _ = door.try_in("admin@localhost", "wrong", "192.0.2.1").await;
        }
        assert!(
            door.try_in("admin@localhost", PASSWORD, "192.0.2.1")
                .await
                .is_ok()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_odd_addresses_are_wrong_credentials_too() {
    // A8
    let (door, _) = Door::new(given()).await;
    for email in ["nobody@example.org", "", "no address", "\u{0}"] {
        let wrong = door.try_in(email, PASSWORD, "192.0.2.1").await;
        assert!(
            matches!(wrong, Err(SignInError::WrongCredentials)),
            "{email}: {wrong:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_password_works_for_a_day() {
    // A10
    let (door, password) = Door::new(FirstPassword::OneTime).await;
    let password = password.unwrap();
    let signed_in = door
        .try_in("admin@localhost", password.reveal(), "192.0.2.1")
        .await
        .unwrap();
    // A policy under which the session itself would live on.
    let policy = SessionPolicy {
        idle: Duration::days(7),
        total: Duration::days(7),
    };
    let session = async || {
        let (sessions, now) = (&door.world.store.database, door.world.now());
        authenticate_session(sessions, policy, signed_in.secret.reveal(), true, now).await
    };
    assert!(session().await.is_ok());
    door.world.clock.advance(Duration::hours(24));
    let ended = session().await;
    assert!(
        matches!(ended, Err(AuthenticateSessionError::Ended)),
        "{ended:?}"
    );
    let late = door
        .try_in("admin@localhost", password.reveal(), "192.0.2.1")
        .await;
    assert!(
        matches!(late, Err(SignInError::WrongCredentials)),
        "{late:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_in_to_a_suspended_account() {
    // A13
    let (door, _) = Door::new(given()).await;
    let signed_in = door
        .try_in("admin@localhost", PASSWORD, "192.0.2.1")
        .await
        .unwrap();
    let account = signed_in.context.account.id;
    let accounts: &dyn AccountRepository = &door.world.store.database;
    accounts
        .suspend(account, &act(door.world.now()))
        .await
        .unwrap()
        .unwrap();
    let refused = door.try_in("admin@localhost", PASSWORD, "192.0.2.1").await;
    assert!(
        matches!(refused, Err(SignInError::AccountSuspended)),
        "{refused:?}"
    );
    accounts
        .resume(account, &act(door.world.now()))
        .await
        .unwrap()
        .unwrap();
    assert!(
        door.try_in("admin@localhost", PASSWORD, "192.0.2.1")
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_reset_meanwhile_opens_and_changes_nothing() {
    // A10, A13
    let (door, _) = Door::new(given()).await;
    let (email, here) = ("admin@localhost", "192.0.2.1");
    let signed_in = door.try_in(email, PASSWORD, here).await.unwrap();
    let reset_password = "another password";
    let reset = PlainPassword::parse(reset_password).unwrap();
    let attempts = ResetMeanwhile {
        store: &door.world.store,
        reset: reset.hash(&mut rng()).unwrap(),
    };
    let refused = door.try_in_with(&attempts, email, PASSWORD, here).await;
    assert!(
        matches!(refused, Err(SignInError::WrongCredentials)),
        "{refused:?}"
    );

    // The request was let in before the reset ended its session.
    let ports = ChangePasswordPorts {
        users: &attempts.store.database,
        attempts: &attempts,
        passwords: &door.passwords,
        audit: &door.audit,
    };
    let new = PlainPassword::parse("a third password").unwrap();
    let caller = Caller::signed_in(signed_in.context, from(here));
    let now = door.world.now();
    let refused = change_password(ports, &caller, PASSWORD, new, &mut rng(), now).await;
    assert!(
        matches!(refused, Err(ChangePasswordError::WrongCredentials)),
        "{refused:?}"
    );
    assert!(door.try_in(email, reset_password, here).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_noted_for_a_known_user_alone() {
    // R5, A8
    let (door, _) = Door::new(given()).await;
    let (email, here) = ("admin@localhost", "192.0.2.1");
    let signed_in = door.try_in(email, PASSWORD, here).await.unwrap();
    assert_eq!(door.audit.waiting(), 0, "a session's event commits with it");
    for other in ["nobody@localhost", "no address", "admin@localhost."] {
        door.try_in(other, "wrong", here).await.unwrap_err();
    }
    assert_eq!(door.audit.waiting(), 0, "what was typed is nobody's");
    door.try_in(email, "wrong", here).await.unwrap_err();
    let store = &door.world.store.database;
    door.audit.flush(store, door.world.now()).await.unwrap();
    let (account, filter) = (signed_in.context.account.id, AuditFilter::default());
    let page = AuditLog::list(store, account, filter, PageRequest::default());
    let mut told = page.await.unwrap().items;
    told.retain(|event| event.action != AuditAction::AccountCreated);
    let user = signed_in.context.user.id;
    let by = |action| told.iter().find(|event| event.action == action).unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    let refused = by(AuditAction::UserSignInRefused);
    assert_eq!(refused.actor, Actor::Anonymous);
    assert_eq!(refused.subject, AuditSubject::User(user));
    assert_eq!(refused.origin, from(here));
    assert_eq!(refused.details, AuditDetails::default());
    let opened = by(AuditAction::SessionSignedIn);
    assert_eq!(opened.actor, Actor::User(user));
    let session = signed_in.context.session.id;
    assert_eq!(opened.subject, AuditSubject::Session(session));
}

#[tokio::test]
async fn a_first_password_is_hashed_for_the_first_start_alone() {
    // A10
    let password = PlainPassword::parse(PASSWORD).unwrap();
    let (door, _) = Door::new(FirstPassword::Given(password.clone())).await;
    // Nobody gets a turn to hash while this one is held.
    let passwords = PasswordWorkers::new(1, 0).unwrap();
    let _turn = passwords.enter().await.unwrap();
    let rng = &mut rng();
    let again = create_first_admin(
        &door.world.store.database,
        &passwords,
        Email::parse("other@localhost").unwrap(),
        FirstPassword::Given(password),
        rng,
        door.world.now(),
    );
    assert!(again.await.unwrap().is_none());
}
