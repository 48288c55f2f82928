use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use remotegpu_accounts::{
    AccountRepository, AuditAction, AuditDetails, AuditEvent, AuditFilter, AuditLog, AuditSubject,
    HashedPassword, LimitChange, LimitChanges, NewAuditEvent, Party, PasswordChange, Role,
    SessionRepository, UserRepository,
};
use remotegpu_keys::{ApiKeyChange, ApiKeyRepository, InsertApiKey, KeyName, RevokeApiKey};
use remotegpu_namespaces::{InsertNamespace, NamespaceName, NamespaceRepository, RenameNamespace};
use remotegpu_primitives::{
    AccountId, Act, Actor, ApiKeyId, AuditEventId, NamespaceId, Origin, PageRequest, StoreError,
    UserId, Word,
};
use remotegpu_scopes::Scopes;
use time::{Duration, OffsetDateTime};

use crate::{
    on_both_databases,
    world::{
        LIMIT, NOW, World, act, new_account, new_key, new_namespace, new_secret, new_session,
        new_user, rng, seconds,
    },
};

on_both_databases!(
    an_event_tells_who_did_what_from_where,
    every_act_leaves_one_event,
    a_user_of_two_accounts_is_told_of_in_both,
    what_was_refused_leaves_no_event,
    an_act_whose_event_cannot_be_written_does_not_happen,
    concurrent_acts_leave_an_event_each,
    events_are_listed_newest_first_and_filtered,
    a_batch_that_is_tried_again_is_written_once,
    events_that_are_too_old_are_removed_in_batches,
);

async fn events(world: &World, account: AccountId) -> Vec<AuditEvent> {
    let page = PageRequest::new(PageRequest::MAX_LIMIT, None).unwrap();
    let filter = AuditFilter::default();
    let listed = AuditLog::list(&world.database, account, filter, page).await;
    listed.unwrap().items
}

/// The actions of the account's events, oldest first.
async fn actions(world: &World, account: AccountId) -> Vec<&'static str> {
    let mut events = events(world, account).await;
    events.sort_by_key(|event| event.occurred_at);
    events
        .iter()
        .map(|event| event.action.known().unwrap().as_str())
        .collect()
}

fn by_user(user: UserId, at: OffsetDateTime) -> Act {
    let origin = Origin {
        ip: Some("2001:db8::7".parse().unwrap()),
        request_id: Some("r-1".to_owned()),
        ..Origin::default()
    };
    Act::new(Actor::User(user), origin, &mut rng(), at)
}

async fn an_event_tells_who_did_what_from_where(world: World) {
    // R5, K2
    let ada = world.person("ada").await;
    let new = new_key(ada, Scopes::All);
    let issuing = by_user(ada.user, seconds(1));
    let inserted = ApiKeyRepository::insert(&world.database, &new, LIMIT, &issuing).await;
    assert!(matches!(inserted.unwrap(), InsertApiKey::Inserted(_)));
    let secret = new_secret();
    let rotating = by_user(ada.user, seconds(2));
    let rotated = world
        .database
        .rotate(ada.account, new.id, &secret, seconds(60), &rotating)
        .await;
    rotated.unwrap();
    let listed = events(&world, ada.account).await;
    let expected = |act: &Act, action, details| AuditEvent {
        id: act.id,
        account_id: ada.account,
        occurred_at: act.at,
        action: Word::Known(action),
        actor: Party::Known(Actor::User(ada.user)),
        subject: Party::Known(AuditSubject::ApiKey(new.id)),
        origin: act.origin.clone(),
        details,
    };
    let issued = AuditDetails {
        name: Some("ci".to_owned()),
        prefix: Some(new.secret.prefix.as_str().to_owned()),
        ..AuditDetails::default()
    };
    let renewed = AuditDetails {
        prefix: Some(secret.prefix.as_str().to_owned()),
        old_secret_ends_at: Some(seconds(60)),
        ..AuditDetails::default()
    };
    assert_eq!(
        listed[..2],
        [
            expected(&rotating, AuditAction::ApiKeyRotated, renewed),
            expected(&issuing, AuditAction::ApiKeyIssued, issued),
        ]
    );
}

