use remotegpu_accounts::{AccountRepository, Role};
use remotegpu_keys::{ApiKey, ApiKeyChange, ApiKeyRepository};
use remotegpu_namespaces::{
    CredentialIdentity, EnsureIdentity, IdentityRepository, IdentityStanding, Namespace,
    NamespaceRepository, Tried,
};
use remotegpu_primitives::{IdentityId, KeySecretId};
use remotegpu_scopes::{NamespaceAccess, Scopes};

use crate::{
    on_both_databases,
    world::{
        Guard, LIMIT, NOW, Person, World, act, dev, new_key, new_secret, only, rng, seconds, wanted,
    },
};

on_both_databases!(
    an_identity_is_stored_once,
    an_identity_ends_when_its_secret_does,
    what_allows_nothing_gets_no_identity,
    revoking_ends_every_identity_of_the_key,
    a_new_expiry_moves_only_what_lives,
    narrower_scopes_end_what_they_leave_out,
    rotation_ends_the_old_secrets_identities,
    deleting_a_namespace_ends_its_identities,
    suspension_ends_the_accounts_identities,
    an_end_is_never_moved_later,
    an_end_by_a_clock_that_is_ahead_is_an_end,
    ended_identities_are_claimed_by_one,
    what_has_just_ended_is_told_from_what_was_tried_before,
    a_namespace_waits_only_for_what_may_open_it,
    the_sweep_ends_what_nothing_justifies,
    the_sweep_takes_a_slice_at_a_time_and_comes_round,
    one_row_that_cannot_be_read_keeps_no_other_from_being_looked_at,
    an_identity_that_nobody_uses_is_ended,
    a_mint_and_the_end_of_idle_identities_never_both_win,
    mints_are_noted_once_an_hour_and_never_set_back,
    identities_from_before_count_as_used_on_the_day_of_the_upgrade,
    standing_tells_when_an_identity_ends,
);

struct Scene {
    world: World,
    person: Person,
    key: ApiKey,
    secret: KeySecretId,
    here: Namespace,
    there: Namespace,
}

async fn scene(world: World) -> Scene {
    let person = world.person("ada").await;
    let here = world.namespace(person.account, "here").await;
    let there = world.namespace(person.account, "there").await;
    let (key, new) = world.key(person, Scopes::All).await;
    Scene {
        world,
        person,
        key,
        secret: new.secret.id,
        here,
        there,
    }
}

impl Scene {
    async fn identity(&self, at: &Namespace) -> IdentityId {
        self.world.identity(&self.key, self.secret, at).await
    }

    async fn ensure(&self, at: &Namespace, now: i64) -> EnsureIdentity {
        let wanted = wanted(&self.key, self.secret, at);
        let ensured = self.world.database.ensure(&wanted, seconds(now)).await;
        ensured.unwrap()
    }

    async fn update(&self, change: ApiKeyChange, now: i64) {
        self.world
            .database
            .update(
                self.person.account,
                self.key.id,
                &change,
                &act(seconds(now)),
            )
            .await
            .unwrap();
    }

    async fn expire(&self, at: Option<i64>, now: i64) {
        let change = ApiKeyChange {
            expires_at: Some(at.map(seconds)),
            ..ApiKeyChange::default()
        };
        self.update(change, now).await;
    }

    /// Whether it has ended, as the reconciler and as a mint see it.
    async fn ended(&self, identity: IdentityId, at: i64) -> bool {
        let ended = self.world.has_ended(identity, seconds(at)).await;
        let standing = self.world.database.standing(identity, seconds(at)).await;
        // What is not stored any more has nothing to end.
        assert!(!ended || standing.unwrap() == IdentityStanding::Ended);
        ended
    }
}

