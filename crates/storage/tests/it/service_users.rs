use futures::future::join_all;
use remotegpu_accounts::{
    AccountRepository, AuditAction, AuditFilter, AuditLog, ChangeMember, HashedServiceUserToken,
    InsertLimited, KeysOfMaker, MadeBefore, MemberRepository, NewServiceUser, NewServiceUserToken,
    PlainServiceUserToken, Role, ServiceUser, ServiceUserChange, ServiceUserRepository,
    ServiceUserToken, UserRepository,
};
use remotegpu_keys::{ApiKey, ApiKeyRepository, KeyName, KeyStatus};
use remotegpu_primitives::{Act, Actor, Origin, PageRequest, ServiceUserTokenId, UserId};
use remotegpu_scopes::Scopes;
use remotegpu_storage::Database;
use time::OffsetDateTime;

use crate::{
    on_both_databases,
    world::{NOW, Person, World, act, new_key, rng, seconds},
};

on_both_databases!(
    a_service_user_stands_for_itself_in_its_account,
    a_limit_of_service_users_holds_in_a_race,
    a_token_finds_its_service_user_until_it_is_deleted,
    a_suspended_account_has_no_service_users_that_come_in,
    what_has_expired_makes_room_and_nothing_else_does,
    a_use_is_noted_and_never_set_back,
    another_account_sees_none_of_them,
    a_role_that_is_too_small_ends_what_it_made,
    what_it_made_is_taken_over,
    a_deletion_ends_all_that_it_had,
    only_an_admin_changes_who_manages,
    it_outlives_the_member_who_made_it,
);

fn store(world: &World) -> &dyn ServiceUserRepository {
    &world.database
}

fn name(text: &str) -> KeyName {
    KeyName::parse(text).unwrap()
}

fn new_service_user(person: Person) -> NewServiceUser {
    NewServiceUser {
        id: UserId::generate(NOW, &mut rng()),
        account_id: person.account,
        name: name("ci"),
        role: Role::Write,
        created_at: NOW,
        created_by: person.user,
    }
}

fn new_token(person: Person, expires_at: OffsetDateTime) -> NewServiceUserToken {
    let plain = PlainServiceUserToken::generate(&mut rng());
    NewServiceUserToken {
        hash: plain.hash(),
        token: ServiceUserToken {
            id: ServiceUserTokenId::generate(NOW, &mut rng()),
            name: name("main"),
            prefix: plain.prefix(),
            created_at: NOW,
            created_by: person.user,
            expires_at,
            last_used_at: None,
        },
    }
}

async fn service_user(world: &World, person: Person) -> UserId {
    let new = new_service_user(person);
    let inserted = store(world).insert(&new, 20, &act(NOW)).await.unwrap();
    assert!(
        matches!(inserted, InsertLimited::Inserted(_)),
        "{inserted:?}"
    );
    new.id
}

async fn token(world: &World, person: Person, id: UserId) -> NewServiceUserToken {
    let new = new_token(person, seconds(3600));
    let act = act(NOW);
    let inserted = store(world).insert_token(person.account, id, &new, 20, &act);
    let stored = new.token.clone();
    assert_eq!(inserted.await.unwrap(), InsertLimited::Inserted(stored));
    new
}

async fn comes_in(world: &World, hash: &HashedServiceUserToken) -> Option<UserId> {
    let found = store(world).find_by_hash(hash).await.unwrap();
    found.map(|context| context.service_user.id)
}

fn page() -> PageRequest {
    PageRequest::new(PageRequest::MAX_LIMIT, None).unwrap()
}

async fn a_service_user_stands_for_itself_in_its_account(world: World) {
    // T8
    let ada = world.person("ada").await;
    let new = new_service_user(ada);
    let inserted = store(&world).insert(&new, 20, &act(NOW)).await.unwrap();
    let InsertLimited::Inserted(stored) = inserted else {
        panic!("{inserted:?}");
    };
    let found = store(&world)
        .find(ada.account, new.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&found.name, found.created_by), (&new.name, ada.user));
    assert_eq!(found.role, Role::Write);
    assert_eq!(found, stored);
    let listed = store(&world).list(ada.account, page()).await.unwrap();
    assert_eq!(listed.items, [found]);
    // Where people's roles stand, so that what it makes stands on it.
    let memberships = world.database.memberships(new.id).await.unwrap();
    assert_eq!(memberships.len(), 1);
    assert_eq!(memberships[0].role, Role::Write);
    let filter = AuditFilter {
        action: Some(AuditAction::ServiceUserCreated),
        ..AuditFilter::default()
    };
    let events = AuditLog::list(&world.database, ada.account, filter, page()).await;
    let details = &events.unwrap().items[0].details;
    assert_eq!(details.name.as_deref(), Some("ci"));
    assert_eq!(details.role, Some(Role::Write.into()));
}

