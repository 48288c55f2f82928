use remotegpu_accounts::{
    CreateUser, HashedPassword, InsertSession, MemberRepository, PasswordChange, Role,
    SessionRepository, UserRepository,
};
use remotegpu_primitives::{AccountId, StoreError, UserId};

use crate::{
    on_both_databases,
    world::{NOW, Person, World, act, new_account, new_session, new_user, rng, seconds},
};

on_both_databases!(
    first_admin_is_made_once,
    user_comes_back_as_they_were,
    an_email_is_one_users,
    a_member_needs_an_account,
    memberships_are_told_oldest_first,
    the_account_last_acted_for_is_remembered,
    a_new_password_ends_the_other_sessions,
    a_password_that_changed_meanwhile_stays,
);

async fn first_admin_is_made_once(world: World) {
    // A10
    let store: &dyn UserRepository = &world.database;
    let (ada, eve) = (new_user("ada"), new_user("eve"));
    let account = new_account("operator");
    assert!(store.insert_first(&ada, &account, &act(NOW)).await.unwrap());
    assert!(
        !store
            .insert_first(&eve, &new_account("second"), &act(NOW))
            .await
            .unwrap()
    );
    assert_eq!(store.find_by_email(&eve.email).await.unwrap(), None);
    let memberships = store.memberships(ada.id).await.unwrap();
    assert_eq!(memberships.len(), 1);
    assert_eq!(memberships[0].account, account);
    assert_eq!(memberships[0].role, Role::Admin);
}

async fn user_comes_back_as_they_were(world: World) {
    let store: &dyn UserRepository = &world.database;
    let mut user = new_user("ada");
    user.password_change = PasswordChange::NeededUntil(seconds(60));
    store
        .insert_with_account(&user, &new_account("ada"), &act(NOW))
        .await
        .unwrap();
    let found = store.find_by_email(&user.email).await.unwrap().unwrap();
    assert_eq!(found.id, user.id);
    assert_eq!(found.email, user.email);
    assert!(found.password == user.password);
    assert_eq!(found.password_change, user.password_change);
    assert_eq!(found.created_at, NOW);
}

async fn an_email_is_one_users(world: World) {
    let store: &dyn UserRepository = &world.database;
    let person = world.person("ada").await;
    let again = store
        .insert_with_account(&new_user("ada"), &new_account("other"), &act(NOW))
        .await;
    assert_eq!(again.unwrap(), CreateUser::EmailTaken);
    let member = store
        .insert_member(&new_user("ada"), person.account, Role::Read, &act(NOW))
        .await;
    assert_eq!(member.unwrap(), CreateUser::EmailTaken);
    // Nothing of the refused person is left.
    let conflict = store
        .insert_first(&new_user("ada"), &new_account("x"), &act(NOW))
        .await;
    assert!(matches!(conflict, Err(StoreError::Conflict(_))));
    let first = store
        .insert_first(&new_user("eve"), &new_account("x"), &act(NOW))
        .await;
    assert!(first.unwrap());
}

async fn a_member_needs_an_account(world: World) {
    let nowhere = AccountId::generate(NOW, &mut rng());
    let refused = world
        .database
        .insert_member(&new_user("ada"), nowhere, Role::Read, &act(NOW))
        .await;
    assert_eq!(refused.unwrap(), CreateUser::AccountNotFound);
    let found = world.database.find_by_email(&new_user("ada").email).await;
    assert_eq!(found.unwrap(), None);
}

async fn memberships_are_told_oldest_first(world: World) {
    let store: &dyn UserRepository = &world.database;
    let ada = world.person("ada").await;
    let eve = world.member("eve", ada.account, Role::Write).await;
    let memberships = store.memberships(eve).await.unwrap();
    assert_eq!(memberships.len(), 1);
    assert_eq!(memberships[0].role, Role::Write);
    assert_eq!(memberships[0].account.id, ada.account);
}

async fn the_account_last_acted_for_is_remembered(world: World) {
    // A11
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let by = act(NOW);
    assert!(
        world
            .database
            .join(bob.account, ada.user, Role::Read, &by)
            .await
            .unwrap()
    );
    let session = world.session(ada).await;
    let last = async || {
        let memberships = world.database.memberships(ada.user).await.unwrap();
        let mut last = memberships.into_iter().filter(|all| all.last_acted_for);
        last.next().map(|last| last.account.id)
    };
    assert_eq!(last().await, None);
    for account in [bob.account, ada.account, bob.account] {
        let by = act(NOW);
        let id = session.session.id;
        assert!(
            world
                .database
                .switch_account(id, account, &by)
                .await
                .unwrap()
        );
        assert_eq!(last().await, Some(account));
    }
}

async fn a_new_password_ends_the_other_sessions(world: World) {
    // A10
    let person = world.person("ada").await;
    let other = Person {
        user: world.member("eve", person.account, Role::Read).await,
        account: person.account,
    };
    let (kept, ended) = (world.session(person).await, world.session(person).await);
    let others = world.session(other).await;
    let password = HashedPassword::from_stored("$new".to_owned());
    let set = world
        .database
        .set_password(
            person.user,
            Some(&HashedPassword::of_nobody()),
            &password,
            PasswordChange::NotNeeded,
            Some(kept.session.id),
            &act(NOW),
        )
        .await
        .unwrap();
    assert!(set);
    let find = async |session: &remotegpu_accounts::NewSession| {
        let found = SessionRepository::find_by_hash(&world.database, &session.hash).await;
        found.unwrap()
    };
    let context = find(&kept).await.unwrap();
    assert!(context.user.password == password);
    assert_eq!(find(&ended).await, None);
    assert!(find(&others).await.is_some());
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
    assert_eq!(find(&kept).await, None);
}

async fn a_password_that_changed_meanwhile_stays(world: World) {
    // A10
    let person = world.person("ada").await;
    let store: &dyn UserRepository = &world.database;
    let [reset, own] = ["$reset", "$own"].map(|hash| HashedPassword::from_stored(hash.to_owned()));
    let needed = PasswordChange::NeededUntil(seconds(60));
    let by = act(NOW);
    let set = store.set_password(person.user, None, &reset, needed, None, &by);
    assert!(set.await.unwrap());
    let mut session = new_session(person.user, person.account);
    session.verified = reset.clone();
    let inserted = SessionRepository::insert(&world.database, &session, &act(NOW)).await;
    assert_eq!(inserted.unwrap(), InsertSession::Inserted);

    let before = HashedPassword::of_nobody();
    let change = PasswordChange::NotNeeded;
    let by = act(NOW);
    let late = store.set_password(person.user, Some(&before), &own, change, None, &by);
    assert!(!late.await.unwrap());
    let found = SessionRepository::find_by_hash(&world.database, &session.hash).await;
    let user = found.unwrap().unwrap().user;
    assert!(user.password == reset);
    assert_eq!(user.password_change, needed);

    let nobody = UserId::generate(NOW, &mut rng());
    let by = act(NOW);
    let set = store.set_password(nobody, None, &own, change, None, &by);
    assert!(!set.await.unwrap());
}
