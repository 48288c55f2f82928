use futures::future::join_all;
use remotegpu_accounts::{
    AcceptInvitation, AccountRepository, CreateUser, DeleteInvitation, Email, Guest,
    InsertInvitation, Invitation, InvitationRepository, KeysOfMaker, MadeKind, MemberRepository,
    NewInvitation, PlainInvitation, Role, UserRepository,
};
use remotegpu_primitives::{Act, Actor, InvitationId, Origin, PageRequest, UserId};
use time::OffsetDateTime;

use crate::{
    on_both_databases,
    world::{NOW, Person, World, act, new_account, new_user, rng, seconds},
};

on_both_databases!(
    an_invitation_lets_one_address_in_once,
    one_of_all_who_accept_at_once_does,
    an_invitation_is_bound_to_its_address,
    an_invitation_ends,
    an_account_asks_an_address_once_and_only_so_many,
    the_limit_is_exact_under_concurrency,
    nobody_signs_up_as_somebody_who_is_invited,
    an_invitation_ends_with_the_role_of_who_made_it,
    only_admins_ask_and_take_back,
);

fn by(user: UserId, at: OffsetDateTime) -> Act {
    Act::new(Actor::User(user), Origin::default(), &mut rng(), at)
}

fn invitation(person: Person, name: &str, role: Role) -> (NewInvitation, PlainInvitation) {
    let secret = PlainInvitation::generate(&mut rng());
    let new = NewInvitation {
        id: InvitationId::generate(NOW, &mut rng()),
        account_id: person.account,
        email: Email::parse(&format!("{name}@example.org")).unwrap(),
        role,
        created_by: person.user,
        created_at: NOW,
        hash: secret.hash(),
    };
    (new, secret)
}

async fn insert(world: &World, new: &NewInvitation, limit: u32) -> InsertInvitation {
    let by = by(new.created_by, new.created_at);
    let inserted = InvitationRepository::insert(&world.database, new, limit, &by);
    inserted.await.unwrap()
}

async fn invite(world: &World, person: Person, name: &str) -> (Invitation, PlainInvitation) {
    let (new, secret) = invitation(person, name, Role::Write);
    match insert(world, &new, 50).await {
        InsertInvitation::Inserted(invitation) => (invitation, secret),
        other => panic!("{other:?}"),
    }
}

async fn accept(world: &World, secret: &PlainInvitation, guest: Guest<'_>) -> AcceptInvitation {
    let act = match guest {
        Guest::User(id) => by(id, NOW),
        Guest::New(user) => by(user.id, NOW),
    };
    let hash = secret.hash();
    let accepted = world.database.accept(&hash, guest, &act).await;
    accepted.unwrap()
}

async fn open(world: &World, person: Person, at: OffsetDateTime) -> Vec<Invitation> {
    let page = PageRequest::default();
    let listed = InvitationRepository::list(&world.database, person.account, page, at).await;
    listed.unwrap().items
}

async fn an_invitation_lets_one_address_in_once(world: World) {
    // T7, T10
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn InvitationRepository = &world.database;
    let (of_bob, to_bob) = invite(&world, ada, "bob").await;
    let (of_eve, to_eve) = invite(&world, ada, "eve").await;
    assert_eq!(of_bob.expires_at, NOW + Invitation::LIFE);
    let mut listed = open(&world, ada, NOW).await;
    listed.sort_by_key(|invitation| invitation.id != of_bob.id);
    assert_eq!(listed, [of_bob.clone(), of_eve.clone()]);
    let found = store.find(ada.account, of_bob.id, NOW).await.unwrap();
    assert_eq!(found, Some(of_bob.clone()));
    assert_eq!(store.find(eve.account, of_bob.id, NOW).await.unwrap(), None);
    // A look changes nothing.
    for _ in 0..2 {
        let shown = store.find_by_hash(&to_bob.hash(), NOW).await.unwrap();
        let (shown, account) = shown.unwrap();
        assert_eq!((shown, account.id), (of_bob.clone(), ada.account));
    }
    let bob = new_user("bob");
    let AcceptInvitation::Accepted(account, role) = accept(&world, &to_bob, Guest::New(&bob)).await
    else {
        panic!("it is not accepted");
    };
    assert_eq!((account.id, role), (ada.account, Role::Write.into()));
    let again = accept(&world, &to_bob, Guest::User(bob.id)).await;
    assert_eq!(again, AcceptInvitation::NotFound);
    let accepted = accept(&world, &to_eve, Guest::User(eve.user)).await;
    assert!(matches!(accepted, AcceptInvitation::Accepted(..)));
    assert_eq!(world.database.memberships(eve.user).await.unwrap().len(), 2);
    assert_eq!(open(&world, ada, NOW).await, []);
    let member = MemberRepository::find(&world.database, ada.account, bob.id).await;
    assert_eq!(member.unwrap().unwrap().role, Role::Write);
    let stored = world.database.find_by_email(&bob.email).await.unwrap();
    assert!(stored.unwrap().password == bob.password);
}