const LIMITS: LimitChanges = LimitChanges {
    keys: LimitChange::Own(7),
    namespaces: LimitChange::Keep,
};

#[allow(clippy::too_many_lines, reason = "one list of acts")]
async fn every_act_leaves_one_event(world: World) {
    // R5
    let ada = world.person("ada").await;
    let store = &world.database;
    let (account, clock) = (ada.account, std::cell::Cell::new(0));
    let next = || {
        clock.set(clock.get() + 1);
        act(seconds(clock.get()))
    };
    let new = new_key(ada, Scopes::All);
    let inserted = ApiKeyRepository::insert(store, &new, LIMIT, &next()).await;
    assert!(matches!(inserted.unwrap(), InsertApiKey::Inserted(_)));
    let rename = ApiKeyChange {
        name: Some(KeyName::parse("other").unwrap()),
        ..ApiKeyChange::default()
    };
    store
        .update(account, new.id, &rename, &next())
        .await
        .unwrap();
    let rotated = store
        .rotate(account, new.id, &new_secret(), seconds(9), &next())
        .await;
    rotated.unwrap();
    let revoked = ApiKeyRepository::revoke(store, account, new.id, &next()).await;
    revoked.unwrap();
    let space = new_namespace(account, "team");
    let inserted = NamespaceRepository::insert(store, &space, LIMIT, &next()).await;
    inserted.unwrap();
    store.mark_active(space.id, NOW).await.unwrap();
    let name = NamespaceName::parse("renamed").unwrap();
    store
        .rename(account, space.id, &name, &next())
        .await
        .unwrap();
    store
        .mark_deleting(account, space.id, &next())
        .await
        .unwrap();
    let session = new_session(ada.user, account);
    SessionRepository::insert(store, &session, &next())
        .await
        .unwrap();
    let own = HashedPassword::of_nobody();
    let change = PasswordChange::NotNeeded;
    let set = store
        .set_password(
            ada.user,
            None,
            &own,
            change,
            Some(session.session.id),
            &next(),
        )
        .await;
    assert!(set.unwrap());
    SessionRepository::delete(store, session.session.id, &next())
        .await
        .unwrap();
    let needed = PasswordChange::NeededUntil(seconds(99));
    let set = store
        .set_password(ada.user, None, &own, needed, None, &next())
        .await;
    assert!(set.unwrap());
    let bob = new_user("bob");
    store
        .insert_member(&bob, account, Role::Read, &next())
        .await
        .unwrap();
    store.suspend(account, &next()).await.unwrap();
    store.resume(account, &next()).await.unwrap();
    store.set_limits(account, LIMITS, &next()).await.unwrap();
    assert_eq!(
        actions(&world, account).await,
        [
            "account.created",
            "api_key.issued",
            "api_key.updated",
            "api_key.rotated",
            "api_key.revoked",
            "namespace.created",
            "namespace.renamed",
            "namespace.deleted",
            "session.signed_in",
            "user.password_changed",
            "session.signed_out",
            "user.password_reset",
            "user.created",
            "account.suspended",
            "account.resumed",
            "account.limits_set",
        ]
    );
    let listed = events(&world, account).await;
    let of = |action| listed.iter().find(|event| event.action == action).unwrap();
    let limits = &of(AuditAction::AccountLimitsSet).details;
    assert_eq!(limits.key_limit, Some(7));
    assert_eq!(limits.changed, Some(vec!["key_limit".to_owned()]));
    let created = of(AuditAction::UserCreated);
    assert_eq!(created.details.role, Some(Role::Read.into()));
    assert_eq!(created.subject, AuditSubject::User(bob.id));
    let updated = &of(AuditAction::ApiKeyUpdated).details;
    assert_eq!(updated.changed, Some(vec!["name".to_owned()]));
}