async fn a_limit_of_service_users_holds_in_a_race(world: World) {
    // T10
    let ada = world.person("ada").await;
    let other: Database = world.instance().await;
    let made = (0..16).map(|number| {
        let new = new_service_user(ada);
        let database = if number % 2 == 0 {
            &world.database
        } else {
            &other
        };
        async move {
            ServiceUserRepository::insert(database, &new, 3, &act(NOW))
                .await
                .unwrap()
        }
    });
    let made = join_all(made).await;
    let inserted = made
        .iter()
        .filter(|one| matches!(one, InsertLimited::Inserted(_)));
    assert_eq!(inserted.count(), 3, "{made:?}");
    let listed = store(&world).list(ada.account, page()).await.unwrap();
    assert_eq!(listed.items.len(), 3);
}

async fn a_token_finds_its_service_user_until_it_is_deleted(world: World) {
    // T8
    let ada = world.person("ada").await;
    let id = service_user(&world, ada).await;
    let (one, other) = (token(&world, ada, id).await, token(&world, ada, id).await);
    let context = store(&world)
        .find_by_hash(&one.hash)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(context.service_user.id, id);
    assert_eq!(context.account.id, ada.account);
    assert_eq!(context.service_user.role, Role::Write);
    assert_eq!(context.token, one.token);
    let listed = store(&world)
        .list_tokens(ada.account, id, page())
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 2);
    let found = store(&world)
        .find_token(ada.account, id, one.token.id)
        .await;
    assert_eq!(found.unwrap(), Some(one.token.clone()));
    for expected in [true, false] {
        let act = act(NOW);
        let deleted = store(&world).delete_token(ada.account, id, one.token.id, &act);
        assert_eq!(deleted.await.unwrap(), expected);
    }
    assert_eq!(comes_in(&world, &one.hash).await, None);
    assert_eq!(comes_in(&world, &other.hash).await, Some(id));
}

async fn a_suspended_account_has_no_service_users_that_come_in(world: World) {
    // A13, T8
    let ada = world.person("ada").await;
    let id = service_user(&world, ada).await;
    let token = token(&world, ada, id).await;
    world
        .database
        .suspend(ada.account, &act(NOW))
        .await
        .unwrap();
    assert_eq!(comes_in(&world, &token.hash).await, None);
    world.database.resume(ada.account, &act(NOW)).await.unwrap();
    assert_eq!(comes_in(&world, &token.hash).await, Some(id));
}

async fn what_has_expired_makes_room_and_nothing_else_does(world: World) {
    // T10
    let ada = world.person("ada").await;
    let id = service_user(&world, ada).await;
    let insert = async |ends: i64, at: i64| {
        let new = new_token(ada, seconds(ends));
        let act = act(seconds(at));
        let inserted = store(&world)
            .insert_token(ada.account, id, &new, 2, &act)
            .await;
        (inserted.unwrap(), new.token.id)
    };
    let (first, soonest) = insert(10, 0).await;
    let (second, later) = insert(20, 0).await;
    for inserted in [first, second] {
        assert!(matches!(inserted, InsertLimited::Inserted(_)));
    }
    assert_eq!(insert(3600, 9).await.0, InsertLimited::LimitReached);
    // It stays in the list until its place is needed.
    let there = async || {
        let page = store(&world)
            .list_tokens(ada.account, id, page())
            .await
            .unwrap();
        page.items.iter().map(|token| token.id).collect::<Vec<_>>()
    };
    assert!(there().await.contains(&soonest));
    let (third, new) = insert(3600, 10).await;
    assert!(matches!(third, InsertLimited::Inserted(_)));
    let there = there().await;
    assert!(there.contains(&later) && there.contains(&new) && there.len() == 2);
    // A limit that was lowered lets nothing in, and takes nothing away.
    let nobody = UserId::generate(NOW, &mut rng());
    let (new, act) = (new_token(ada, NOW), act(NOW));
    let none = store(&world).insert_token(ada.account, nobody, &new, 2, &act);
    assert_eq!(none.await.unwrap(), InsertLimited::NotFound);
}

