use remotegpu_accounts::{AccountRepository, LimitChange, LimitChanges, Role};
use remotegpu_keys::{
    ApiKey, ApiKeyChange, ApiKeyRepository, InsertApiKey, KeyName, KeyRefused, RevokeApiKey,
    RotateApiKey, UpdateApiKey,
};
use remotegpu_namespaces::NamespaceRepository;
use remotegpu_primitives::{ApiKeyId, KeySecretId, NamespaceId, PageRequest, StoreError};
use remotegpu_scopes::{NamespaceAccess, Scopes};
use time::Duration;

use crate::{
    on_both_databases,
    world::{LIMIT, NOW, Person, World, act, new_key, new_secret, only, rng, seconds},
};

on_both_databases!(
    key_comes_back_as_it_was,
    times_are_kept_to_the_microsecond,
    lists_are_the_accounts_own_newest_first,
    only_active_keys_count_against_the_limit,
    scopes_name_living_namespaces_of_the_account,
    what_a_patch_leaves_out_stays,
    ended_keys_cannot_be_changed,
    a_secret_is_found_whatever_its_state,
    a_key_is_worth_what_its_maker_is,
    a_key_has_at_most_two_live_secrets,
    use_is_noted_and_never_set_back,
);

fn unknown() -> ApiKeyId {
    ApiKeyId::generate(NOW, &mut rng())
}

async fn find(world: &World, key: &ApiKey) -> Option<ApiKey> {
    let found = ApiKeyRepository::find(&world.database, key.account_id, key.id).await;
    found.unwrap()
}

