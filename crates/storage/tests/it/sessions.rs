use futures::future::join_all;
use remotegpu_accounts::{
    AccountRepository, HashedPassword, InsertSession, NewSession, PasswordChange, Role,
    SessionContext, SessionRepository, UserRepository,
};
use remotegpu_primitives::SessionId;

use crate::{
    on_both_databases,
    world::{NOW, Person, World, act, new_session, rng, seconds},
};

on_both_databases!(
    session_says_who_is_signed_in,
    strangers_and_suspended_accounts_have_no_sessions,
    a_password_of_before_opens_no_session,
    no_session_outlives_a_new_password,
    use_is_noted_and_never_set_back,
    sessions_switch_between_the_users_own_accounts,
    sessions_end_by_hand_and_by_the_clock,
);

async fn find(world: &World, session: &NewSession) -> Option<SessionContext> {
    let found = SessionRepository::find_by_hash(&world.database, &session.hash).await;
    found.unwrap()
}

async fn session_says_who_is_signed_in(world: World) {
    // A6, A11
    let person = world.person("ada").await;
    let session = world.session(person).await;
    let context = find(&world, &session).await.unwrap();
    assert_eq!(context.session, session.session);
    assert_eq!(context.user.id, person.user);
    assert_eq!(context.account.id, person.account);
    assert_eq!(context.role, Role::Admin);
    let unknown = new_session(person.user, person.account);
    assert_eq!(find(&world, &unknown).await, None);
}

async fn strangers_and_suspended_accounts_have_no_sessions(world: World) {
    // A13
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn SessionRepository = &world.database;
    let stranger = new_session(eve.user, ada.account);
    let refused = store.insert(&stranger, &act(NOW)).await.unwrap();
    assert_eq!(refused, InsertSession::AccountSuspended);
    assert_eq!(find(&world, &stranger).await, None);

    let before = world.session(ada).await;
    world
        .database
        .suspend(ada.account, &act(NOW))
        .await
        .unwrap();
    assert_eq!(find(&world, &before).await, None);
    let during = new_session(ada.user, ada.account);
    let refused = store.insert(&during, &act(NOW)).await.unwrap();
    assert_eq!(refused, InsertSession::AccountSuspended);
    world.database.resume(ada.account, &act(NOW)).await.unwrap();
    // What was ended stays ended.
    assert_eq!(find(&world, &before).await, None);
    let inserted = store.insert(&during, &act(NOW)).await.unwrap();
    assert_eq!(inserted, InsertSession::Inserted);
}

async fn a_password_of_before_opens_no_session(world: World) {
    // A10
    let person = world.person("ada").await;
    let store: &dyn SessionRepository = &world.database;
    let password = HashedPassword::from_stored("$new".to_owned());
    let by = act(NOW);
    let set = world.database.set_password(
        person.user,
        None,
        &password,
        PasswordChange::NotNeeded,
        None,
        &by,
    );
    assert!(set.await.unwrap());
    let mut session = new_session(person.user, person.account);
    let refused = store.insert(&session, &act(NOW)).await.unwrap();
    assert_eq!(refused, InsertSession::PasswordChanged);
    assert_eq!(find(&world, &session).await, None);
    session.verified = password;
    let inserted = store.insert(&session, &act(NOW)).await.unwrap();
    assert_eq!(inserted, InsertSession::Inserted);
}

async fn no_session_outlives_a_new_password(world: World) {
    // A10
    let person = world.person("ada").await;
    let insert = |_| {
        let (store, new) = (
            world.database.clone(),
            new_session(person.user, person.account),
        );
        tokio::spawn(async move {
            SessionRepository::insert(&store, &new, &act(NOW))
                .await
                .unwrap();
            new
        })
    };
    let sessions: Vec<_> = (0..32).map(insert).collect();
    let password = HashedPassword::from_stored("$new".to_owned());
    let by = act(NOW);
    let set = world.database.set_password(
        person.user,
        None,
        &password,
        PasswordChange::NotNeeded,
        None,
        &by,
    );
    assert!(set.await.unwrap());
    for session in join_all(sessions).await {
        assert_eq!(find(&world, &session.unwrap()).await, None);
    }
}

async fn use_is_noted_and_never_set_back(world: World) {
    let session = world.session(world.person("ada").await).await;
    let id = session.session.id;
    for (at, expected) in [(60, 60), (30, 60), (61, 61)] {
        world.database.touch(id, seconds(at)).await.unwrap();
        let context = find(&world, &session).await.unwrap();
        assert_eq!(context.session.last_seen_at, seconds(expected));
    }
}

async fn sessions_switch_between_the_users_own_accounts(world: World) {
    // A11
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let session = world.session(ada).await;
    let id = session.session.id;
    let store: &dyn SessionRepository = &world.database;
    assert!(
        store
            .switch_account(id, ada.account, &act(NOW))
            .await
            .unwrap()
    );
    assert!(
        !store
            .switch_account(id, eve.account, &act(NOW))
            .await
            .unwrap()
    );
    let unknown = SessionId::generate(NOW, &mut rng());
    assert!(
        !store
            .switch_account(unknown, ada.account, &act(NOW))
            .await
            .unwrap()
    );
    let context = find(&world, &session).await.unwrap();
    assert_eq!(context.account.id, ada.account);
    let member = Person {
        user: world.member("bob", ada.account, Role::Read).await,
        account: ada.account,
    };
    let of_member = world.session(member).await;
    let context = find(&world, &of_member).await.unwrap();
    assert_eq!(context.role, Role::Read);
}

async fn sessions_end_by_hand_and_by_the_clock(world: World) {
    // A6
    let person = world.person("ada").await;
    let store: &dyn SessionRepository = &world.database;
    let (by_hand, old, idle, live) = (
        world.session(person).await,
        world.session(person).await,
        world.session(person).await,
        world.session(person).await,
    );
    store.delete(by_hand.session.id, &act(NOW)).await.unwrap();
    assert_eq!(find(&world, &by_hand).await, None);
    for session in [&old, &live] {
        store.touch(session.session.id, seconds(100)).await.unwrap();
    }
    // Idle before second 50, made before NOW: only the idle one.
    assert_eq!(store.delete_ended(NOW, seconds(50)).await.unwrap(), 1);
    assert_eq!(find(&world, &idle).await, None);
    assert!(find(&world, &live).await.is_some());
    assert_eq!(store.delete_ended(seconds(1), NOW).await.unwrap(), 2);
    assert_eq!(find(&world, &old).await, None);
}
