use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use rand::RngExt;
use remotegpu_accounts::UserRepository;
use remotegpu_keys::{
    ApiKeyChange, ApiKeyRepository, InsertApiKey, RevokeApiKey, RotateApiKey, UpdateApiKey,
};
use remotegpu_namespaces::{
    EnsureIdentity, IdentityRepository, InsertNamespace, NamespaceRepository,
};
use remotegpu_primitives::{IdentityId, NamespaceId};
use remotegpu_scopes::Scopes;

use crate::{
    on_both_databases,
    world::{
        LIMIT, NOW, World, act, dev, new_account, new_key, new_namespace, new_secret, new_user,
        seconds, seeded, wanted,
    },
};

on_both_databases!(
    the_key_limit_is_exact_under_concurrency,
    a_namespaces_name_is_given_once_under_concurrency,
    the_namespace_limit_is_exact_under_concurrency,
    two_instances_make_one_first_admin,
    a_key_survives_everything_at_once,
    no_identity_outlives_a_revocation,
    claims_never_overlap,
    cancelled_work_leaves_the_pools_healthy,
);

async fn the_key_limit_is_exact_under_concurrency(world: World) {
    // K8
    let ada = world.person("ada").await;
    let insert = |_| {
        let (store, new) = (world.database.clone(), new_key(ada, Scopes::All));
        tokio::spawn(async move {
            ApiKeyRepository::insert(&store, &new, LIMIT, &act(NOW))
                .await
                .unwrap()
        })
    };
    let outcomes = join_all((0..64).map(insert)).await;
    let inserted = outcomes
        .into_iter()
        .filter(|outcome| matches!(outcome, Ok(InsertApiKey::Inserted(_))))
        .count();
    assert_eq!(inserted, 20);
}

async fn a_namespaces_name_is_given_once_under_concurrency(world: World) {
    // N3
    let ada = world.person("ada").await;
    let insert = |_| {
        let (store, new) = (world.database.clone(), new_namespace(ada.account, "team"));
        tokio::spawn(async move {
            NamespaceRepository::insert(&store, &new, 99, &act(NOW))
                .await
                .unwrap()
        })
    };
    let outcomes: Vec<_> = join_all((0..64).map(insert)).await;
    let inserted = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(InsertNamespace::Inserted(_))))
        .count();
    let taken = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(InsertNamespace::NameTaken)))
        .count();
    assert_eq!((inserted, taken), (1, 63));
}

async fn the_namespace_limit_is_exact_under_concurrency(world: World) {
    // N3
    let ada = world.person("ada").await;
    let insert = |number| {
        let new = new_namespace(ada.account, &format!("n{number}"));
        let store = world.database.clone();
        tokio::spawn(async move {
            NamespaceRepository::insert(&store, &new, 10, &act(NOW))
                .await
                .unwrap()
        })
    };
    let outcomes = join_all((0..64).map(insert)).await;
    let inserted = outcomes
        .into_iter()
        .filter(|outcome| matches!(outcome, Ok(InsertNamespace::Inserted(_))))
        .count();
    assert_eq!(inserted, 10);
}

async fn two_instances_make_one_first_admin(world: World) {
    // A10
    let other = world.instance().await;
    let insert = |number: usize| {
        let store = [&world.database, &other][number % 2].clone();
        let name = format!("admin{number}");
        tokio::spawn(async move {
            let (user, account) = (new_user(&name), new_account(&name));
            store
                .insert_first(&user, &account, &act(NOW))
                .await
                .unwrap()
        })
    };
    let outcomes = join_all((0..16).map(insert)).await;
    let first = outcomes
        .into_iter()
        .filter(|outcome| matches!(outcome, Ok(true)))
        .count();
    assert_eq!(first, 1);
}

async fn a_key_survives_everything_at_once(world: World) {
    // K6
    let ada = world.person("ada").await;
    let (key, _) = world.key(ada, Scopes::All).await;
    let (account, id) = (ada.account, key.id);
    let act = |number: i64| {
        let store = world.database.clone();
        tokio::spawn(async move {
            let now = seconds(number);
            match number % 8 {
                7 => {
                    let revoked = store.revoke(account, id, &act(now)).await.unwrap();
                    return matches!(revoked, RevokeApiKey::Revoked(_));
                }
                0 | 2 | 4 => {
                    let change = ApiKeyChange {
                        expires_at: Some(Some(seconds(1000 + number))),
                        ..ApiKeyChange::default()
                    };
                    let updated = store.update(account, id, &change, &act(now)).await.unwrap();
                    assert_ne!(updated, UpdateApiKey::NotFound);
                }
                _ => {
                    let secret = new_secret();
                    let ends = seconds(500);
                    let rotated = store.rotate(account, id, &secret, ends, &act(now)).await;
                    assert_ne!(rotated.unwrap(), RotateApiKey::NotFound);
                }
            }
            false
        })
    };
    let outcomes = join_all((0..64).map(act)).await;
    let mut revocations = 0;
    for outcome in outcomes {
        revocations += i32::from(outcome.unwrap());
    }
    assert_eq!(revocations, 1);
}