async fn one_of_all_who_accept_at_once_does(world: World) {
    // T10
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    for name in ["eve", "bob"] {
        let (_, secret) = invite(&world, ada, name).await;
        let accept = |_| {
            let (store, hash) = (world.database.clone(), secret.hash());
            tokio::spawn(async move {
                let user = new_user(name);
                let guest = if name == "eve" {
                    Guest::User(eve.user)
                } else {
                    Guest::New(&user)
                };
                let accepted = store.accept(&hash, guest, &act(NOW)).await.unwrap();
                matches!(accepted, AcceptInvitation::Accepted(..))
            })
        };
        let done = join_all((0..16).map(accept)).await;
        let done = done.into_iter().filter(|done| *done.as_ref().unwrap());
        assert_eq!(done.count(), 1, "{name}");
    }
    let members = MemberRepository::list(&world.database, ada.account, PageRequest::default());
    assert_eq!(members.await.unwrap().items.len(), 3);
}

async fn an_invitation_is_bound_to_its_address(world: World) {
    // T10
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let (_, secret) = invite(&world, ada, "bob").await;
    let other = accept(&world, &secret, Guest::User(eve.user)).await;
    assert_eq!(other, AcceptInvitation::WrongPerson);
    let other = accept(&world, &secret, Guest::New(&new_user("mallory"))).await;
    assert_eq!(other, AcceptInvitation::WrongPerson);
    // A user whom the operator made meanwhile keeps their password.
    world.member("bob", eve.account, Role::Read).await;
    let late = accept(&world, &secret, Guest::New(&new_user("bob"))).await;
    assert_eq!(late, AcceptInvitation::EmailTaken);
    assert_eq!(open(&world, ada, NOW).await.len(), 1);
}

async fn an_invitation_ends(world: World) {
    // T7, A13
    let ada = world.person("ada").await;
    let store: &dyn InvitationRepository = &world.database;
    let (of_bob, to_bob) = invite(&world, ada, "bob").await;
    let at_end = NOW + Invitation::LIFE;
    assert_eq!(open(&world, ada, at_end).await, []);
    assert_eq!(
        store.find(ada.account, of_bob.id, at_end).await.unwrap(),
        None
    );
    assert_eq!(
        store.find_by_hash(&to_bob.hash(), at_end).await.unwrap(),
        None
    );
    let late = by(ada.user, at_end);
    let bob = new_user("bob");
    let accepted = store.accept(&to_bob.hash(), Guest::New(&bob), &late).await;
    assert_eq!(accepted.unwrap(), AcceptInvitation::NotFound);
    let deleted = store.delete(ada.account, of_bob.id, &late).await.unwrap();
    assert_eq!(deleted, DeleteInvitation::NotFound);
    // The address can be asked again.
    let (mut new, _) = invitation(ada, "bob", Role::Read);
    new.created_at = at_end;
    assert!(matches!(
        insert(&world, &new, 1).await,
        InsertInvitation::Inserted(_)
    ));
    // A suspended account lets nobody in.
    let (_, to_eve) = invite(&world, ada, "eve").await;
    world
        .database
        .suspend(ada.account, &act(NOW))
        .await
        .unwrap();
    assert_eq!(store.find_by_hash(&to_eve.hash(), NOW).await.unwrap(), None);
    let eve = accept(&world, &to_eve, Guest::New(&new_user("eve"))).await;
    assert_eq!(eve, AcceptInvitation::NotFound);
}

async fn an_account_asks_an_address_once_and_only_so_many(world: World) {
    // T7, T10
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    world.member("carl", ada.account, Role::Read).await;
    let ask = async |person, name, limit| {
        let (new, _) = invitation(person, name, Role::Read);
        insert(&world, &new, limit).await
    };
    for known in ["ada", "carl"] {
        assert_eq!(ask(ada, known, 50).await, InsertInvitation::AlreadyInvited);
    }
    assert!(matches!(
        ask(ada, "bob", 1).await,
        InsertInvitation::Inserted(_)
    ));
    assert_eq!(ask(ada, "bob", 50).await, InsertInvitation::AlreadyInvited);
    assert_eq!(ask(ada, "eve", 1).await, InsertInvitation::LimitReached);
    // Another account asks by itself.
    assert!(matches!(
        ask(eve, "bob", 1).await,
        InsertInvitation::Inserted(_)
    ));
}