async fn an_identity_is_stored_once(world: World) {
    // X9
    let s = scene(world).await;
    let store: &dyn IdentityRepository = &s.world.database;
    let first = wanted(&s.key, s.secret, &s.here);
    let ensured = store.ensure(&first, NOW).await.unwrap();
    assert_eq!(ensured, EnsureIdentity::Ready(first.clone()));
    let again = store.ensure(&wanted(&s.key, s.secret, &s.here), NOW).await;
    assert_eq!(again.unwrap(), ensured);
    store.mark_bound(first.id).await.unwrap();
    match s.ensure(&s.here, 0).await {
        EnsureIdentity::Ready(identity) => assert!(identity.bound),
        other => panic!("{other:?}"),
    }
    let elsewhere = s.identity(&s.there).await;
    assert_eq!(store.count_in(s.here.id).await.unwrap(), 1);
    let unknown = IdentityId::generate(NOW, &mut rng());
    let mut stored = store
        .stored_among(&[unknown, elsewhere, first.id])
        .await
        .unwrap();
    stored.sort_by_key(|identity| identity.id);
    let mut expected = [first.id, elsewhere];
    expected.sort();
    assert_eq!(
        stored.iter().map(|stored| stored.id).collect::<Vec<_>>(),
        expected
    );
    let bound = |id| stored.iter().any(|stored| stored.id == id && stored.bound);
    assert!(bound(first.id) && !bound(elsewhere));
    assert_eq!(store.stored_among(&[]).await.unwrap(), []);
    let known = store.known_among(&[unknown, first.id]).await.unwrap();
    assert_eq!(known, [first.id]);
    store.remove(first.id).await.unwrap();
    assert_eq!(store.count_in(s.here.id).await.unwrap(), 0);
    assert!(!s.ended(first.id, 0).await);
}

