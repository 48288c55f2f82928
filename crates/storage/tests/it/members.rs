use futures::future::join_all;
use remotegpu_accounts::{
    AuditFilter, AuditLog, ChangeMember, KeysOfMaker, MadeBefore, Member, MemberRepository, Role,
    SessionRepository, UserRepository,
};
use remotegpu_keys::{ApiKeyRepository, InsertApiKey};
use remotegpu_namespaces::IdentityRepository;
use remotegpu_primitives::{Act, Actor, Origin, PageRequest, UserId};
use remotegpu_scopes::Scopes;

use crate::{
    on_both_databases,
    world::{LIMIT, NOW, Person, World, act, new_key, new_session, rng, seconds},
};

on_both_databases!(
    members_are_listed_without_the_machines_of_the_account,
    a_role_that_is_too_small_ends_what_somebody_made,
    what_is_taken_over_goes_on,
    who_is_removed_is_out_of_everything_of_the_account,
    only_an_admin_of_the_account_changes_who_is_in_it,
    an_account_keeps_an_admin,
    two_admins_who_end_each_other_leave_one,
    no_key_outlives_the_role_of_its_maker,
);

fn by(user: UserId) -> Act {
    Act::new(Actor::User(user), Origin::default(), &mut rng(), NOW)
}

fn page() -> PageRequest {
    PageRequest::default()
}

/// Somebody in the account of `person`.
async fn beside(world: &World, person: Person, name: &str, role: Role) -> Person {
    Person {
        user: world.member(name, person.account, role).await,
        account: person.account,
    }
}

/// `actor` ends somebody's membership in the account.
async fn remove(world: &World, actor: Person, user: UserId, keys: KeysOfMaker) -> ChangeMember<()> {
    let act = by(actor.user);
    let removed = MemberRepository::remove(&world.database, actor.account, user, keys, &act);
    removed.await.unwrap()
}

async fn set_role(world: &World, admin: Person, user: UserId, role: Role) -> ChangeMember<Member> {
    let (store, act): (&dyn MemberRepository, _) = (&world.database, by(admin.user));
    let set = store.set_role(admin.account, user, role, KeysOfMaker::Revoke, &act);
    set.await.unwrap()
}

fn before<T>(changed: ChangeMember<T>) -> MadeBefore {
    match changed {
        ChangeMember::Changed(_, before) => before,
        _ => panic!("nothing was changed"),
    }
}

/// How many events of each of these actions the account has.
async fn counts<const N: usize>(world: &World, person: Person, of: [&str; N]) -> [usize; N] {
    let filter = AuditFilter::default();
    let events = AuditLog::list(&world.database, person.account, filter, page()).await;
    let events = events.unwrap().items;
    of.map(|action| {
        let of_it = events
            .iter()
            .filter(|event| event.action.as_str() == action);
        of_it.count()
    })
}

async fn members_are_listed_without_the_machines_of_the_account(world: World) {
    // T7, T8
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let bob = beside(&world, ada, "bob", Role::Read).await;
    let machine = beside(&world, ada, "machine", Role::Admin).await;
    world.execute("UPDATE users SET email = 'service-user:1' WHERE email = 'machine@example.org'");
    let store: &dyn MemberRepository = &world.database;
    let listed = MemberRepository::list(store, ada.account, page())
        .await
        .unwrap();
    let mut ids: Vec<UserId> = listed.items.iter().map(|member| member.user_id).collect();
    ids.sort_unstable();
    let mut wanted = [ada.user, bob.user];
    wanted.sort_unstable();
    assert_eq!(ids, wanted);
    let one = PageRequest::new(1, None).unwrap();
    let first = MemberRepository::list(store, ada.account, one)
        .await
        .unwrap();
    assert_eq!(first.items, listed.items[..1]);
    let rest = PageRequest::new(1, first.next).unwrap();
    let rest = MemberRepository::list(store, ada.account, rest)
        .await
        .unwrap();
    assert_eq!((rest.items, rest.next), (listed.items[1..].to_vec(), None));
    let found = MemberRepository::find(store, ada.account, bob.user)
        .await
        .unwrap();
    let found = found.unwrap();
    assert_eq!(
        (found.email.as_str(), found.joined_at),
        ("bob@example.org", NOW)
    );
    assert_eq!(found.role, Role::Read);
    for nobody in [eve.user, machine.user] {
        let found = MemberRepository::find(store, ada.account, nobody)
            .await
            .unwrap();
        assert_eq!(found, None);
        let outcome = set_role(&world, ada, nobody, Role::Read).await;
        assert_eq!(outcome, ChangeMember::NotFound);
        let removed = remove(&world, ada, nobody, KeysOfMaker::Revoke).await;
        assert_eq!(removed, ChangeMember::NotFound);
    }
    // A machine with the role keeps no account alive.
    let outcome = set_role(&world, ada, ada.user, Role::Write).await;
    assert_eq!(outcome, ChangeMember::LastAdmin);
}