async fn no_identity_outlives_a_revocation(world: World) {
    // X10
    let ada = world.person("ada").await;
    let place = world.namespace(ada.account, "team").await;
    for _ in 0..200 {
        let (key, new) = world.key(ada, Scopes::All).await;
        let wanted = wanted(&key, new.secret.id, &place);
        let (one, two) = (world.database.clone(), world.database.clone());
        let ensuring = tokio::spawn({
            let wanted = wanted.clone();
            async move { one.ensure(&wanted, seconds(1)).await.unwrap() }
        });
        let revoking = tokio::spawn(async move {
            let revoked = two.revoke(key.account_id, key.id, &act(seconds(1))).await;
            assert!(matches!(revoked.unwrap(), RevokeApiKey::Revoked(_)));
        });
        let ensured = ensuring.await.unwrap();
        revoking.await.unwrap();
        match ensured {
            EnsureIdentity::Ready(identity) => {
                assert!(world.has_ended(identity.id, seconds(1)).await);
            }
            EnsureIdentity::Refused => {
                assert!(!world.has_ended(wanted.id, seconds(99)).await);
                let stored = world.database.stored_among(&[wanted.id]).await;
                assert_eq!(stored.unwrap(), []);
            }
            EnsureIdentity::Ending => {}
        }
    }
}

async fn claims_never_overlap(world: World) {
    let ada = world.person("ada").await;
    let place = world.namespace(ada.account, "place").await;
    let mut work: BTreeSet<NamespaceId> = BTreeSet::new();
    let mut ended: BTreeSet<IdentityId> = BTreeSet::new();
    for number in 0..60 {
        let new = new_namespace(ada.account, &format!("n{number}"));
        let inserted = NamespaceRepository::insert(&world.database, &new, 99, &act(NOW)).await;
        assert!(matches!(inserted, Ok(InsertNamespace::Inserted(_))));
        work.insert(new.id);
        let new = new_key(ada, Scopes::All);
        ApiKeyRepository::insert(&world.database, &new, 99, &act(NOW))
            .await
            .unwrap();
        let key = world.presented(new.secret.id).await.key;
        let identity = world.identity(&key, new.secret.id, &place).await;
        world.database.end(identity, NOW).await.unwrap();
        ended.insert(identity);
    }
    let other = world.instance().await;
    let claim = |number: usize| {
        let store = [&world.database, &other][number % 2].clone();
        tokio::spawn(async move {
            let (mut spaces, mut identities) = (Vec::new(), Vec::new());
            for _ in 0..10 {
                let claimed = store
                    .claim(&dev(), None, 3, seconds(1), seconds(60))
                    .await
                    .unwrap();
                spaces.extend(claimed.into_iter().map(|space| space.id));
                let claimed = store
                    .claim_ended(&dev(), None, 3, seconds(1), seconds(60))
                    .await;
                identities.extend(claimed.unwrap().into_iter().map(|one| one.id));
            }
            (spaces, identities)
        })
    };
    let (mut spaces, mut identities) = (Vec::new(), Vec::new());
    for claimed in join_all((0..8).map(claim)).await {
        let claimed = claimed.unwrap();
        spaces.extend(claimed.0);
        identities.extend(claimed.1);
    }
    // Whoever came last may have left some.
    let rest = world
        .database
        .claim(&dev(), None, 99, seconds(1), seconds(60))
        .await;
    spaces.extend(rest.unwrap().into_iter().map(|space| space.id));
    let rest = world
        .database
        .claim_ended(&dev(), None, 99, seconds(1), seconds(60))
        .await;
    identities.extend(rest.unwrap().into_iter().map(|one| one.id));
    assert_eq!(spaces.len(), work.len());
    assert_eq!(identities.len(), ended.len());
    assert_eq!(BTreeSet::from_iter(spaces), work);
    assert_eq!(BTreeSet::from_iter(identities), ended);
}

async fn cancelled_work_leaves_the_pools_healthy(world: World) {
    let ada = world.person("ada").await;
    let mut rng = seeded(7);
    for number in 0..150_u32 {
        let new = new_key(ada, Scopes::All);
        let by = act(NOW);
        let insert = ApiKeyRepository::insert(&world.database, &new, u32::MAX, &by);
        let after = Duration::from_micros(rng.random_range(0..3000));
        let outcome = tokio::time::timeout(after, insert).await;
        let found = world.database.find_by_hash(&new.secret.hash).await;
        if outcome.is_ok() {
            assert!(found.unwrap().is_some(), "{number}");
        }
        if number % 10 == 0 {
            // Whole or not at all, and nobody has to wait for what was given up.
            let work = world.key(ada, Scopes::Inference);
            let (key, _) = tokio::time::timeout(Duration::from_secs(4), work)
                .await
                .unwrap();
            ApiKeyRepository::revoke(&world.database, ada.account, key.id, &act(NOW))
                .await
                .unwrap();
        }
        // Keys that got through must not reach the limit of the others.
        let revoked =
            ApiKeyRepository::revoke(&world.database, ada.account, new.id, &act(NOW)).await;
        let known = revoked.unwrap() != RevokeApiKey::NotFound;
        let found = world.database.find_by_hash(&new.secret.hash).await;
        assert_eq!(found.unwrap().is_some(), known);
    }
    world.database.ping().await.unwrap();
}