async fn a_use_is_noted_and_never_set_back(world: World) {
    // T8
    let ada = world.person("ada").await;
    let id = service_user(&world, ada).await;
    let token = token(&world, ada, id).await;
    let used = async || {
        let context = store(&world).find_by_hash(&token.hash).await.unwrap();
        context.unwrap().token.last_used_at
    };
    assert_eq!(used().await, None);
    for (noted, expected) in [(60, 60), (30, 60), (90, 90)] {
        let touched = store(&world).touch(token.token.id, seconds(noted)).await;
        touched.unwrap();
        assert_eq!(used().await, Some(seconds(expected)));
    }
}

async fn another_account_sees_none_of_them(world: World) {
    // C6, T8
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let id = service_user(&world, ada).await;
    let token = token(&world, ada, id).await;
    let (store, id_of_token) = (store(&world), token.token.id);
    assert_eq!(store.find(eve.account, id).await.unwrap(), None);
    assert!(
        store
            .list(eve.account, page())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let listed = store.list_tokens(eve.account, id, page()).await.unwrap();
    assert!(listed.items.is_empty());
    let found = store.find_token(eve.account, id, id_of_token).await;
    assert_eq!(found.unwrap(), None);
    let new = new_token(eve, seconds(3600));
    let inserted = store
        .insert_token(eve.account, id, &new, 20, &act(NOW))
        .await;
    assert_eq!(inserted.unwrap(), InsertLimited::NotFound);
    let deleted = store
        .delete_token(eve.account, id, id_of_token, &act(NOW))
        .await;
    assert!(!deleted.unwrap());
    assert_eq!(comes_in(&world, &token.hash).await, Some(id));
}

/// A key that the service user made, and what it opens in a cluster.
async fn key_of(world: &World, person: Person, id: UserId) -> ApiKey {
    let maker = Person {
        user: id,
        account: person.account,
    };
    world.insert_key(&new_key(maker, Scopes::All)).await
}

async fn key_now(world: &World, key: &ApiKey) -> ApiKey {
    let found = ApiKeyRepository::find(&world.database, key.account_id, key.id).await;
    found.unwrap().unwrap()
}

async fn to_role(
    world: &World,
    person: Person,
    id: UserId,
    role: Role,
    keys: KeysOfMaker,
) -> (ServiceUser, MadeBefore) {
    let change = ServiceUserChange {
        name: None,
        role: Some(role),
    };
    let (store, act) = (store(world), act(NOW));
    match store
        .update(person.account, id, &change, keys, &act)
        .await
        .unwrap()
    {
        ChangeMember::Changed(found, before) => (found, before),
        other => panic!("{other:?}"),
    }
}

async fn a_role_that_is_too_small_ends_what_it_made(world: World) {
    // K15, T8
    let ada = world.person("ada").await;
    let id = service_user(&world, ada).await;
    let token = token(&world, ada, id).await;
    let (key, own) = (
        key_of(&world, ada, id).await,
        key_of(&world, ada, ada.user).await,
    );
    let (found, before) = to_role(&world, ada, id, Role::Admin, KeysOfMaker::Revoke).await;
    assert_eq!(
        (found.role, before),
        (Role::Admin.into(), MadeBefore::default())
    );
    let (found, before) = to_role(&world, ada, id, Role::Read, KeysOfMaker::Revoke).await;
    assert_eq!(found.role, Role::Read);
    assert_eq!(before.ended.len(), 1);
    assert_eq!(before.ended[0].id, key.id.to_string());
    assert_eq!(key_now(&world, &key).await.status(NOW), KeyStatus::Revoked);
    assert_eq!(key_now(&world, &own).await.status(NOW), KeyStatus::Active);
    let context = store(&world).find_by_hash(&token.hash).await.unwrap();
    assert_eq!(context.unwrap().service_user.role, Role::Read);
}

async fn what_it_made_is_taken_over(world: World) {
    // K15, T8
    let ada = world.person("ada").await;
    let id = service_user(&world, ada).await;
    let key = key_of(&world, ada, id).await;
    let keys = KeysOfMaker::TakeOver(ada.user);
    let (_, before) = to_role(&world, ada, id, Role::Read, keys).await;
    assert_eq!(before.taken_over[0].id, key.id.to_string());
    let key = key_now(&world, &key).await;
    assert_eq!(
        (key.status(NOW), key.created_by),
        (KeyStatus::Active, ada.user)
    );
}

async fn a_deletion_ends_all_that_it_had(world: World) {
    // K15, T8
    let ada = world.person("ada").await;
    let delete = async |id| {
        let act = act(NOW);
        store(&world)
            .delete(ada.account, id, KeysOfMaker::Revoke, &act)
            .await
            .unwrap()
    };
    let id = service_user(&world, ada).await;
    let token = token(&world, ada, id).await;
    let key = key_of(&world, ada, id).await;
    let ChangeMember::Changed((), before) = delete(id).await else {
        panic!("nothing was deleted");
    };
    assert_eq!(before.ended[0].id, key.id.to_string());
    assert_eq!(comes_in(&world, &token.hash).await, None);
    assert_eq!(store(&world).find(ada.account, id).await.unwrap(), None);
    let dead = key_now(&world, &key).await;
    assert_eq!(
        (dead.status(NOW), dead.created_by),
        (KeyStatus::Revoked, id)
    );
    assert!(world.database.memberships(id).await.unwrap().is_empty());
    assert_eq!(delete(id).await, ChangeMember::NotFound);
    // One that made nothing leaves nothing behind.
    let idle = service_user(&world, ada).await;
    assert!(matches!(delete(idle).await, ChangeMember::Changed(..)));
    let filter = AuditFilter {
        action: Some(AuditAction::ServiceUserDeleted),
        ..AuditFilter::default()
    };
    let events = AuditLog::list(&world.database, ada.account, filter, page()).await;
    assert_eq!(events.unwrap().items.len(), 2);
}

async fn only_an_admin_changes_who_manages(world: World) {
    // A11, T8
    let ada = world.person("ada").await;
    let id = service_user(&world, ada).await;
    let writer = world.member("writer", ada.account, Role::Write).await;
    let by = Act::new(Actor::User(writer), Origin::default(), &mut rng(), NOW);
    let store = store(&world);
    let made = store.insert(&new_service_user(ada), 20, &by).await;
    assert_eq!(made.unwrap(), InsertLimited::NotAllowed);
    let new = new_token(ada, seconds(3600));
    let issued = store.insert_token(ada.account, id, &new, 20, &by).await;
    assert_eq!(issued.unwrap(), InsertLimited::NotAllowed);
    let change = ServiceUserChange {
        name: Some(name("mine")),
        role: Some(Role::Admin),
    };
    let keys = KeysOfMaker::Revoke;
    let updated = store.update(ada.account, id, &change, keys, &by).await;
    assert_eq!(updated.unwrap(), ChangeMember::NotAllowed);
    let deleted = store.delete(ada.account, id, keys, &by).await;
    assert_eq!(deleted.unwrap(), ChangeMember::NotAllowed);
    let found = store.find(ada.account, id).await.unwrap().unwrap();
    assert_eq!((found.name, found.role), (name("ci"), Role::Write.into()));
}

async fn it_outlives_the_member_who_made_it(world: World) {
    // T8
    let ada = world.person("ada").await;
    let bob = Person {
        user: world.member("bob", ada.account, Role::Admin).await,
        account: ada.account,
    };
    let id = service_user(&world, bob).await;
    let token = token(&world, bob, id).await;
    let key = key_of(&world, ada, id).await;
    let (keys, act) = (KeysOfMaker::Revoke, act(NOW));
    let removed = MemberRepository::remove(&world.database, ada.account, bob.user, keys, &act);
    assert!(matches!(removed.await.unwrap(), ChangeMember::Changed(..)));
    assert_eq!(comes_in(&world, &token.hash).await, Some(id));
    assert_eq!(key_now(&world, &key).await.status(NOW), KeyStatus::Active);
}