async fn a_user_of_two_accounts_is_told_of_in_both(world: World) {
    // R5, A11
    let ada = world.person("ada").await;
    let (store, account) = (&world.database, ada.account);
    let eve = world.person("eve").await;
    world.execute(
        "INSERT INTO memberships (account_id, user_id, role, created_at) \
         SELECT m.account_id, eve.id, 'read', m.created_at \
         FROM memberships m JOIN users u ON u.id = m.user_id, users eve \
         WHERE u.email = 'ada@example.org' AND eve.email = 'eve@example.org'",
    );
    let session = world.session(eve).await.session.id;
    assert!(
        store
            .switch_account(session, account, &act(seconds(1)))
            .await
            .unwrap()
    );
    let (own, change) = (HashedPassword::of_nobody(), PasswordChange::NotNeeded);
    let set = store
        .set_password(eve.user, None, &own, change, None, &act(seconds(2)))
        .await;
    assert!(set.unwrap());
    for account in [eve.account, account] {
        let told = actions(&world, account).await;
        let last = &told[told.len() - 2..];
        assert_eq!(last, ["session.switched", "user.password_changed"]);
    }
}

async fn what_was_refused_leaves_no_event(world: World) {
    // R5, K6, K8, N3
    let ada = world.person("ada").await;
    let eve = world.person("eve").await;
    let store = &world.database;
    let (key, _) = world.key(ada, Scopes::All).await;
    let space = world.new_namespace(ada.account, "team").await;
    let before = actions(&world, ada.account).await;
    let by = || act(seconds(1));

    let full = ApiKeyRepository::insert(store, &new_key(ada, Scopes::All), 1, &by()).await;
    assert_eq!(full.unwrap(), InsertApiKey::LimitReached);
    let foreign = ApiKeyRepository::revoke(store, eve.account, key.id, &by()).await;
    assert_eq!(foreign.unwrap(), RevokeApiKey::NotFound);
    let taken = new_namespace(ada.account, "team");
    let taken = NamespaceRepository::insert(store, &taken, LIMIT, &by()).await;
    assert_eq!(taken.unwrap(), InsertNamespace::NameTaken);
    let name = NamespaceName::parse("renamed").unwrap();
    let early = store.rename(ada.account, space.id, &name, &by()).await;
    assert_eq!(early.unwrap(), RenameNamespace::NotReady);
    let gone = store.mark_deleting(eve.account, space.id, &by()).await;
    assert_eq!(gone.unwrap(), None);
    let nobody = new_account("nobody").id;
    assert_eq!(store.suspend(nobody, &by()).await.unwrap(), None);
    let resumed = store.resume(ada.account, &by()).await.unwrap();
    assert!(resumed.is_some(), "what was not suspended is not resumed");
    let unknown = new_session(ada.user, ada.account).session.id;
    SessionRepository::delete(store, unknown, &by())
        .await
        .unwrap();
    let other = HashedPassword::from_stored("other".to_owned());
    let (own, change) = (HashedPassword::of_nobody(), PasswordChange::NotNeeded);
    let stale = store
        .set_password(ada.user, Some(&other), &own, change, None, &by())
        .await;
    assert!(!stale.unwrap());
    assert_eq!(actions(&world, ada.account).await, before);
    assert_eq!(actions(&world, eve.account).await, ["account.created"]);

    // Deleting twice is one act.
    for _ in 0..2 {
        let going = store.mark_deleting(ada.account, space.id, &by()).await;
        assert!(going.unwrap().is_some());
    }
    let told = actions(&world, ada.account).await;
    assert_eq!(told.len(), before.len() + 1, "{told:?}");
}

