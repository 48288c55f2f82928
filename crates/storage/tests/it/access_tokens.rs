//! Access tokens (contract T1 to T6).

use remotegpu_access_tokens::{
    AccessToken, AccessTokenRepository, HashedAccessToken, InsertAccessToken,
    InstallationAccessTokens, NewAccessToken, OwnedAccessToken, PlainAccessToken, TokenHandle,
    TokenNote, TokenStatus, TokenWord, TokensOf,
};
use remotegpu_accounts::{
    AccountRepository, AuditAction, AuditEvent, AuditFilter, AuditLog, AuditSubject, ChangeMember,
    HashedPassword, KeysOfMaker, MemberRepository, PasswordChange, Role, UserRepository,
};
use remotegpu_keys::{KeyChange, KeyChangeFeed, KeyChangeSubscription, KeyName, KeyNews};
use remotegpu_namespaces::ClusterName;
use remotegpu_primitives::{AccessTokenId, AccountId, Act, Actor, PageRequest, UserId};
use remotegpu_scopes::Scopes;
use time::OffsetDateTime;

use crate::world::{NOW, Person, World, act, rng, seconds};

crate::on_both_databases!(
    what_is_stored_is_read_back,
    a_token_is_found_with_what_decides_about_it_today,
    others_tokens_are_not_there,
    a_holder_has_so_many_active_ones_and_no_more,
    the_limit_holds_under_concurrency,
    who_is_no_member_or_must_change_their_password_gets_none,
    a_deleted_token_is_gone_and_told,
    a_reset_of_the_password_deletes_them,
    they_go_with_their_holder_and_stay_with_a_smaller_role,
    uses_are_written_at_most_once_a_minute,
    expired_ones_go_after_their_time,
    too_many_expired_ones_go_when_another_is_made,
    every_change_of_a_token_is_told,
    many_tokens_end_at_once,
);

fn new_token(person: Person) -> (NewAccessToken, HashedAccessToken) {
    let secret = PlainAccessToken::generate(&mut rng());
    let token = NewAccessToken {
        id: AccessTokenId::generate(NOW, &mut rng()),
        handle: TokenHandle::generate(&TokenWord::default(), &mut rng()),
        account_id: person.account,
        name: KeyName::parse("laptop").unwrap(),
        note: TokenNote::parse("of ada's").unwrap(),
        hash: secret.hash(),
        prefix: secret.prefix(),
        clusters: ["fra1", "ams2"].map(cluster).to_vec(),
        created_at: NOW,
        created_by: person.user,
        expires_at: Some(seconds(60)),
    };
    (token, secret.hash())
}

fn cluster(name: &str) -> ClusterName {
    ClusterName::parse(name).unwrap()
}

async fn insert(world: &World, token: &NewAccessToken) -> InsertAccessToken {
    let act = act(token.created_at);
    let inserted = AccessTokenRepository::insert(&world.database, token, 3, &act).await;
    inserted.unwrap()
}

async fn token(world: &World, person: Person) -> (AccessToken, HashedAccessToken) {
    let (new, hash) = new_token(person);
    match insert(world, &new).await {
        InsertAccessToken::Inserted(token) => (token, hash),
        other => panic!("{other:?}"),
    }
}

async fn listed(world: &World, account: AccountId, of: TokensOf) -> Vec<AccessTokenId> {
    let page = PageRequest::new(200, None).unwrap();
    let listed = AccessTokenRepository::list(&world.database, account, of, page).await;
    let listed = listed.unwrap().items;
    listed.iter().map(|token| token.id).collect()
}

async fn find(world: &World, token: &AccessToken) -> Option<AccessToken> {
    let store: &dyn AccessTokenRepository = &world.database;
    let found = store.find(token.account_id, TokensOf::All, &token.handle);
    found.await.unwrap()
}

async fn events(world: &World, account: AccountId, action: AuditAction) -> Vec<AuditEvent> {
    let filter = AuditFilter {
        action: Some(action),
        ..AuditFilter::default()
    };
    let page = PageRequest::new(200, None).unwrap();
    let listed = AuditLog::list(&world.database, account, filter, page).await;
    listed.unwrap().items
}

async fn what_is_stored_is_read_back(world: World) {
    // T5
    let ada = world.person("ada").await;
    let (new, _) = new_token(ada);
    let InsertAccessToken::Inserted(token) = insert(&world, &new).await else {
        panic!("not inserted")
    };
    let expected = AccessToken {
        id: new.id,
        handle: new.handle.clone(),
        account_id: ada.account,
        name: new.name.clone(),
        note: new.note.clone(),
        prefix: new.prefix.clone(),
        clusters: new.clusters.clone(),
        created_at: NOW,
        created_by: ada.user,
        expires_at: new.expires_at,
        last_used_at: None,
    };
    assert_eq!(token, expected);
    assert_eq!(find(&world, &token).await, Some(expected));
    let events = events(&world, ada.account, AuditAction::AccessTokenIssued).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].subject, AuditSubject::AccessToken(token.id));
    let details = &events[0].details;
    assert_eq!(details.token_id.as_deref(), Some(token.handle.as_str()));
    assert_eq!(details.prefix.as_deref(), Some(token.prefix.as_str()));
}

