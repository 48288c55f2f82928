//! Signing in, and what keeps guessing slow.

use std::net::IpAddr;

use remotegpu_accounts::{AccountRepository, ClientAddress, Email, PlainPassword, SessionPolicy};
use remotegpu_control_plane::{
    AuthenticateSessionError, FirstPassword, PasswordWorkers, SignInError, SignInPorts, SignedIn,
    authenticate_session, create_first_admin, sign_in,
};
use remotegpu_test_support::rng;
use time::Duration;

use crate::world::World;

const PASSWORD: &str = "correct horse battery";

struct Door {
    world: World,
    passwords: PasswordWorkers,
}

impl Door {
    async fn new(password: FirstPassword) -> (Self, Option<PlainPassword>) {
        let world = World::new().await;
        let passwords = PasswordWorkers::new(2);
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
        (Self { world, passwords }, admin.one_time_password)
    }

    async fn try_in(
        &self,
        email: &str,
        password: &str,
        address: &str,
    ) -> Result<SignedIn, SignInError> {
        let database = &self.world.store.database;
        let ports = SignInPorts {
            users: database,
            sessions: database,
            attempts: database,
            passwords: &self.passwords,
        };
        let address: ClientAddress = address.parse::<IpAddr>().unwrap().into();
        sign_in(
            ports,
            email,
            password,
            address,
            &mut rng(),
            self.world.now(),
        )
        .await
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
        authenticate_session(sessions, policy, signed_in.secret.reveal(), now).await
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
        .suspend(account, door.world.now())
        .await
        .unwrap()
        .unwrap();
    let refused = door.try_in("admin@localhost", PASSWORD, "192.0.2.1").await;
    assert!(
        matches!(refused, Err(SignInError::AccountSuspended)),
        "{refused:?}"
    );
    accounts.resume(account).await.unwrap().unwrap();
    assert!(
        door.try_in("admin@localhost", PASSWORD, "192.0.2.1")
            .await
            .is_ok()
    );
}