async fn an_act_whose_event_cannot_be_written_does_not_happen(world: World) {
    // R5: the event's identifier is taken, so that its insert fails at the very end.
    let ada = world.person("ada").await;
    let store = &world.database;
    let (key, new) = world.key(ada, Scopes::All).await;
    let space = world.namespace(ada.account, "team").await;
    let taken = act(seconds(1));
    store.set_limits(ada.account, LIMITS, &taken).await.unwrap();
    let before = events(&world, ada.account).await;

    let refused = ApiKeyRepository::revoke(store, ada.account, key.id, &taken).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    let refused = store.mark_deleting(ada.account, space.id, &taken).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    let refused = store.suspend(ada.account, &taken).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    let session = new_session(ada.user, ada.account);
    let refused = SessionRepository::insert(store, &session, &taken).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );

    let presented = world.presented(new.secret.id).await;
    assert_eq!(presented.check(seconds(2)), Ok(()));
    let found = NamespaceRepository::find(store, ada.account, space.id).await;
    assert_eq!(found.unwrap().unwrap().status, space.status);
    let found = SessionRepository::find_by_hash(store, &session.hash).await;
    assert_eq!(found.unwrap(), None);
    assert_eq!(events(&world, ada.account).await, before);
}

async fn concurrent_acts_leave_an_event_each(world: World) {
    // R5, K8
    let ada = world.person("ada").await;
    let issue = |_| {
        let (store, new) = (world.database.clone(), new_key(ada, Scopes::All));
        tokio::spawn(async move {
            let by = act(seconds(1));
            let inserted = ApiKeyRepository::insert(&store, &new, LIMIT, &by).await;
            matches!(inserted.unwrap(), InsertApiKey::Inserted(_)).then_some((by.id, new.id))
        })
    };
    let outcomes = join_all((0..64).map(issue)).await;
    let issued: BTreeMap<AuditEventId, ApiKeyId> =
        outcomes.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(issued.len(), 20);
    let listed = events(&world, ada.account).await;
    let told = listed.iter().filter_map(|event| match event.subject {
        Party::Known(AuditSubject::ApiKey(key)) => Some((event.id, key)),
        _ => None,
    });
    assert_eq!(told.collect::<BTreeMap<_, _>>(), issued);

    let key = *issued.values().next().unwrap();
    let revoke = |_| {
        let store = world.database.clone();
        tokio::spawn(async move {
            let by = act(seconds(2));
            ApiKeyRepository::revoke(&store, ada.account, key, &by).await
        })
    };
    join_all((0..16).map(revoke)).await;
    let told = actions(&world, ada.account).await;
    let revoked = told.iter().filter(|action| **action == "api_key.revoked");
    assert_eq!(revoked.count(), 1);
}

/// The event of a mint, which no transaction writes.
fn minted(account: AccountId, at: OffsetDateTime) -> NewAuditEvent {
    let by = Act::new(Actor::System, Origin::default(), &mut rng(), at);
    let subject = AuditSubject::Namespace(NamespaceId::generate(at, &mut rng()));
    let details = AuditDetails {
        identity: Some("key-1-2".to_owned()),
        token_id: Some("6a1c2f0e-6b0c-4d3e-9e63-0b8a5f4d9c11".to_owned()),
        expires_at: Some(at + Duration::HOUR),
        ..AuditDetails::default()
    };
    NewAuditEvent::new(&by, account, AuditAction::CredentialMinted, subject).with(details)
}

