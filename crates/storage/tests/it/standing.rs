use remotegpu_accounts::{
    AccountRepository, KeysOfMaker, MemberRepository, Role, SessionRepository,
};
use remotegpu_keys::{ApiKeyChange, ApiKeyRepository, KeyName};
use remotegpu_primitives::{Act, Actor, Origin, SessionId, Shown, Standing, StoreError};
use remotegpu_scopes::Scopes;

use crate::{
    on_both_databases,
    world::{NOW, Person, World, act, new_secret, new_session, rng},
};

on_both_databases!(
    who_was_removed_is_given_no_secret_of_somebody_elses_key,
    who_was_demoted_changes_nothing,
    what_an_ended_session_asked_for_is_not_done,
    a_suspended_account_changes_nothing,
);

/// What somebody does who was let in as one who may write.
fn writes(person: Person, session: SessionId) -> Act {
    let act = Act::new(Actor::User(person.user), Origin::default(), &mut rng(), NOW);
    act.standing_on(Some(Standing {
        account: person.account,
        user: person.user,
        roles: Role::Write.and_above(),
        shown: Shown::Session(session),
    }))
}

/// Bob, who may write in Ada's account, his session, and what takes his right away.
async fn refused(world: World, ends: impl AsyncFnOnce(&World, Person, Person, SessionId)) {
    let ada = world.person("ada").await;
    let bob = Person {
        user: world.member("bob", ada.account, Role::Write).await,
        account: ada.account,
    };
    let session = new_session(bob.user, bob.account);
    let inserted = SessionRepository::insert(&world.database, &session, &act(NOW)).await;
    inserted.unwrap();
    let session = session.session.id;
    let (key, _) = world.key(ada, Scopes::All).await;
    let keys: &dyn ApiKeyRepository = &world.database;
    let renamed = |name: &str| ApiKeyChange {
        name: Some(KeyName::parse(name).unwrap()),
        ..ApiKeyChange::default()
    };
    let (change, by_bob) = (renamed("by bob"), writes(bob, session));
    let done = keys.update(ada.account, key.id, &change, &by_bob);
    done.await.unwrap();
    let before = keys.find(ada.account, key.id).await.unwrap().unwrap();
    assert_eq!(before.name.as_str(), "by bob");

    ends(&world, ada, bob, session).await;

    let by_bob = writes(bob, session);
    let change = renamed("again");
    let update = keys.update(ada.account, key.id, &change, &by_bob).await;
    assert!(matches!(update, Err(StoreError::NotAllowed)), "{update:?}");
    let (secret, by_bob) = (new_secret(), writes(bob, session));
    let rotate = keys
        .rotate(ada.account, key.id, &secret, NOW, &by_bob)
        .await;
    assert!(matches!(rotate, Err(StoreError::NotAllowed)), "{rotate:?}");
    let after = keys.find(ada.account, key.id).await.unwrap().unwrap();
    assert_eq!(after, before);
}

async fn who_was_removed_is_given_no_secret_of_somebody_elses_key(world: World) {
    // K15, A11
    refused(world, async |world, ada, bob, _| {
        let by_ada = Act::new(Actor::User(ada.user), Origin::default(), &mut rng(), NOW);
        let (store, keys) = (&world.database, KeysOfMaker::Revoke);
        let removed = MemberRepository::remove(store, ada.account, bob.user, keys, &by_ada);
        removed.await.unwrap();
    })
    .await;
}

async fn who_was_demoted_changes_nothing(world: World) {
    // A11
    refused(world, async |world, ada, bob, _| {
        let by_ada = Act::new(Actor::User(ada.user), Origin::default(), &mut rng(), NOW);
        let store: &dyn MemberRepository = &world.database;
        let keys = KeysOfMaker::Revoke;
        let demoted = store.set_role(ada.account, bob.user, Role::Read, keys, &by_ada);
        demoted.await.unwrap();
    })
    .await;
}

async fn what_an_ended_session_asked_for_is_not_done(world: World) {
    // A6
    refused(world, async |world, _, _, session| {
        let ended = SessionRepository::delete(&world.database, session, &act(NOW)).await;
        ended.unwrap();
    })
    .await;
}

async fn a_suspended_account_changes_nothing(world: World) {
    // A13
    refused(world, async |world, ada, _, _| {
        let suspended = AccountRepository::suspend(&world.database, ada.account, &act(NOW)).await;
        suspended.unwrap().unwrap();
    })
    .await;
}