async fn an_identity_ends_when_its_secret_does(world: World) {
    // X9
    let s = scene(world).await;
    s.expire(Some(60), 0).await;
    match s.ensure(&s.here, 0).await {
        EnsureIdentity::Ready(identity) => {
            assert_eq!(identity.ends_at, Some(seconds(60)));
            assert!(!s.ended(identity.id, 59).await);
            assert!(s.ended(identity.id, 60).await);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(s.ensure(&s.here, 60).await, EnsureIdentity::Ending);
}

async fn what_allows_nothing_gets_no_identity(world: World) {
    // X9, X10, X11
    let s = scene(world).await;
    let eve = s.world.person("eve").await;
    let store: &dyn IdentityRepository = &s.world.database;
    let fresh = s.world.new_namespace(s.person.account, "fresh").await;
    let foreign = s.world.namespace(eve.account, "foreign").await;
    for place in [&fresh, &foreign] {
        assert_eq!(s.ensure(place, 0).await, EnsureIdentity::Refused);
    }
    let refused = async |person: Person, scopes, at: &Namespace| {
        let (key, new) = s.world.key(person, scopes).await;
        let wanted = wanted(&key, new.secret.id, at);
        store.ensure(&wanted, NOW).await.unwrap() == EnsureIdentity::Refused
    };
    assert!(refused(s.person, Scopes::Inference, &s.here).await);
    assert!(refused(s.person, only(&[s.there.id]), &s.here).await);
    assert!(!refused(s.person, only(&[s.here.id]), &s.here).await);
    let all = Scopes::KubernetesExec(NamespaceAccess::All);
    assert!(!refused(s.person, all, &s.here).await);
    assert!(refused(eve, Scopes::All, &s.here).await);
    let reader = Person {
        user: s
            .world
            .member("reader", s.person.account, Role::Write)
            .await,
        account: s.person.account,
    };
    let (key, new) = s.world.key(reader, Scopes::All).await;
    s.world
        .execute("UPDATE memberships SET role = 'read' WHERE role = 'write'");
    let wanted_of_reader = wanted(&key, new.secret.id, &s.here);
    assert_eq!(
        store.ensure(&wanted_of_reader, NOW).await.unwrap(),
        EnsureIdentity::Refused
    );

    // What belongs together only in the request.
    let (other, _) = s.world.key(s.person, Scopes::All).await;
    let mixed = wanted(&other, s.secret, &s.here);
    assert_eq!(
        store.ensure(&mixed, NOW).await.unwrap(),
        EnsureIdentity::Refused
    );
    let unknown = wanted(&s.key, new_secret().id, &s.here);
    assert_eq!(
        store.ensure(&unknown, NOW).await.unwrap(),
        EnsureIdentity::Refused
    );

    let mut expiring = new_key(s.person, Scopes::All);
    expiring.expires_at = Some(seconds(10));
    let key = s.world.insert_key(&expiring).await;
    let late = wanted(&key, expiring.secret.id, &s.here);
    assert_eq!(
        store.ensure(&late, seconds(10)).await.unwrap(),
        EnsureIdentity::Refused
    );
    s.world
        .database
        .suspend(s.person.account, &act(NOW))
        .await
        .unwrap();
    assert_eq!(s.ensure(&s.here, 0).await, EnsureIdentity::Refused);
}

async fn revoking_ends_every_identity_of_the_key(world: World) {
    // X9
    let s = scene(world).await;
    let (one, two) = (s.identity(&s.here).await, s.identity(&s.there).await);
    let (other, new) = s.world.key(s.person, Scopes::All).await;
    let others = s.world.identity(&other, new.secret.id, &s.here).await;
    s.world
        .database
        .revoke(s.person.account, s.key.id, &act(seconds(5)))
        .await
        .unwrap();
    assert!(s.ended(one, 5).await && s.ended(two, 5).await);
    assert!(!s.ended(one, 4).await);
    assert!(!s.ended(others, 99).await);
    assert_eq!(s.ensure(&s.here, 5).await, EnsureIdentity::Ending);
    // Not even when the cluster has forgotten the old one.
    s.world.database.remove_identity(one).await;
    assert_eq!(s.ensure(&s.here, 5).await, EnsureIdentity::Refused);
}

async fn a_new_expiry_moves_only_what_lives(world: World) {
    // X9
    let s = scene(world).await;
    let (ended, live) = (s.identity(&s.here).await, s.identity(&s.there).await);
    s.world.database.end(ended, seconds(1)).await.unwrap();
    s.expire(Some(60), 2).await;
    assert!(s.ended(live, 60).await && !s.ended(live, 59).await);
    s.expire(Some(90), 3).await;
    assert!(s.ended(live, 90).await && !s.ended(live, 89).await);
    s.expire(None, 4).await;
    assert!(!s.ended(live, 999).await);
    assert!(s.ended(ended, 1).await);

    // The grace of a rotated secret stays the earlier end.
    s.world
        .database
        .rotate(
            s.person.account,
            s.key.id,
            &new_secret(),
            seconds(100),
            &act(seconds(5)),
        )
        .await
        .unwrap();
    s.expire(Some(200), 6).await;
    assert!(s.ended(live, 100).await && !s.ended(live, 99).await);
    s.expire(Some(50), 7).await;
    assert!(s.ended(live, 50).await && !s.ended(live, 49).await);
}

async fn narrower_scopes_end_what_they_leave_out(world: World) {
    // X9
    let s = scene(world).await;
    let (kept, out) = (s.identity(&s.here).await, s.identity(&s.there).await);
    let scopes = |scopes| ApiKeyChange {
        scopes: Some(scopes),
        ..ApiKeyChange::default()
    };
    s.update(scopes(only(&[s.here.id])), 5).await;
    assert!(!s.ended(kept, 999).await);
    assert!(s.ended(out, 5).await);
    s.update(scopes(Scopes::All), 6).await;
    assert!(s.ended(out, 5).await);
    s.update(scopes(Scopes::Inference), 7).await;
    assert!(s.ended(kept, 7).await && !s.ended(kept, 6).await);
}

async fn rotation_ends_the_old_secrets_identities(world: World) {
    // X9
    let s = scene(world).await;
    let keys: &dyn ApiKeyRepository = &s.world.database;
    let old = s.identity(&s.here).await;
    let (second, third) = (new_secret(), new_secret());
    let (account, id) = (s.person.account, s.key.id);
    keys.rotate(account, id, &second, seconds(60), &act(seconds(1)))
        .await
        .unwrap();
    assert!(s.ended(old, 60).await && !s.ended(old, 59).await);
    let newer = s.world.identity(&s.key, second.id, &s.here).await;
    assert!(!s.ended(newer, 999).await);
    keys.rotate(account, id, &third, seconds(70), &act(seconds(2)))
        .await
        .unwrap();
    assert!(s.ended(old, 2).await && !s.ended(old, 1).await);
    assert!(s.ended(newer, 70).await && !s.ended(newer, 69).await);
}

async fn deleting_a_namespace_ends_its_identities(world: World) {
    // N5, X9
    let s = scene(world).await;
    let (one, two) = (s.identity(&s.here).await, s.identity(&s.there).await);
    s.world
        .database
        .mark_deleting(s.person.account, s.here.id, &act(seconds(5)))
        .await
        .unwrap();
    assert!(s.ended(one, 5).await);
    assert!(!s.ended(two, 999).await);
    s.world.database.remove_identity(one).await;
    assert_eq!(s.ensure(&s.here, 5).await, EnsureIdentity::Refused);
}

async fn suspension_ends_the_accounts_identities(world: World) {
    // A13
    let s = scene(world).await;
    let identity = s.identity(&s.here).await;
    let accounts: &dyn AccountRepository = &s.world.database;
    accounts
        .suspend(s.person.account, &act(seconds(5)))
        .await
        .unwrap();
    assert!(s.ended(identity, 5).await);
    accounts.resume(s.person.account, &act(NOW)).await.unwrap();
    assert!(s.ended(identity, 5).await);
    s.world.database.remove_identity(identity).await;
    let ready = s.ensure(&s.here, 6).await;
    assert!(matches!(ready, EnsureIdentity::Ready(_)));
}

async fn an_end_is_never_moved_later(world: World) {
    let s = scene(world).await;
    let identity = s.identity(&s.here).await;
    let store: &dyn IdentityRepository = &s.world.database;
    store.end(identity, seconds(5)).await.unwrap();
    store.end(identity, seconds(9)).await.unwrap();
    s.world
        .database
        .revoke(s.person.account, s.key.id, &act(seconds(8)))
        .await
        .unwrap();
    assert!(s.ended(identity, 5).await);
    assert!(!s.ended(identity, 4).await);
}

async fn an_end_by_a_clock_that_is_ahead_is_an_end(world: World) {
    // X10: two instances, of which the one that narrows is ten seconds ahead.
    let s = scene(world).await;
    let (here, there) = (s.identity(&s.here).await, s.identity(&s.there).await);
    let standing = async |identity, at| {
        let standing = s.world.database.standing(identity, seconds(at)).await;
        standing.unwrap()
    };
    let only_here = ApiKeyChange {
        scopes: Some(only(&[s.here.id])),
        ..ApiKeyChange::default()
    };
    s.update(only_here, 15).await;
    assert_eq!(standing(there, 5).await, IdentityStanding::Ended);
    s.expire(Some(500), 6).await;
    assert!(s.ended(there, 15).await && !s.ended(here, 499).await);
    s.expire(None, 7).await;
    assert!(s.ended(there, 15).await && !s.ended(here, 501).await);
    let by_clock_ahead = act(seconds(18));
    let (account, id) = (s.person.account, s.key.id);
    let revoked = s.world.database.revoke(account, id, &by_clock_ahead).await;
    revoked.unwrap();
    assert_eq!(standing(here, 8).await, IdentityStanding::Ended);
}

async fn ended_identities_are_claimed_by_one(world: World) {
    let s = scene(world).await;
    let (one, two) = (s.identity(&s.here).await, s.identity(&s.there).await);
    let store: &dyn IdentityRepository = &s.world.database;
    let claim = async |limit, now: i64| {
        let claimed = store
            .claim_ended(&dev(), None, limit, seconds(now), seconds(now + 10))
            .await;
        let ids = claimed.unwrap().into_iter().map(|identity| identity.id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(claim(9, 0).await, []);
    store.end(one, seconds(1)).await.unwrap();
    store.end(two, seconds(2)).await.unwrap();
    assert_eq!(claim(9, 1).await, [one]);
    assert_eq!(claim(1, 2).await, [two]);
    assert_eq!(claim(9, 10).await, []);
    assert_eq!(claim(9, 11).await, [one]);
    assert_eq!(claim(9, 12).await, [two]);
    store.postpone(two, seconds(13)).await.unwrap();
    assert_eq!(claim(9, 13).await, [two]);
    store.remove(one).await.unwrap();
    store.remove(two).await.unwrap();
    assert_eq!(claim(9, 999).await, []);
}

async fn what_has_just_ended_is_told_from_what_was_tried_before(world: World) {
    // R10
    let s = scene(world).await;
    let third = s.world.namespace(s.person.account, "third").await;
    let (one, two) = (s.identity(&s.here).await, s.identity(&s.there).await);
    let new = s.identity(&third).await;
    let store: &dyn IdentityRepository = &s.world.database;
    let due = async |now: i64| {
        let due = store.due_ends(seconds(now)).await.unwrap().into_iter();
        let mut tried: Vec<Tried> = due
            .map(|due| {
                assert_eq!(due.key, dev());
                due.tried
            })
            .collect();
        tried.sort_by_key(|tried| *tried == Tried::Before);
        tried
    };
    let claim = async |tried, limit, now: i64| {
        let claimed = store
            .claim_ended(&dev(), Some(tried), limit, seconds(now), seconds(now + 10))
            .await;
        let ids = claimed.unwrap().into_iter().map(|identity| identity.id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(due(0).await, []);
    store.end(one, seconds(1)).await.unwrap();
    store.end(two, seconds(2)).await.unwrap();
    assert_eq!(due(2).await, [Tried::Never]);
    assert_eq!(claim(Tried::Before, 9, 2).await, []);
    assert_eq!(claim(Tried::Never, 1, 2).await, [one]);
    assert_eq!(claim(Tried::Never, 9, 2).await, [two]);
    assert_eq!(due(2).await, []);
    // Whether it was postponed, or its claim is over.
    store.postpone(one, seconds(4)).await.unwrap();
    store.end(new, seconds(3)).await.unwrap();
    assert_eq!(due(4).await, [Tried::Never, Tried::Before]);
    assert_eq!(due(12).await, [Tried::Never, Tried::Before]);
    assert_eq!(claim(Tried::Never, 9, 12).await, [new]);
    // Whichever has been due for longest: no other that ended later, and comes back again
    // and again, keeps it from its turn.
    assert_eq!(claim(Tried::Before, 1, 12).await, [one]);
    store.postpone(one, seconds(13)).await.unwrap();
    assert_eq!(claim(Tried::Before, 1, 13).await, [two]);
    assert_eq!(claim(Tried::Before, 9, 13).await, [one]);
}

async fn a_namespace_waits_only_for_what_may_open_it(world: World) {
    // X9, N5
    let s = scene(world).await;
    let (other, new) = s.world.key(s.person, Scopes::All).await;
    let left = s.identity(&s.here).await;
    let standing = s.world.identity(&other, new.secret.id, &s.here).await;
    let elsewhere = s.identity(&s.there).await;
    let database = &s.world.database;
    let store: &dyn IdentityRepository = database;
    for id in [left, elsewhere] {
        store.mark_powerless(id, seconds(1)).await.unwrap();
    }
    assert_eq!(store.count_in(s.here.id).await.unwrap(), 1);
    store.mark_powerless(standing, seconds(1)).await.unwrap();
    assert_eq!(store.count_in(s.here.id).await.unwrap(), 0);
    store.remove(standing).await.unwrap();

    // When the cluster has let go of the namespace, the binding in it is gone.
    let remove = async |at| NamespaceRepository::remove(database, s.here.id, seconds(at)).await;
    remove(2).await.unwrap();
    let stored = async || {
        let stored = store.stored_among(&[left, elsewhere]).await.unwrap();
        let mut ids: Vec<_> = stored.into_iter().map(|identity| identity.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(stored().await.len(), 2, "it was not being deleted");
    let by = act(seconds(3));
    let deleting = database.mark_deleting(s.person.account, s.here.id, &by);
    deleting.await.unwrap();
    remove(4).await.unwrap();
    assert_eq!(stored().await, [elsewhere]);
}

async fn the_sweep_ends_what_nothing_justifies(world: World) {
    // X10: the ways that a store is left alone with, as when somebody writes
    // into it by hand.
    let s = scene(world).await;
    let mut kept = vec![s.identity(&s.here).await];
    let bare = s.world.key(s.person, Scopes::All).await;
    let taken = s.world.identity(&bare.0, bare.1.secret.id, &s.there).await;
    let store: &dyn IdentityRepository = &s.world.database;
    assert_eq!(store.end_unjustified(seconds(1)).await.unwrap(), 0);
    s.world.execute(&format!(
        "UPDATE api_keys SET scopes = '{{\"inference\":true}}' WHERE prefix = '{}'",
        bare.0.prefix.as_str()
    ));
    // All instances together look once in 40 seconds.
    assert_eq!(store.end_unjustified(seconds(40)).await.unwrap(), 0);
    assert_eq!(store.end_unjustified(seconds(41)).await.unwrap(), 1);
    assert!(s.ended(taken, 41).await);
    assert_eq!(store.end_unjustified(seconds(90)).await.unwrap(), 0);
    kept.push(s.identity(&s.there).await);
    s.world.execute("UPDATE memberships SET role = 'read'");
    let other = s.world.instance().await;
    assert_eq!(other.end_unjustified(seconds(140)).await.unwrap(), 2);
    for identity in kept {
        assert!(s.ended(identity, 140).await && !s.ended(identity, 139).await);
    }
}

async fn the_sweep_takes_a_slice_at_a_time_and_comes_round(world: World) {
    // X10
    let s = scene(world).await;
    let store: &dyn IdentityRepository = &s.world.database;
    let mut identities = Vec::new();
    for _ in 0..5 {
        let (key, new) = s.world.key(s.person, Scopes::All).await;
        let id = s.world.identity(&key, new.secret.id, &s.here).await;
        identities.push(id);
    }
    identities.sort();
    s.world.execute("UPDATE memberships SET role = 'read'");
    // Two at a time, after the first.
    let first = identities[0].as_uuid();
    let place = match s.world.guard {
        Guard::Postgres(_) => format!("'{first}'"),
        Guard::Sqlite(_) => format!("x'{}'", first.simple()),
    };
    s.world.execute(&format!(
        "UPDATE identity_rounds SET looked_up_to = {place}, slice = 2"
    ));
    let mut at = 0;
    let mut ended = async || {
        at += 45;
        store.end_unjustified(seconds(at)).await.unwrap()
    };
    // The last slice of the round is empty; the next round begins with the first.
    assert_eq!((ended().await, ended().await), (2, 2));
    assert_eq!((ended().await, ended().await), (0, 1));
    for identity in identities {
        assert!(s.ended(identity, 200).await);
    }
}

async fn one_row_that_cannot_be_read_keeps_no_other_from_being_looked_at(world: World) {
    // X10: what cannot be read opens nothing.
    let s = scene(world).await;
    let store: &dyn IdentityRepository = &s.world.database;
    let kept = s.identity(&s.here).await;
    let mut bent = Vec::new();
    for _ in 0..3 {
        let (key, new) = s.world.key(s.person, Scopes::All).await;
        let id = s.world.identity(&key, new.secret.id, &s.here).await;
        bent.push((id, key.prefix.as_str().to_owned()));
    }
    let of = |index: usize| format!("WHERE prefix = '{}'", bent[index].1);
    let never = match s.world.guard {
        Guard::Postgres(_) => "'infinity'",
        Guard::Sqlite(_) => "9223372036854775807",
    };
    for change in [
        format!(
            "UPDATE api_keys SET scopes = '{{\"tomorrow\":1}}' {}",
            of(0)
        ),
        format!("UPDATE api_keys SET last_used_at = {never} {}", of(1)),
        format!(
            "UPDATE api_keys SET scopes = '{{\"inference\":true}}' {}",
            of(2)
        ),
    ] {
        s.world.execute(&change);
    }
    assert_eq!(store.end_unjustified(seconds(5)).await.unwrap(), 2);
    // R6: a scope that this version does not know is a newer one's to judge.
    for ((identity, _), ended) in bent.iter().zip([false, true, true]) {
        assert_eq!(s.ended(*identity, 5).await, ended);
    }
    assert!(!s.ended(kept, 999).await);
}

const DAY: i64 = 86_400;

async fn an_identity_that_nobody_uses_is_ended(world: World) {
    // X12
    let s = scene(world).await;
    let store: &dyn IdentityRepository = &s.world.database;
    let (used, idle) = (s.identity(&s.here).await, s.identity(&s.there).await);
    let end = async |limit, day: i64| {
        let now = seconds(day * DAY);
        let before = now - CredentialIdentity::IDLE_AFTER;
        store.end_idle(before, limit, now).await.unwrap()
    };
    // What was never minted for counts from when it was made.
    assert_eq!(end(9, 30).await, 0);
    assert!(store.note_mint(used, seconds(29 * DAY)).await.unwrap());
    s.expire(Some(400 * DAY), 29 * DAY).await;
    assert_eq!(end(9, 31).await, 1);
    assert!(s.ended(idle, 31 * DAY).await && !s.ended(idle, 31 * DAY - 1).await);
    assert!(!s.ended(used, 399 * DAY).await);
    assert_eq!(end(9, 32).await, 0, "nothing ends twice");
    assert!(!store.note_mint(idle, seconds(32 * DAY)).await.unwrap());
    assert!(s.ended(idle, 31 * DAY).await);
    // As many at once as was said, those first that rest for longest.
    store.remove(idle).await.unwrap();
    let (key, new) = s.world.key(s.person, Scopes::All).await;
    let older = s.world.identity(&key, new.secret.id, &s.there).await;
    assert_eq!(end(1, 60).await, 1);
    assert!(s.ended(older, 60 * DAY).await && !s.ended(used, 60 * DAY).await);
    assert_eq!(end(1, 60).await, 1);
    assert!(s.ended(used, 60 * DAY).await);
    // The next mint makes another, as soon as the cluster has forgotten this one.
    assert_eq!(s.ensure(&s.here, 60 * DAY).await, EnsureIdentity::Ending);
    store.remove(used).await.unwrap();
    let ready = s.ensure(&s.here, 60 * DAY).await;
    assert!(matches!(ready, EnsureIdentity::Ready(_)));
}

async fn a_mint_and_the_end_of_idle_identities_never_both_win(world: World) {
    // X12: what was noted before the end keeps the identity, what comes after it is told.
    let s = scene(world).await;
    let other = s.world.instance().await;
    let now = seconds(31 * DAY);
    // As many keys as an account may have, beside the one of the scene.
    for _ in 1..LIMIT {
        let (key, new) = s.world.key(s.person, Scopes::All).await;
        let identity = s.world.identity(&key, new.secret.id, &s.here).await;
        let before = now - CredentialIdentity::IDLE_AFTER;
        let store: &dyn IdentityRepository = &s.world.database;
        let (noted, ended) = tokio::join!(
            store.note_mint(identity, now),
            other.end_idle(before, 9, now)
        );
        let has_ended = s.world.has_ended(identity, now).await;
        // A row that was held at that moment is left to the next sweep.
        assert_eq!(noted.unwrap(), !has_ended);
        assert_eq!(ended.unwrap() == 1, has_ended);
    }
}

async fn mints_are_noted_once_an_hour_and_never_set_back(world: World) {
    // X12
    let s = scene(world).await;
    let identity = s.identity(&s.here).await;
    let store: &dyn IdentityRepository = &s.world.database;
    let noted = async || match store.standing(identity, seconds(1)).await.unwrap() {
        IdentityStanding::Living { last_minted_at, .. } => last_minted_at,
        IdentityStanding::Ended => panic!("it has ended"),
    };
    assert_eq!(noted().await, NOW, "when it was made");
    store.record_mints(&[]).await.unwrap();
    let unknown = IdentityId::generate(NOW, &mut rng());
    for (at, expected) in [
        (3599, 0),
        (3600, 3600),
        (7199, 3600),
        (60, 3600),
        (7200, 7200),
    ] {
        let mints = [(unknown, NOW), (identity, seconds(at))];
        store.record_mints(&mints).await.unwrap();
        assert_eq!(noted().await, seconds(expected), "{at}");
    }
    // A mint that has to be noted at once is, and turns no time back either.
    for (at, expected) in [(7201, 7201), (7000, 7201)] {
        assert!(store.note_mint(identity, seconds(at)).await.unwrap());
        assert_eq!(noted().await, seconds(expected));
    }
    assert!(!store.note_mint(unknown, NOW).await.unwrap());
}

async fn identities_from_before_count_as_used_on_the_day_of_the_upgrade(world: World) {
    // X12: or all that are older than 30 days would end at once, with the tokens that
    // were handed out a moment ago.
    let s = scene(world).await;
    let identity = s.identity(&s.here).await;
    for statement in [
        "DROP INDEX credential_identities_idle",
        "DROP INDEX api_keys_dead",
        "DROP INDEX api_keys_dead_of_account",
        "DROP INDEX key_secrets_ended",
        "DROP TABLE identity_rounds",
        "ALTER TABLE credential_identities DROP COLUMN last_minted_at",
        "DELETE FROM __diesel_schema_migrations WHERE version LIKE '2026112700003%'",
    ] {
        s.world.execute(statement);
    }
    let upgraded = s.world.instance().await;
    upgraded.migrate().await.unwrap();
    let last_minted_at = async |identity| {
        let standing = upgraded.standing(identity, seconds(1)).await.unwrap();
        match standing {
            IdentityStanding::Living { last_minted_at, .. } => last_minted_at,
            IdentityStanding::Ended => panic!("it has ended"),
        }
    };
    // The day of this test, which is later than all that happens in it.
    assert!(last_minted_at(identity).await > seconds(100 * DAY));
    let new = s.identity(&s.there).await;
    assert_eq!(last_minted_at(new).await, NOW);
}

async fn standing_tells_when_an_identity_ends(world: World) {
    // X10. That each act which takes its reason away ends it is the other tests'.
    let s = scene(world).await;
    let identity = s.identity(&s.here).await;
    let store: &dyn IdentityRepository = &s.world.database;
    let standing = async |at| store.standing(identity, seconds(at)).await.unwrap();
    let living = |ends_at: Option<i64>| IdentityStanding::Living {
        ends_at: ends_at.map(seconds),
        last_minted_at: NOW,
    };
    assert_eq!(standing(1).await, living(None));
    s.expire(Some(10), 1).await;
    assert_eq!(standing(9).await, living(Some(10)));
    assert_eq!(standing(10).await, IdentityStanding::Ended);
    s.expire(Some(20), 5).await;
    assert_eq!(standing(19).await, living(Some(20)));
    store.end(identity, seconds(7)).await.unwrap();
    assert_eq!(standing(7).await, IdentityStanding::Ended);
    let other = IdentityId::generate(NOW, &mut rng());
    let unknown = store.standing(other, seconds(1)).await.unwrap();
    assert_eq!(unknown, IdentityStanding::Ended);
}

/// `remove` is a method of two traits.
trait RemoveIdentity {
    async fn remove_identity(&self, id: IdentityId);
}

impl RemoveIdentity for remotegpu_storage::Database {
    async fn remove_identity(&self, id: IdentityId) {
        IdentityRepository::remove(self, id).await.unwrap();
    }
}
