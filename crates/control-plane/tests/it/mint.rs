//! Minting, and the races that a revocation must win.

use remotegpu_accounts::AccountRepository;
use remotegpu_control_plane::MintExecCredentialError as Error;
use remotegpu_keys::{ApiKeyChange, ApiKeyRepository, KeyRefused};
use remotegpu_namespaces::NamespaceRepository;
use remotegpu_primitives::NamespaceId;
use remotegpu_scopes::{NamespaceAccess, Scopes};
use remotegpu_test_support::{cluster::TokenAnswer, rng};
use time::Duration;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_minted_for_an_hour_through_one_identity() {
    // X8, X9
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (_, secret) = world
        .store
        .key(&world.ada, Scopes::All, None, world.now())
        .await
        .unwrap();
    for _ in 0..3 {
        let credential = world.mint(&secret, namespace.id).await.unwrap();
        assert_eq!(credential.expires_at, world.now() + Duration::HOUR);
    }
    assert_eq!(world.cluster.identities(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_never_said_to_outlive_its_secret() {
    // X9
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let end = world.now() + Duration::seconds(30);
    let key = world
        .store
        .key(&world.ada, Scopes::All, Some(end), world.now())
        .await
        .unwrap();
    assert_eq!(
        world.mint(&key.1, namespace.id).await.unwrap().expires_at,
        end
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_key_does_not_open_and_what_does_not_exist_answer_alike() {
    // X6, X11, C6
    let world = World::new().await;
    let (open, closed) = (
        world.namespace("open").await,
        world.namespace("closed").await,
    );
    let only = Scopes::KubernetesExec(NamespaceAccess::Only([open.id].into()));
    let (_, secret) = world
        .store
        .key(&world.ada, only, None, world.now())
        .await
        .unwrap();
    let (_, inference) = world
        .store
        .key(&world.ada, Scopes::Inference, None, world.now())
        .await
        .unwrap();
    let bob = world.store.person("bob", world.now()).await.unwrap();
    let (_, foreign) = world
        .store
        .key(&bob, Scopes::All, None, world.now())
        .await
        .unwrap();
    let unknown = NamespaceId::generate(world.now(), &mut rng());

    assert!(world.mint(&secret, open.id).await.is_ok());
    for (secret, namespace) in [
        (&secret, closed.id),
        (&secret, unknown),
        (&inference, open.id),
        (&foreign, open.id),
        (&foreign, unknown),
    ] {
        let refused = world.mint(secret, namespace).await;
        assert!(matches!(refused, Err(Error::NotAllowed)), "{refused:?}");
    }
    assert_eq!(world.cluster.identities(), (1, 1));
}

/// Does something to the key while its token is being minted; the token must
/// not come out, and nothing of it may stay in the cluster.
async fn check_race(
    scopes: Scopes,
    act: impl AsyncFnOnce(&World, remotegpu_primitives::ApiKeyId, NamespaceId),
    expected: impl Fn(&Error) -> bool,
) {
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (key, secret) = world
        .store
        .key(&world.ada, scopes, None, world.now())
        .await
        .unwrap();
    let reached = std::sync::Arc::new(tokio::sync::Notify::new());
    let go_on = std::sync::Arc::new(tokio::sync::Notify::new());
    let hook = (reached.clone(), go_on.clone());
    world.cluster.during_mint(Box::new(move || {
        let (reached, go_on) = hook.clone();
        Box::pin(async move {
            reached.notify_one();
            go_on.notified().await;
        })
    }));
    let minting = world.mint(&secret, namespace.id);
    let acting = async {
        reached.notified().await;
        act(&world, key.id, namespace.id).await;
        go_on.notify_one();
    };
    let (minted, ()) = tokio::join!(minting, acting);
    let error = minted.expect_err("a token came out after the key had ended");
    assert!(expected(&error), "{error:?}");
    assert_eq!(world.reconcile().await.0, 1);
    assert_eq!(world.cluster.identities(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_races_a_revoke_loses() {
    // X10
    check_race(
        Scopes::All,
        async |world, key, _| {
            let (database, account) = (&world.store.database, world.ada.account.id);
            database.revoke(account, key, world.now()).await.unwrap();
        },
        |error| matches!(error, Error::KeyRefused(KeyRefused::Revoked)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_races_a_lost_scope_loses() {
    // X10
    check_race(
        Scopes::All,
        async |world, key, _| {
            let change = ApiKeyChange {
                scopes: Some(Scopes::Inference),
                ..ApiKeyChange::default()
            };
            let (database, account) = (&world.store.database, world.ada.account.id);
            database
                .update(account, key, &change, world.now())
                .await
                .unwrap();
        },
        |error| matches!(error, Error::NotAllowed),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_races_the_deletion_of_its_namespace_loses() {
    // X10, N6
    check_race(
        Scopes::All,
        async |world, _, namespace| {
            let (database, account) = (&world.store.database, world.ada.account.id);
            database
                .mark_deleting(account, namespace, world.now())
                .await
                .unwrap();
        },
        |error| matches!(error, Error::NotAllowed),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_races_a_suspension_loses() {
    // X10, A13
    check_race(
        Scopes::All,
        async |world, _, _| {
            let (database, account) = (&world.store.database, world.ada.account.id);
            database.suspend(account, world.now()).await.unwrap();
        },
        |error| matches!(error, Error::KeyRefused(KeyRefused::AccountSuspended)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_were_not_asked_for_are_refused() {
    // X6, X8
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (_, secret) = world
        .store
        .key(&world.ada, Scopes::All, None, world.now())
        .await
        .unwrap();
    world.cluster.set_answer(TokenAnswer::NoExpiration);
    let error = world.mint(&secret, namespace.id).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "The backing Kubernetes token response did not include an expiration"
    );
    for off in [Duration::seconds(61), Duration::days(365), -Duration::HOUR] {
        world.cluster.set_answer(TokenAnswer::OffBy(off));
        let error = world.mint(&secret, namespace.id).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "The cluster's token response was not usable"
        );
    }
    world.cluster.set_up(false);
    let error = world.mint(&secret, namespace.id).await.unwrap_err();
    assert!(matches!(error, Error::Cluster(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_the_cluster_lost_is_made_again() {
    // X9
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (_, secret) = world
        .store
        .key(&world.ada, Scopes::All, None, world.now())
        .await
        .unwrap();
    let credential = world.mint(&secret, namespace.id).await.unwrap();
    let name = credential.token.reveal().strip_prefix("token-of-").unwrap();
    world.cluster.lose_service_account(name);
    assert!(world.mint(&secret, namespace.id).await.is_ok());
    assert_eq!(world.cluster.identities(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_comes_back_gets_a_new_identity() {
    // X9, X10
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (key, secret) = world
        .store
        .key(&world.ada, Scopes::All, None, world.now())
        .await
        .unwrap();
    let (database, account) = (&world.store.database, world.ada.account.id);
    world.mint(&secret, namespace.id).await.unwrap();
    for scopes in [Scopes::Inference, Scopes::All] {
        let change = ApiKeyChange {
            scopes: Some(scopes),
            ..ApiKeyChange::default()
        };
        database
            .update(account, key.id, &change, world.now())
            .await
            .unwrap();
    }
    let (minted, worked) = tokio::join!(world.mint(&secret, namespace.id), world.reconcile());
    assert_eq!(
        worked.0, 1,
        "the first identity ends although the scope is back"
    );
    assert!(minted.is_ok(), "{minted:?}");
    assert_eq!(world.cluster.identities(), (1, 1));
}