async fn a_role_that_is_too_small_ends_what_somebody_made(world: World) {
    // K15, X9
    let ada = world.person("ada").await;
    let bob = beside(&world, ada, "bob", Role::Admin).await;
    let place = world.namespace(ada.account, "team").await;
    let (key, new) = world.key(bob, Scopes::All).await;
    let (revoked, _) = world.key(bob, Scopes::Inference).await;
    let by_bob = by(bob.user);
    world
        .database
        .revoke(ada.account, revoked.id, &by_bob)
        .await
        .unwrap();
    let (hers, of_hers) = world.key(ada, Scopes::All).await;
    let identity = world.identity(&key, new.secret.id, &place).await;
    let other = world.identity(&hers, of_hers.secret.id, &place).await;
    let store: &dyn MemberRepository = &world.database;
    let made = store.list_made(ada.account, bob.user, NOW).await.unwrap();

    let changed = set_role(&world, ada, bob.user, Role::Write).await;
    assert_eq!(before(changed), MadeBefore::default());
    assert_eq!(world.presented(new.secret.id).await.check(NOW), Ok(()));
    assert!(!world.has_ended(identity, NOW).await);

    let ended = before(set_role(&world, ada, bob.user, Role::Read).await);
    assert_eq!(ended.ended.len(), 1);
    assert_eq!(ended.ended[0].id, key.id.to_string());
    assert_eq!(ended.ended, made, "it is what was announced");
    assert_eq!(ended.taken_over, []);
    assert!(world.presented(new.secret.id).await.check(NOW).is_err());
    assert!(world.has_ended(identity, NOW).await);
    assert!(!world.has_ended(other, seconds(99)).await);
    let of = ["api_key.revoked", "member.role_changed"];
    assert_eq!(counts(&world, ada, of).await, [2, 2]);
    // It stays ended with a larger role.
    set_role(&world, ada, bob.user, Role::Admin).await;
    assert!(world.presented(new.secret.id).await.check(NOW).is_err());
    assert_eq!(
        store.list_made(ada.account, bob.user, NOW).await.unwrap(),
        []
    );
}

async fn what_is_taken_over_goes_on(world: World) {
    // K15
    let ada = world.person("ada").await;
    let bob = beside(&world, ada, "bob", Role::Write).await;
    let place = world.namespace(ada.account, "team").await;
    let (key, new) = world.key(bob, Scopes::All).await;
    let identity = world.identity(&key, new.secret.id, &place).await;
    let (store, act): (&dyn MemberRepository, _) = (&world.database, by(ada.user));
    let heir = KeysOfMaker::TakeOver(ada.user);
    let removed = store
        .remove(ada.account, bob.user, heir, &act)
        .await
        .unwrap();
    let before = before(removed);
    assert_eq!((before.ended.len(), before.taken_over.len()), (0, 1));
    assert_eq!(before.taken_over[0].id, key.id.to_string());
    let presented = world.presented(new.secret.id).await;
    assert_eq!(presented.check(NOW), Ok(()));
    assert_eq!(presented.key.created_by, ada.user);
    assert!(!world.has_ended(identity, seconds(99)).await);
    assert_eq!(world.database.end_unjustified(NOW).await.unwrap(), 0);
    let of = ["api_key.updated", "api_key.revoked", "member.removed"];
    assert_eq!(counts(&world, ada, of).await, [1, 0, 1]);
}

async fn who_is_removed_is_out_of_everything_of_the_account(world: World) {
    // K15, T7
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn MemberRepository = &world.database;
    assert!(
        store
            .join(ada.account, eve.user, Role::Write, &by(ada.user))
            .await
            .unwrap()
    );
    assert!(
        !store
            .join(ada.account, eve.user, Role::Admin, &by(ada.user))
            .await
            .unwrap()
    );
    let here = Person {
        user: eve.user,
        account: ada.account,
    };
    let (key, new) = world.key(here, Scopes::All).await;
    let (own, of_own) = world.key(eve, Scopes::All).await;
    let (session, elsewhere) = (world.session(here).await, world.session(eve).await);
    let removed = remove(&world, here, eve.user, KeysOfMaker::Revoke).await;
    assert_eq!(before(removed).ended[0].id, key.id.to_string());
    let find = async |session: &remotegpu_accounts::NewSession| {
        SessionRepository::find_by_hash(&world.database, &session.hash)
            .await
            .unwrap()
    };
    assert_eq!(find(&session).await, None);
    assert!(find(&elsewhere).await.is_some());
    assert!(world.presented(new.secret.id).await.check(NOW).is_err());
    assert_eq!(world.presented(of_own.secret.id).await.check(NOW), Ok(()));
    assert_eq!(own.account_id, eve.account);
    let (late, signing_in) = (new_session(eve.user, ada.account), act(NOW));
    let again = SessionRepository::insert(&world.database, &late, &signing_in).await;
    assert_ne!(again.unwrap(), remotegpu_accounts::InsertSession::Inserted);
    assert_eq!(world.database.memberships(eve.user).await.unwrap().len(), 1);
    let of = ["api_key.revoked", "member.left", "member.removed"];
    assert_eq!(counts(&world, ada, of).await, [1, 1, 0]);
}

