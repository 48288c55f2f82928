use std::net::IpAddr;

use futures::future::join_all;
use remotegpu_accounts::{Attempt, AttemptOutcome, AttemptRepository, ClientAddress, Email};
use time::Duration;

use crate::{
    on_both_databases,
    world::{Guard, NOW, World, seconds},
};

on_both_databases!(
    ten_failures_throttle_a_pair_and_nobody_else,
    a_hundred_failures_throttle_an_address,
    success_clears_the_pair,
    of_any_number_at_once_ten_go_on_and_who_is_refused_does_not_count,
);

fn address(text: &str) -> ClientAddress {
    text.parse::<IpAddr>().unwrap().into()
}

fn sign_in(name: &str, from: &str) -> Attempt {
    let email = Email::parse(&format!("{name}@example.org")).unwrap();
    Attempt::sign_in(&email, address(from))
}

async fn ten_failures_throttle_a_pair_and_nobody_else(world: World) {
    // A8
    let store: &dyn AttemptRepository = &world.database;
    let attempt = sign_in("ada", "192.0.2.1");
    for second in 0..10 {
        let outcome = store.begin(&attempt, seconds(second)).await.unwrap();
        assert_eq!(outcome, AttemptOutcome::Allowed);
    }
    for second in [10, 20, 59] {
        let outcome = store.begin(&attempt, seconds(second)).await.unwrap();
        let wait = Duration::seconds(60 - second);
        assert_eq!(outcome, AttemptOutcome::Throttled(wait));
    }
    let just_before = seconds(60) - Duration::MICROSECOND;
    let outcome = store.begin(&attempt, just_before).await.unwrap();
    assert_eq!(outcome, AttemptOutcome::Throttled(Duration::SECOND));
    for other in [sign_in("ada", "192.0.2.2"), sign_in("eve", "192.0.2.1")] {
        let outcome = store.begin(&other, seconds(20)).await.unwrap();
        assert_eq!(outcome, AttemptOutcome::Allowed);
    }
    // The first failure is a minute old: room for one, and no more.
    let outcome = store.begin(&attempt, seconds(60)).await.unwrap();
    assert_eq!(outcome, AttemptOutcome::Allowed);
    let outcome = store.begin(&attempt, seconds(60)).await.unwrap();
    assert_eq!(outcome, AttemptOutcome::Throttled(Duration::SECOND));
}

async fn a_hundred_failures_throttle_an_address(world: World) {
    // A8, A10
    let store: &dyn AttemptRepository = &world.database;
    for number in 0..100 {
        let attempt = sign_in(&format!("user{number}"), "2001:db8::1");
        let outcome = store.begin(&attempt, NOW).await.unwrap();
        assert_eq!(outcome, AttemptOutcome::Allowed);
    }
    let same_customer = sign_in("ada", "2001:db8::2");
    let outcome = store.begin(&same_customer, NOW).await.unwrap();
    assert_eq!(outcome, AttemptOutcome::Throttled(Duration::MINUTE));
    let email = Email::parse("ada@example.org").unwrap();
    let other_kind = Attempt::sign_up(&email, address("2001:db8::2"));
    for _ in 0..20 {
        // Signing up is counted by address alone.
        let outcome = store.begin(&other_kind, NOW).await.unwrap();
        assert_eq!(outcome, AttemptOutcome::Allowed);
    }
}

async fn success_clears_the_pair(world: World) {
    // A8
    let store: &dyn AttemptRepository = &world.database;
    let attempt = sign_in("ada", "192.0.2.1");
    for _ in 0..10 {
        store.begin(&attempt, NOW).await.unwrap();
    }
    store.clear(&sign_in("ada", "192.0.2.9")).await.unwrap();
    let outcome = store.begin(&attempt, NOW).await.unwrap();
    assert!(matches!(outcome, AttemptOutcome::Throttled(_)));
    store.clear(&attempt).await.unwrap();
    let outcome = store.begin(&attempt, NOW).await.unwrap();
    assert_eq!(outcome, AttemptOutcome::Allowed);
}

async fn of_any_number_at_once_ten_go_on_and_who_is_refused_does_not_count(world: World) {
    // A8
    let attempt = sign_in("ada", "192.0.2.1");
    let begin = |_| {
        let (store, attempt) = (world.database.clone(), attempt.clone());
        tokio::spawn(async move { store.begin(&attempt, NOW).await.unwrap() })
    };
    let refused = AttemptOutcome::Throttled(Duration::MINUTE);
    let mut allowed = 0;
    for outcome in join_all((0..64).map(begin)).await {
        match outcome.unwrap() {
            AttemptOutcome::Allowed => allowed += 1,
            outcome @ AttemptOutcome::Throttled(_) => assert_eq!(outcome, refused),
        }
    }
    // On PostgreSQL those who come at the same moment may all be in each other's way.
    if matches!(world.guard, Guard::Sqlite(_)) {
        assert_eq!(allowed, 10);
    }
    assert!(allowed <= 10, "{allowed}");
    let store: &dyn AttemptRepository = &world.database;
    for _ in allowed..10 {
        let outcome = store.begin(&attempt, NOW).await.unwrap();
        assert_eq!(outcome, AttemptOutcome::Allowed);
    }
    assert_eq!(store.begin(&attempt, NOW).await.unwrap(), refused);
}