async fn a_token_is_found_with_what_decides_about_it_today(world: World) {
    // T4, T6, A13, R6
    let ada = world.person("ada").await;
    let (token, hash) = token(&world, ada).await;
    let presented = async || {
        let found = AccessTokenRepository::find_by_hash(&world.database, &hash).await;
        found.unwrap().unwrap()
    };
    let found = presented().await;
    assert_eq!(found.token, token);
    assert_eq!(
        (found.role, found.account_suspended),
        (Some(Role::Admin), false)
    );
    world.execute("UPDATE memberships SET role = 'read'");
    assert_eq!(presented().await.role, Some(Role::Read));
    world.execute("UPDATE memberships SET role = 'auditor'");
    assert_eq!(presented().await.role, None);
    world.execute("DELETE FROM memberships");
    assert_eq!(presented().await.role, None);
    let suspended = world.database.suspend(ada.account, &act(NOW)).await;
    assert!(suspended.unwrap().is_some());
    assert!(presented().await.account_suspended);
    let unknown = PlainAccessToken::generate(&mut rng()).hash();
    let found = AccessTokenRepository::find_by_hash(&world.database, &unknown).await;
    assert_eq!(found.unwrap(), None);
}

async fn others_tokens_are_not_there(world: World) {
    // T5, C6
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let bob = Person {
        user: world.member("bob", ada.account, Role::Read).await,
        account: ada.account,
    };
    let (of_ada, _) = token(&world, ada).await;
    let (of_bob, _) = token(&world, bob).await;
    let store: &dyn AccessTokenRepository = &world.database;
    let all = TokensOf::All;
    assert_eq!(listed(&world, ada.account, all).await.len(), 2);
    let own = async |user: UserId| listed(&world, ada.account, TokensOf::One(user)).await;
    assert_eq!(own(ada.user).await, [of_ada.id]);
    assert_eq!(own(bob.user).await, [of_bob.id]);
    assert_eq!(listed(&world, eve.account, all).await, []);
    for (account, of) in [(ada.account, TokensOf::One(bob.user)), (eve.account, all)] {
        let found = store.find(account, of, &of_ada.handle).await;
        assert_eq!(found.unwrap(), None);
        let gone = store.delete(account, of, &of_ada.handle, &act(NOW)).await;
        assert!(!gone.unwrap());
    }
    assert!(find(&world, &of_ada).await.is_some());
}

async fn a_holder_has_so_many_active_ones_and_no_more(world: World) {
    // T10: expired ones do not count, nor those of others, nor of another account.
    let ada = world.person("ada").await;
    let bob = Person {
        user: world.member("bob", ada.account, Role::Write).await,
        account: ada.account,
    };
    for _ in 0..3 {
        token(&world, ada).await;
    }
    let (one_more, _) = new_token(ada);
    assert_eq!(
        insert(&world, &one_more).await,
        InsertAccessToken::LimitReached
    );
    token(&world, bob).await;
    // All three have expired then.
    let later = NewAccessToken {
        created_at: seconds(60),
        expires_at: None,
        ..one_more
    };
    assert!(matches!(
        insert(&world, &later).await,
        InsertAccessToken::Inserted(_)
    ));
}

async fn the_limit_holds_under_concurrency(world: World) {
    // T10: 16 at a time, and three of them get one.
    let ada = world.person("ada").await;
    let tries = (0..16).map(|_| async {
        let (new, _) = new_token(ada);
        matches!(insert(&world, &new).await, InsertAccessToken::Inserted(_))
    });
    let made = futures_util::future::join_all(tries).await;
    assert_eq!(made.iter().filter(|made| **made).count(), 3);
}

async fn who_is_no_member_or_must_change_their_password_gets_none(world: World) {
    // T5, A10
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let stranger = Person {
        user: eve.user,
        account: ada.account,
    };
    let (new, _) = new_token(stranger);
    assert_eq!(insert(&world, &new).await, InsertAccessToken::NotAllowed);
    reset(&world, ada.user).await;
    let (new, _) = new_token(ada);
    assert_eq!(insert(&world, &new).await, InsertAccessToken::NotAllowed);
}