async fn only_an_admin_of_the_account_changes_who_is_in_it(world: World) {
    // A11, T7
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let bob = beside(&world, ada, "bob", Role::Write).await;
    let store: &dyn MemberRepository = &world.database;
    for actor in [bob.user, eve.user] {
        let actor = Person {
            user: actor,
            account: ada.account,
        };
        for somebody in [ada.user, bob.user] {
            let set = set_role(&world, actor, somebody, Role::Admin).await;
            assert_eq!(set, ChangeMember::NotAllowed);
        }
        let keys = KeysOfMaker::TakeOver(actor.user);
        let dan = beside(&world, ada, &format!("dan-{}", actor.user), Role::Write).await;
        let removed = remove(&world, actor, dan.user, keys).await;
        assert_eq!(removed, ChangeMember::NotAllowed);
    }
    let found = store.find(ada.account, bob.user).await.unwrap().unwrap();
    assert_eq!(found.role, Role::Write);
}

async fn an_account_keeps_an_admin(world: World) {
    // T7
    let ada = world.person("ada").await;
    let bob = beside(&world, ada, "bob", Role::Write).await;
    let store: &dyn MemberRepository = &world.database;
    for role in [Role::Read, Role::Write] {
        let outcome = set_role(&world, ada, ada.user, role).await;
        assert_eq!(outcome, ChangeMember::LastAdmin);
    }
    assert!(matches!(
        set_role(&world, ada, ada.user, Role::Admin).await,
        ChangeMember::Changed(..)
    ));
    for act in [by(ada.user), act(NOW)] {
        let left = store.remove(ada.account, ada.user, KeysOfMaker::Revoke, &act);
        assert_eq!(left.await.unwrap(), ChangeMember::LastAdmin);
    }
    set_role(&world, ada, bob.user, Role::Admin).await;
    let left = remove(&world, ada, ada.user, KeysOfMaker::Revoke).await;
    assert!(matches!(left, ChangeMember::Changed(..)));
    let outcome = set_role(&world, bob, bob.user, Role::Write).await;
    assert_eq!(outcome, ChangeMember::LastAdmin);
}

async fn two_admins_who_end_each_other_leave_one(world: World) {
    // T7
    for round in 0..20 {
        let ada = world.person(&format!("ada{round}")).await;
        let bob = beside(&world, ada, &format!("bob{round}"), Role::Admin).await;
        let end = |(actor, other): (UserId, UserId)| {
            let store = world.database.clone();
            tokio::spawn(async move {
                let (keys, act) = (KeysOfMaker::Revoke, by(actor));
                if round % 2 == 0 {
                    let removed = MemberRepository::remove(&store, ada.account, other, keys, &act)
                        .await
                        .unwrap();
                    matches!(removed, ChangeMember::Changed(..))
                } else {
                    let role = Role::Read;
                    let set = store.set_role(ada.account, other, role, keys, &act).await;
                    matches!(set.unwrap(), ChangeMember::Changed(..))
                }
            })
        };
        let both = [(ada.user, bob.user), (bob.user, ada.user)];
        let done = join_all(both.map(end)).await;
        let done = done.into_iter().filter(|done| *done.as_ref().unwrap());
        assert_eq!(done.count(), 1);
        let members = MemberRepository::list(&world.database, ada.account, page()).await;
        let admins = members.unwrap().items.into_iter();
        assert_eq!(
            admins.filter(|member| member.role == Role::Admin).count(),
            1
        );
    }
}

async fn no_key_outlives_the_role_of_its_maker(world: World) {
    // K15: whoever issues a key while their role goes has none that wakes up later.
    for round in 0..20 {
        let ada = world.person(&format!("ada{round}")).await;
        let bob = beside(&world, ada, &format!("bob{round}"), Role::Write).await;
        let issue = |_| {
            let (store, new) = (world.database.clone(), new_key(bob, Scopes::All));
            tokio::spawn(async move {
                ApiKeyRepository::insert(&store, &new, LIMIT, &act(NOW))
                    .await
                    .unwrap()
            })
        };
        let issuing = (0..4).map(issue).collect::<Vec<_>>();
        set_role(&world, ada, bob.user, Role::Read).await;
        for issued in join_all(issuing).await {
            let issued = issued.unwrap();
            assert!(matches!(
                issued,
                InsertApiKey::Inserted(_) | InsertApiKey::MakerMayNot
            ));
        }
        let store: &dyn MemberRepository = &world.database;
        assert_eq!(
            store.list_made(ada.account, bob.user, NOW).await.unwrap(),
            []
        );
    }
}