async fn the_limit_is_exact_under_concurrency(world: World) {
    // T10
    let ada = world.person("ada").await;
    let ask = |n: u32| {
        let (store, (new, _)) = (
            world.database.clone(),
            invitation(ada, &format!("x{n}"), Role::Read),
        );
        tokio::spawn(async move {
            let by = by(ada.user, NOW);
            InvitationRepository::insert(&store, &new, 5, &by)
                .await
                .unwrap()
        })
    };
    let asked = join_all((0..24).map(ask)).await;
    let stored = asked
        .into_iter()
        .filter(|asked| matches!(asked.as_ref().unwrap(), InsertInvitation::Inserted(_)));
    assert_eq!(stored.count(), 5);
}

async fn nobody_signs_up_as_somebody_who_is_invited(world: World) {
    // T10
    let ada = world.person("ada").await;
    let (of_bob, _) = invite(&world, ada, "bob").await;
    let sign_up = async |at| {
        let (user, account) = (new_user("bob"), new_account("bob"));
        let by = by(user.id, at);
        let made = world.database.insert_with_account(&user, &account, &by);
        made.await.unwrap()
    };
    assert_eq!(sign_up(NOW).await, CreateUser::EmailTaken);
    let store: &dyn InvitationRepository = &world.database;
    let deleted = store
        .delete(ada.account, of_bob.id, &by(ada.user, NOW))
        .await;
    assert_eq!(deleted.unwrap(), DeleteInvitation::Deleted);
    invite(&world, ada, "bob").await;
    assert_eq!(sign_up(NOW + Invitation::LIFE).await, CreateUser::Created);
}

async fn an_invitation_ends_with_the_role_of_who_made_it(world: World) {
    // K15, T10
    let ada = world.person("ada").await;
    for name in ["bob", "carl"] {
        let user = world.member(name, ada.account, Role::Admin).await;
        let admin = Person {
            user,
            account: ada.account,
        };
        invite(&world, ada, &format!("of-ada-{name}")).await;
        let (ended, secret) = invite(&world, admin, &format!("of-{name}")).await;
        let made = world
            .database
            .list_made(ada.account, user, NOW)
            .await
            .unwrap();
        let act = by(ada.user, seconds(1));
        let before = if name == "bob" {
            let (role, keys) = (Role::Write, KeysOfMaker::Revoke);
            let set = world
                .database
                .set_role(ada.account, user, role, keys, &act)
                .await;
            match set.unwrap() {
                remotegpu_accounts::ChangeMember::Changed(_, before) => before,
                other => panic!("{other:?}"),
            }
        } else {
            let keys = KeysOfMaker::TakeOver(ada.user);
            let removed = MemberRepository::remove(&world.database, ada.account, user, keys, &act);
            match removed.await.unwrap() {
                remotegpu_accounts::ChangeMember::Changed((), before) => before,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(before.ended, made);
        assert_eq!(before.ended[0].kind, MadeKind::Invitation);
        assert_eq!(before.ended[0].id, ended.id.to_string());
        let nobody = accept(&world, &secret, Guest::New(&new_user("x"))).await;
        assert_eq!(nobody, AcceptInvitation::NotFound);
    }
    assert_eq!(open(&world, ada, NOW).await.len(), 2);
}

async fn only_admins_ask_and_take_back(world: World) {
    // A11, T7
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let (of_bob, _) = invite(&world, ada, "bob").await;
    let writer = world.member("writer", ada.account, Role::Write).await;
    for user in [writer, eve.user] {
        let (new, _) = invitation(
            Person {
                user,
                account: ada.account,
            },
            "x",
            Role::Read,
        );
        assert_eq!(insert(&world, &new, 50).await, InsertInvitation::NotAllowed);
        let act = by(user, NOW);
        let deleted = InvitationRepository::delete(&world.database, ada.account, of_bob.id, &act);
        assert_eq!(deleted.await.unwrap(), DeleteInvitation::NotAllowed);
    }
    let act = by(eve.user, NOW);
    let deleted = InvitationRepository::delete(&world.database, eve.account, of_bob.id, &act);
    assert_eq!(deleted.await.unwrap(), DeleteInvitation::NotFound);
}