async fn reset(world: &World, user: UserId) {
    let (hash, change) = (
        HashedPassword::of_nobody(),
        PasswordChange::NeededUntil(seconds(60)),
    );
    let act = act(NOW);
    let set = world
        .database
        .set_password(user, None, &hash, change, None, &act);
    assert!(set.await.unwrap());
}

async fn a_deleted_token_is_gone_and_told(world: World) {
    // T5, T6
    let ada = world.person("ada").await;
    let (token, hash) = token(&world, ada).await;
    let store: &dyn AccessTokenRepository = &world.database;
    let of = TokensOf::One(ada.user);
    let delete = async || {
        let act = act(NOW);
        let gone = store.delete(ada.account, of, &token.handle, &act).await;
        gone.unwrap()
    };
    assert!(delete().await);
    assert!(!delete().await);
    assert_eq!(find(&world, &token).await, None);
    assert_eq!(store.find_by_hash(&hash).await.unwrap(), None);
    let events = events(&world, ada.account, AuditAction::AccessTokenDeleted).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].subject, AuditSubject::AccessToken(token.id));
    let details = &events[0].details;
    assert_eq!(details.token_id.as_deref(), Some(token.handle.as_str()));
    assert_eq!(details.name.as_deref(), Some("laptop"));
}

async fn a_reset_of_the_password_deletes_them(world: World) {
    // T5: whoever has the old password may have made them. Others' stay.
    let ada = world.person("ada").await;
    let bob = Person {
        user: world.member("bob", ada.account, Role::Write).await,
        account: ada.account,
    };
    token(&world, ada).await;
    token(&world, ada).await;
    let (of_bob, _) = token(&world, bob).await;
    let own = HashedPassword::of_nobody();
    let keep = PasswordChange::NotNeeded;
    let act = act(NOW);
    let changed = world
        .database
        .set_password(ada.user, None, &own, keep, None, &act);
    assert!(changed.await.unwrap());
    assert_eq!(listed(&world, ada.account, TokensOf::All).await.len(), 3);
    reset(&world, ada.user).await;
    assert_eq!(
        listed(&world, ada.account, TokensOf::All).await,
        [of_bob.id]
    );
    let events = events(&world, ada.account, AuditAction::AccessTokenDeleted).await;
    assert_eq!(events.len(), 2);
}

async fn they_go_with_their_holder_and_stay_with_a_smaller_role(world: World) {
    // T4, T5: in one transaction with the membership, and those of the account alone.
    let ada = world.person("ada").await;
    let bob = Person {
        user: world.member("bob", ada.account, Role::Write).await,
        account: ada.account,
    };
    let eve = world.person("eve").await;
    let (of_ada, _) = token(&world, ada).await;
    let (of_bob, hash) = token(&world, bob).await;
    let elsewhere = Person {
        user: bob.user,
        account: eve.account,
    };
    let by = act(NOW);
    let joined = world.database.join(eve.account, bob.user, Role::Read, &by);
    assert!(joined.await.unwrap());
    let (kept, _) = token(&world, elsewhere).await;
    world.key(bob, Scopes::All).await;
    let by = Act {
        actor: Actor::User(ada.user),
        ..act(NOW)
    };
    let keys = KeysOfMaker::Revoke;
    let demoted = world
        .database
        .set_role(ada.account, bob.user, Role::Read, keys, &by);
    assert!(matches!(demoted.await.unwrap(), ChangeMember::Changed(..)));
    let presented = AccessTokenRepository::find_by_hash(&world.database, &hash).await;
    assert_eq!(presented.unwrap().unwrap().role, Some(Role::Read));
    let by = Act {
        actor: Actor::User(ada.user),
        ..act(NOW)
    };
    let removed = world
        .database
        .remove(ada.account, bob.user, keys, &by)
        .await;
    assert!(matches!(removed.unwrap(), ChangeMember::Changed(..)));
    assert_eq!(
        listed(&world, ada.account, TokensOf::All).await,
        [of_ada.id]
    );
    assert_eq!(listed(&world, eve.account, TokensOf::All).await, [kept.id]);
    let told = events(&world, ada.account, AuditAction::AccessTokenDeleted).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].subject, AuditSubject::AccessToken(of_bob.id));
    let (new, _) = new_token(bob);
    assert_eq!(insert(&world, &new).await, InsertAccessToken::NotAllowed);
}

async fn uses_are_written_at_most_once_a_minute(world: World) {
    // T5, K14
    let ada = world.person("ada").await;
    let (token, _) = token(&world, ada).await;
    let store: &dyn AccessTokenRepository = &world.database;
    let used = async |at: OffsetDateTime| {
        store.record_use(&[(token.id, at)]).await.unwrap();
        find(&world, &token).await.unwrap().last_used_at
    };
    assert_eq!(used(seconds(1)).await, Some(seconds(1)));
    assert_eq!(used(seconds(60)).await, Some(seconds(1)));
    assert_eq!(used(seconds(61)).await, Some(seconds(61)));
    assert_eq!(used(seconds(5)).await, Some(seconds(61)));
}