async fn key_comes_back_as_it_was(world: World) {
    // K1
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn ApiKeyRepository = &world.database;
    let one = world.namespace(ada.account, "one").await.id;
    let two = world.namespace(ada.account, "two").await.id;
    for scopes in [
        Scopes::All,
        Scopes::Inference,
        Scopes::KubernetesExec(NamespaceAccess::All),
        only(&[two, one]),
    ] {
        let mut new = new_key(ada, scopes.clone());
        new.expires_at = Some(seconds(60));
        let key = world.insert_key(&new).await;
        assert_eq!(key.id, new.id);
        assert_eq!(key.account_id, ada.account);
        assert_eq!(key.name, new.name);
        assert_eq!(key.prefix, new.secret.prefix);
        assert_eq!(key.scopes, scopes);
        assert_eq!(key.created_at, NOW);
        assert_eq!(key.created_by, ada.user);
        assert_eq!(key.expires_at, Some(seconds(60)));
        assert_eq!(key.revoked_at, None);
        assert_eq!(key.last_used_at, None);
        assert_eq!(find(&world, &key).await, Some(key.clone()));
        // C6
        assert_eq!(store.find(eve.account, key.id).await.unwrap(), None);
        let mut twice = new_key(ada, Scopes::All);
        twice.secret.hash = new.secret.hash;
        let refused = store.insert(&twice, LIMIT, &act(NOW)).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
    }
    let nameless = new_key(ada, only(&[]));
    let refused = store.insert(&nameless, LIMIT, &act(NOW)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
}

async fn times_are_kept_to_the_microsecond(world: World) {
    let ada = world.person("ada").await;
    let mut new = new_key(ada, Scopes::All);
    let far = time::macros::datetime!(9999-12-31 23:59:59.999999 UTC);
    new.created_at = NOW + Duration::nanoseconds(999);
    new.expires_at = Some(far.to_offset(time::macros::offset!(-5)) + Duration::nanoseconds(1));
    let key = world.insert_key(&new).await;
    assert_eq!(key.created_at, NOW);
    assert_eq!(key.expires_at, Some(far));
    assert_eq!(find(&world, &key).await, Some(key));
}

async fn lists_are_the_accounts_own_newest_first(world: World) {
    // C4, C6
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    world.key(eve, Scopes::All).await;
    let mut ids = Vec::new();
    for minute in 0..5 {
        let mut new = new_key(ada, Scopes::All);
        new.id = ApiKeyId::generate(NOW + Duration::minutes(minute), &mut rng());
        ids.insert(0, world.insert_key(&new).await.id);
    }
    let list = async |limit, after| {
        let request = PageRequest::new(limit, after).unwrap();
        let store: &dyn ApiKeyRepository = &world.database;
        let page = store.list(ada.account, request).await.unwrap();
        let listed: Vec<ApiKeyId> = page.items.iter().map(|key| key.id).collect();
        (listed, page.next)
    };
    let (first, next) = list(3, None).await;
    assert_eq!(first, ids[..3]);
    let (rest, end) = list(3, next).await;
    assert_eq!(rest, ids[3..]);
    assert_eq!(end, None);
    assert_eq!(list(5, None).await, (ids, None));
}

async fn only_active_keys_count_against_the_limit(world: World) {
    // K8
    let ada = world.person("ada").await;
    let store: &dyn ApiKeyRepository = &world.database;
    let mut expiring = new_key(ada, Scopes::All);
    expiring.expires_at = Some(seconds(10));
    world.insert_key(&expiring).await;
    let (revoked, _) = world.key(ada, Scopes::All).await;
    let insert = async |created_at, limit| {
        let mut new = new_key(ada, Scopes::All);
        new.created_at = created_at;
        store.insert(&new, limit, &act(NOW)).await.unwrap()
    };
    assert_eq!(insert(NOW, 2).await, InsertApiKey::LimitReached);
    store
        .revoke(ada.account, revoked.id, &act(NOW))
        .await
        .unwrap();
    assert!(matches!(insert(NOW, 2).await, InsertApiKey::Inserted(_)));
    assert_eq!(insert(seconds(9), 2).await, InsertApiKey::LimitReached);
    // Expired in the very moment: now is past (K5).
    let at_the_end = insert(seconds(10), 2).await;
    assert!(matches!(at_the_end, InsertApiKey::Inserted(_)));
    let limits = LimitChanges {
        keys: LimitChange::Own(3),
        ..LimitChanges::default()
    };
    world
        .database
        .set_limits(ada.account, limits, &act(NOW))
        .await
        .unwrap();
    let by_own_limit = insert(seconds(10), 0).await;
    assert!(matches!(by_own_limit, InsertApiKey::Inserted(_)));
    assert_eq!(insert(seconds(10), 99).await, InsertApiKey::LimitReached);
}

async fn scopes_name_living_namespaces_of_the_account(world: World) {
    // K12
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let own = world.namespace(ada.account, "own").await.id;
    let fresh = world.new_namespace(ada.account, "fresh").await.id;
    let going = world.namespace(ada.account, "going").await.id;
    let gone = world.namespace(ada.account, "gone").await.id;
    let foreign = world.namespace(eve.account, "foreign").await.id;
    let nowhere = NamespaceId::generate(NOW, &mut rng());
    let spaces: &dyn NamespaceRepository = &world.database;
    let key = world.key(ada, only(&[own, going])).await.0;
    spaces
        .mark_deleting(ada.account, going, &act(NOW))
        .await
        .unwrap();
    spaces
        .mark_deleting(ada.account, gone, &act(NOW))
        .await
        .unwrap();
    spaces.remove(gone, NOW).await.unwrap();

    let mut bad = vec![going, gone, foreign, nowhere];
    bad.sort();
    let mut all = bad.clone();
    all.extend([own, fresh]);
    let store: &dyn ApiKeyRepository = &world.database;
    let refused = store
        .insert(&new_key(ada, only(&all)), LIMIT, &act(NOW))
        .await;
    assert_eq!(
        refused.unwrap(),
        InsertApiKey::ForeignNamespaces(bad.clone())
    );
    let change = |scopes| ApiKeyChange {
        scopes: Some(scopes),
        ..ApiKeyChange::default()
    };
    let refused = store
        .update(ada.account, key.id, &change(only(&all)), &act(NOW))
        .await;
    assert_eq!(refused.unwrap(), UpdateApiKey::ForeignNamespaces(bad));
    assert_eq!(find(&world, &key).await, Some(key.clone()));
    let good = store
        .update(ada.account, key.id, &change(only(&[own, fresh])), &act(NOW))
        .await;
    assert!(matches!(good.unwrap(), UpdateApiKey::Updated(_)));
    // The id of a deleted namespace stays, and a PATCH without scopes never
    // judges it.
    let key = world.key(ada, only(&[own])).await.0;
    spaces
        .mark_deleting(ada.account, own, &act(NOW))
        .await
        .unwrap();
    let rename = ApiKeyChange {
        name: Some(KeyName::parse("other").unwrap()),
        ..ApiKeyChange::default()
    };
    match store.update(ada.account, key.id, &rename, &act(NOW)).await {
        Ok(UpdateApiKey::Updated(key)) => assert_eq!(key.scopes, only(&[own])),
        other => panic!("{other:?}"),
    }
}

async fn what_a_patch_leaves_out_stays(world: World) {
    let ada = world.person("ada").await;
    let mut expected = world.key(ada, Scopes::All).await.0;
    let update = async |change: ApiKeyChange| {
        let store: &dyn ApiKeyRepository = &world.database;
        match store
            .update(ada.account, expected.id, &change, &act(NOW))
            .await
        {
            Ok(UpdateApiKey::Updated(key)) => key,
            other => panic!("{other:?}"),
        }
    };
    let name = KeyName::parse("other").unwrap();
    let renamed = update(ApiKeyChange {
        name: Some(name.clone()),
        ..ApiKeyChange::default()
    });
    let renamed = renamed.await;
    let scoped = update(ApiKeyChange {
        scopes: Some(Scopes::Inference),
        expires_at: Some(Some(seconds(60))),
        ..ApiKeyChange::default()
    });
    let scoped = scoped.await;
    let endless = update(ApiKeyChange {
        expires_at: Some(None),
        ..ApiKeyChange::default()
    });
    let endless = endless.await;
    expected.name = name;
    assert_eq!(renamed, expected);
    expected.scopes = Scopes::Inference;
    expected.expires_at = Some(seconds(60));
    assert_eq!(scoped, expected);
    expected.expires_at = None;
    assert_eq!(endless, expected);
    assert_eq!(find(&world, &expected).await, Some(expected.clone()));
}

async fn ended_keys_cannot_be_changed(world: World) {
    // K6, K7, C6
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn ApiKeyRepository = &world.database;
    let change = ApiKeyChange::default();
    let mut expired = new_key(ada, Scopes::All);
    expired.expires_at = Some(seconds(10));
    let expired = world.insert_key(&expired).await;
    let (revoked, _) = world.key(ada, Scopes::All).await;
    match store
        .revoke(ada.account, revoked.id, &act(NOW))
        .await
        .unwrap()
    {
        RevokeApiKey::Revoked(key) => assert_eq!(key.revoked_at, Some(NOW)),
        other => panic!("{other:?}"),
    }
    for id in [expired.id, revoked.id] {
        let at = seconds(10);
        let updated = store.update(ada.account, id, &change, &act(at)).await;
        assert_eq!(updated.unwrap(), UpdateApiKey::NotActive);
        let again = store.revoke(ada.account, id, &act(at)).await;
        assert_eq!(again.unwrap(), RevokeApiKey::NotActive);
        let rotated = store
            .rotate(ada.account, id, &new_secret(), at, &act(at))
            .await;
        assert_eq!(rotated.unwrap(), RotateApiKey::NotActive);
    }
    for (account, id) in [(ada.account, unknown()), (eve.account, expired.id)] {
        let updated = store.update(account, id, &change, &act(NOW)).await;
        assert_eq!(updated.unwrap(), UpdateApiKey::NotFound);
        let again = store.revoke(account, id, &act(NOW)).await;
        assert_eq!(again.unwrap(), RevokeApiKey::NotFound);
        let rotated = store
            .rotate(account, id, &new_secret(), NOW, &act(NOW))
            .await;
        assert_eq!(rotated.unwrap(), RotateApiKey::NotFound);
    }
}

async fn a_secret_is_found_whatever_its_state(world: World) {
    // A4, A13
    let ada = world.person("ada").await;
    let store: &dyn ApiKeyRepository = &world.database;
    let (key, new) = world.key(ada, Scopes::All).await;
    let check = async |expected| {
        let by_hash = store.find_by_hash(&new.secret.hash).await.unwrap().unwrap();
        assert_eq!(by_hash, world.presented(new.secret.id).await);
        assert_eq!(by_hash.key.id, key.id);
        assert_eq!(by_hash.secret.id, new.secret.id);
        assert_eq!(by_hash.check(NOW), expected);
    };
    check(Ok(())).await;
    world
        .database
        .suspend(ada.account, &act(NOW))
        .await
        .unwrap();
    check(Err(KeyRefused::AccountSuspended)).await;
    world.database.resume(ada.account, &act(NOW)).await.unwrap();
    check(Ok(())).await;
    store
        .rotate(ada.account, key.id, &new_secret(), NOW, &act(NOW))
        .await
        .unwrap();
    check(Err(KeyRefused::Rotated)).await;
    store.revoke(ada.account, key.id, &act(NOW)).await.unwrap();
    check(Err(KeyRefused::Revoked)).await;
    let nothing = store.find_by_hash(&new_secret().hash).await.unwrap();
    assert_eq!(nothing, None);
    let nobody = KeySecretId::generate(NOW, &mut rng());
    assert_eq!(store.find_by_secret(nobody).await.unwrap(), None);
}

async fn a_key_is_worth_what_its_maker_is(world: World) {
    // K15
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let reader = world.member("reader", ada.account, Role::Write).await;
    let gone = world.member("gone", ada.account, Role::Write).await;
    let writer = world.member("writer", ada.account, Role::Write).await;
    for (maker, worth) in [
        (ada.user, Ok(())),
        (writer, Ok(())),
        (reader, Err(KeyRefused::MakerDemoted)),
        (gone, Err(KeyRefused::MakerDemoted)),
    ] {
        let by = Person {
            user: maker,
            account: ada.account,
        };
        let (_, new) = world.key(by, Scopes::All).await;
        // By hand: the acts that do this revoke the keys.
        let by_hand = |change: &str, name: &str| {
            world.execute(&format!(
                "{change} WHERE user_id = (SELECT id FROM users WHERE email = '{name}@example.org')"
            ));
        };
        if maker == reader {
            by_hand("UPDATE memberships SET role = 'read'", "reader");
        } else if maker == gone {
            by_hand("DELETE FROM memberships", "gone");
        }
        assert_eq!(world.presented(new.secret.id).await.check(NOW), worth);
    }
    let of_a_stranger = Person {
        user: eve.user,
        account: ada.account,
    };
    let new = new_key(of_a_stranger, Scopes::All);
    let refused = ApiKeyRepository::insert(&world.database, &new, LIMIT, &act(NOW)).await;
    assert_eq!(refused.unwrap(), InsertApiKey::MakerMayNot);
}

async fn a_key_has_at_most_two_live_secrets(world: World) {
    let ada = world.person("ada").await;
    let (key, new) = world.key(ada, Scopes::All).await;
    let store: &dyn ApiKeyRepository = &world.database;
    let (second, third) = (new_secret(), new_secret());
    let rotate = async |secret, ends, now| {
        let rotated = store
            .rotate(ada.account, key.id, secret, ends, &act(now))
            .await;
        match rotated.unwrap() {
            RotateApiKey::Rotated(key) => key,
            other => panic!("{other:?}"),
        }
    };
    let mut expected = key.clone();
    expected.prefix = second.prefix.clone();
    assert_eq!(rotate(&second, seconds(3600), NOW).await, expected);
    assert_eq!(
        world.presented(new.secret.id).await.ends_at(),
        Some(seconds(3600))
    );
    assert_eq!(world.presented(second.id).await.ends_at(), None);
    expected.prefix = third.prefix.clone();
    assert_eq!(rotate(&third, seconds(7200), seconds(10)).await, expected);
    // The oldest ends at once, the one before waits for its grace.
    let ends = async |secret| world.presented(secret).await.ends_at();
    assert_eq!(ends(new.secret.id).await, Some(seconds(10)));
    assert_eq!(ends(second.id).await, Some(seconds(7200)));
    assert_eq!(ends(third.id).await, None);
    // What had ended is not made to end later.
    rotate(&new_secret(), seconds(20), seconds(20)).await;
    assert_eq!(ends(new.secret.id).await, Some(seconds(10)));
    assert_eq!(ends(second.id).await, Some(seconds(20)));
    // The old one is no key of its own (K8).
    let mut limited = new_key(ada, Scopes::All);
    limited.created_at = seconds(20);
    let inserted = store.insert(&limited, 2, &act(NOW)).await.unwrap();
    assert!(matches!(inserted, InsertApiKey::Inserted(_)));
}

async fn use_is_noted_and_never_set_back(world: World) {
    // K14
    let ada = world.person("ada").await;
    let (one, two) = (
        world.key(ada, Scopes::All).await.0,
        world.key(ada, Scopes::All).await.0,
    );
    let store: &dyn ApiKeyRepository = &world.database;
    store.record_use(&[]).await.unwrap();
    store
        .record_use(&[
            (two.id, seconds(2)),
            (one.id, seconds(90)),
            (unknown(), NOW),
        ])
        .await
        .unwrap();
    store
        .record_use(&[(one.id, seconds(5)), (two.id, seconds(62))])
        .await
        .unwrap();
    let used = async |key: &ApiKey| find(&world, key).await.unwrap().last_used_at;
    assert_eq!(used(&one).await, Some(seconds(90)));
    assert_eq!(used(&two).await, Some(seconds(62)));
    // K14: at most once a minute, whoever writes.
    let early = [(one.id, seconds(149)), (two.id, seconds(121))];
    store.record_use(&early).await.unwrap();
    assert_eq!(used(&one).await, Some(seconds(90)));
    assert_eq!(used(&two).await, Some(seconds(62)));
}