async fn events_are_listed_newest_first_and_filtered(world: World) {
    // C4, C6, R5
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store = &world.database;
    let mints: Vec<NewAuditEvent> = (1..=5).map(|n| minted(ada.account, seconds(n))).collect();
    store.append(&mints).await.unwrap();
    let list = async |filter, limit, after| {
        let page = PageRequest::new(limit, after).unwrap();
        let listed = AuditLog::list(store, ada.account, filter, page).await;
        let page = listed.unwrap();
        let ids: Vec<AuditEventId> = page.items.iter().map(|event| event.id).collect();
        (ids, page.next)
    };
    let mut expected: Vec<AuditEventId> = mints.iter().map(|event| event.act.id).collect();
    expected.reverse();
    let only = AuditFilter {
        action: Some(AuditAction::CredentialMinted),
        since: None,
        ..AuditFilter::default()
    };
    assert_eq!(list(only, 200, None).await, (expected.clone(), None));
    let (first, next) = list(only, 2, None).await;
    assert_eq!(first, expected[..2]);
    let (second, next) = list(only, 2, next).await;
    assert_eq!(second, expected[2..4]);
    assert_eq!(list(only, 2, next).await, (expected[4..].to_vec(), None));
    // Finer than an identifier's milliseconds.
    for (since, count) in [
        (seconds(3), 3),
        (seconds(3) + Duration::microseconds(1), 2),
        (seconds(99), 0),
        (OffsetDateTime::UNIX_EPOCH - Duration::days(700_000), 5),
    ] {
        let filter = AuditFilter {
            since: Some(since),
            ..only
        };
        assert_eq!(
            list(filter, 200, None).await.0,
            expected[..count],
            "{since}"
        );
    }
    let all = AuditFilter::default();
    assert_eq!(list(all, 200, None).await.0.len(), 6);
    assert_eq!(actions(&world, eve.account).await, ["account.created"]);
    let newest = &events(&world, ada.account).await[0];
    assert_eq!(newest.details, mints[4].details);
}

async fn a_batch_that_is_tried_again_is_written_once(world: World) {
    // R5
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store = &world.database;
    store.append(&[]).await.unwrap();
    let mut batch: Vec<NewAuditEvent> = (0..1500).map(|_| minted(ada.account, NOW)).collect();
    batch[0].accounts.push(eve.account);
    store.append(&batch[..700]).await.unwrap();
    store.append(&batch).await.unwrap();
    store.append(&batch).await.unwrap();
    let mut seen = BTreeSet::new();
    let mut after = None;
    loop {
        let page = PageRequest::new(200, after).unwrap();
        let filter = AuditFilter::default();
        let page = AuditLog::list(store, ada.account, filter, page)
            .await
            .unwrap();
        seen.extend(page.items.iter().map(|event| event.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 1501);
    assert_eq!(actions(&world, eve.account).await.len(), 2);
    // All of a batch or none.
    let lost = [minted(ada.account, NOW), minted(new_account("x").id, NOW)];
    store.append(&lost).await.unwrap_err();
    let first = events(&world, ada.account).await;
    assert!(!first.iter().any(|event| event.id == lost[0].act.id));
}

async fn events_that_are_too_old_are_removed_in_batches(world: World) {
    // R5
    let ada = world.person("ada").await;
    let store = &world.database;
    let mints: Vec<NewAuditEvent> = (1..=25).map(|n| minted(ada.account, seconds(n))).collect();
    store.append(&mints).await.unwrap();
    let other = world.instance().await;
    // The account's own event is the oldest.
    assert_eq!(store.delete_before(seconds(21), 10).await.unwrap(), 10);
    let (one, two) = tokio::join!(
        store.delete_before(seconds(21), 10),
        other.delete_before(seconds(21), 10),
    );
    let removed = one.unwrap() + two.unwrap();
    assert!((10..=11).contains(&removed), "{removed}");
    store.delete_before(seconds(21), 10).await.unwrap();
    assert_eq!(store.delete_before(seconds(21), 10).await.unwrap(), 0);
    let left = events(&world, ada.account).await;
    let left: Vec<OffsetDateTime> = left.iter().map(|event| event.occurred_at).collect();
    let expected: Vec<OffsetDateTime> = (21..=25).rev().map(seconds).collect();
    assert_eq!(left, expected);
    // However many happened at one moment, each batch gets on.
    let mints: Vec<NewAuditEvent> = (0..5).map(|_| minted(ada.account, NOW)).collect();
    store.append(&mints).await.unwrap();
    assert_eq!(store.delete_before(seconds(1), 2).await.unwrap(), 5);
}