async fn expired_ones_go_after_their_time(world: World) {
    // T5, K16
    let ada = world.person("ada").await;
    let (expired, _) = token(&world, ada).await;
    let (mut lasting, _) = new_token(ada);
    lasting.expires_at = None;
    insert(&world, &lasting).await;
    assert_eq!(expired.status(seconds(60)), TokenStatus::Expired);
    let store: &dyn AccessTokenRepository = &world.database;
    assert_eq!(store.remove_expired(seconds(60), 9).await.unwrap(), 0);
    assert_eq!(store.remove_expired(seconds(61), 9).await.unwrap(), 1);
    assert_eq!(
        listed(&world, ada.account, TokensOf::All).await,
        [lasting.id]
    );
}

async fn too_many_expired_ones_go_when_another_is_made(world: World) {
    // T5, K16: nobody fills a table with tokens of a second.
    let ada = world.person("ada").await;
    let kept = i64::from(NewAccessToken::EXPIRED_KEPT);
    for n in 0..kept + 3 {
        let (mut new, _) = new_token(ada);
        new.created_at = seconds(10 * n);
        new.expires_at = Some(seconds(10 * n + 1));
        insert(&world, &new).await;
    }
    let (new, _) = new_token(ada);
    insert(
        &world,
        &NewAccessToken {
            created_at: seconds(100_000),
            expires_at: None,
            ..new
        },
    )
    .await;
    let left = listed(&world, ada.account, TokensOf::All).await.len();
    assert_eq!(i64::try_from(left), Ok(kept + 1));
}

async fn told(subscription: &mut dyn KeyChangeSubscription) -> KeyChange {
    loop {
        match subscription.next().await.unwrap() {
            KeyNews::Changed(change) => return change,
            KeyNews::UpTo(_) => {}
        }
    }
}

async fn every_change_of_a_token_is_told(world: World) {
    // K13
    let ada = world.person("ada").await;
    let (token, _) = token(&world, ada).await;
    let mut told_of = world.database.subscribe().await.unwrap();
    let store: &dyn AccessTokenRepository = &world.database;
    // No use is told.
    store.record_use(&[(token.id, NOW)]).await.unwrap();
    world.execute("UPDATE access_tokens SET expires_at = NULL");
    assert_eq!(told(&mut *told_of).await, KeyChange::AccessToken(token.id));
    let of = TokensOf::All;
    let gone = store
        .delete(ada.account, of, &token.handle, &act(NOW))
        .await;
    assert!(gone.unwrap());
    loop {
        // An update tells of the row before and after.
        let change = told(&mut *told_of).await;
        assert_eq!(change, KeyChange::AccessToken(token.id));
        if find(&world, &token).await.is_none() {
            break;
        }
    }
}

async fn many_tokens_end_at_once(world: World) {
    // R7
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let mut all = Vec::new();
    for person in [ada, eve, ada] {
        let (token, _) = token(&world, person).await;
        all.push(OwnedAccessToken {
            id: token.id,
            handle: token.handle,
            account_id: token.account_id,
        });
    }
    all.sort_by_key(|owned| owned.id);
    let store: &dyn InstallationAccessTokens = &world.database;
    let active = store.list_active(None, None, 9, NOW).await.unwrap();
    assert_eq!(active, all);
    let after = store.list_active(None, Some(all[0].id), 1, NOW).await;
    assert_eq!(after.unwrap(), all[1..2]);
    let of_eve = store.list_active(Some(eve.account), None, 9, NOW).await;
    assert_eq!(of_eve.unwrap().len(), 1);
    assert_eq!(
        store.list_active(None, None, 9, seconds(60)).await.unwrap(),
        []
    );

    let handles: Vec<TokenHandle> = all.iter().map(|owned| owned.handle.clone()).collect();
    let found = store.find_owned(&handles, NOW).await.unwrap();
    assert_eq!(found.len(), 3);
    assert!(
        found
            .iter()
            .all(|(owned, active)| *active && all.contains(owned))
    );
    let found = store.find_owned(&handles[..1], seconds(60)).await.unwrap();
    assert_eq!(found, [(all[0].clone(), false)]);

    let acts = all.iter().map(|owned| (owned.clone(), act(seconds(1))));
    let acts: Vec<_> = acts.collect();
    let gone = store.delete_each(&acts).await.unwrap();
    assert_eq!(gone.len(), 3);
    assert_eq!(store.delete_each(&acts).await.unwrap(), []);
    let told = events(&world, ada.account, AuditAction::AccessTokenDeleted).await;
    assert_eq!(told.len(), 2);
}
