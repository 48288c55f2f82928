//! Minting, and the races that a revocation must win.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use remotegpu_accounts::{AccountRepository, AuditAction, AuditFilter, AuditLog, AuditSubject};
use remotegpu_control_plane::MintExecCredentialError as Error;
use remotegpu_keys::{ApiKeyChange, ApiKeyRepository, KeyRefused, PlainApiKey};
use remotegpu_namespaces::{ExecCredential, NamespaceRepository};
use remotegpu_primitives::{Actor, ApiKeyId, NamespaceId, PageRequest};
use remotegpu_scopes::{NamespaceAccess, Scopes};
use remotegpu_test_support::{
    act,
    cluster::{Step, TokenAnswer},
    rng,
    stopwatch::Stopwatch,
};
use time::Duration;
use tokio::sync::Notify;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_minted_for_an_hour_through_one_identity() {
    // X8, X9
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (_, secret) = world.key(Scopes::All).await;
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
    let (_, secret) = world.key(only).await;
    let (_, inference) = world.key(Scopes::Inference).await;
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

/// Mints, and has the act done while the cluster is at that step.
async fn mint_beside(
    world: &World,
    during: Step,
    secret: &PlainApiKey,
    namespace: NamespaceId,
    act: impl Future<Output = ()>,
) -> Result<ExecCredential, Error> {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    stop_once(world, during, &reached, &go_on);
    let acting = async {
        reached.notified().await;
        act.await;
        go_on.notify_one();
    };
    tokio::join!(world.mint(secret, namespace), acting).0
}

/// Does something to the key at a step of the cluster's; the token must not come
/// out, and nothing of it may stay in the cluster.
async fn check_race_during(
    during: Step,
    act: impl AsyncFnOnce(&World, ApiKeyId, NamespaceId),
    expected: impl Fn(&Error) -> bool,
) -> (World, NamespaceId, PlainApiKey) {
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (key, secret) = world.key(Scopes::All).await;
    let acting = act(&world, key.id, namespace.id);
    let minted = mint_beside(&world, during, &secret, namespace.id, acting).await;
    let error = minted.expect_err("a token came out after the key had ended");
    assert!(expected(&error), "{error:?}");
    world.reconcile().await;
    assert_eq!(world.cluster.identities(), (0, 0));
    (world, namespace.id, secret)
}

async fn check_race(
    act: impl AsyncFnOnce(&World, ApiKeyId, NamespaceId),
    expected: impl Fn(&Error) -> bool,
) {
    check_race_during(Step::Mint, act, expected).await;
}

async fn set_scopes(world: &World, key: ApiKeyId, scopes: Scopes) {
    let change = ApiKeyChange {
        scopes: Some(scopes),
        ..ApiKeyChange::default()
    };
    let (database, account) = (&world.store.database, world.ada.account.id);
    database
        .update(account, key, &change, &act(world.now()))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_is_made_after_its_row_went_goes_too() {
    // X10
    for during in [Step::Make, Step::Mint] {
        check_race_during(
            during,
            async |world, key, _| {
                world.revoke(key).await;
                assert_eq!(world.reconcile().await.0, 1);
            },
            |error| matches!(error, Error::KeyRefused(KeyRefused::Revoked)),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_ended_and_allowed_again_gets_no_token_of_the_ended_identity() {
    // X10
    for during in [Step::Make, Step::Mint] {
        let (world, namespace, secret) = check_race_during(
            during,
            async |world, key, _| {
                set_scopes(world, key, Scopes::Inference).await;
                assert_eq!(world.reconcile().await.0, 1);
                set_scopes(world, key, Scopes::All).await;
            },
            |error| matches!(error, Error::TooSlow),
        )
        .await;
        assert!(world.mint(&secret, namespace).await.is_ok());
        assert_eq!(world.cluster.identities(), (1, 1));
    }
}

/// Does something to a key while the cluster mints for an identity that worked
/// before.
async fn check_race_of_a_second_mint(
    act: impl AsyncFnOnce(&World, ApiKeyId, NamespaceId),
) -> (World, Result<ExecCredential, Error>) {
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (key, secret) = world.key(Scopes::All).await;
    world.mint(&secret, namespace.id).await.unwrap();
    let acting = act(&world, key.id, namespace.id);
    let minted = mint_beside(&world, Step::Mint, &secret, namespace.id, acting).await;
    world.reconcile().await;
    (world, minted)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_worked_before_is_believed_no_more_than_a_new_one() {
    // X10
    let (world, minted) = check_race_of_a_second_mint(async |world, key, _| {
        world.revoke(key).await;
    })
    .await;
    let revoked = matches!(minted, Err(Error::KeyRefused(KeyRefused::Revoked)));
    assert!(revoked, "{minted:?}");
    assert_eq!(world.cluster.identities(), (0, 0));

    let (world, minted) = check_race_of_a_second_mint(async |world, _, namespace| {
        let place = (world.ada.account.id, namespace);
        let namespaces = NamespaceRepository::find(&world.store.database, place.0, place.1);
        world.delete(&namespaces.await.unwrap().unwrap()).await;
    })
    .await;
    assert!(matches!(minted, Err(Error::NotAllowed)), "{minted:?}");
    assert_eq!(world.cluster.identities(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_ended_and_allowed_again_gets_a_token_of_a_new_identity() {
    // X10
    let (world, minted) = check_race_of_a_second_mint(async |world, key, _| {
        set_scopes(world, key, Scopes::Inference).await;
        assert_eq!(world.reconcile().await.0, 1);
        set_scopes(world, key, Scopes::All).await;
    })
    .await;
    assert!(minted.is_ok(), "{minted:?}");
    assert_eq!(world.cluster.identities(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_ended_after_the_mint_began_is_not_made_again() {
    // X10
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (key, secret) = world.key(Scopes::All).await;
    world.mint(&secret, namespace.id).await.unwrap();
    for lost in world.cluster.service_accounts() {
        world.cluster.lose_service_account(&lost);
    }
    // Revoked while the cluster takes its time to say that there is none.
    let (store, account) = (world.store.database.clone(), world.ada.account.id);
    let revoked_at = world.now() + Duration::MILLISECOND;
    world.cluster.at(Step::Mint, move || {
        let store = store.clone();
        async move {
            store
                .revoke(account, key.id, &act(revoked_at))
                .await
                .unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let made = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&made);
    world.cluster.at(Step::Make, move || {
        let tell = Arc::clone(&tell);
        async move { tell.store(true, Ordering::Relaxed) }
    });
    let refused = world.mint(&secret, namespace.id).await.unwrap_err();
    let revoked = matches!(refused, Error::KeyRefused(KeyRefused::Revoked));
    assert!(revoked, "{refused:?}");
    assert!(!made.load(Ordering::Relaxed));
    world.clock.advance(Duration::SECOND);
    world.reconcile().await;
    assert_eq!(world.cluster.identities(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_races_a_revoke_loses() {
    // X10
    check_race(
        async |world, key, _| {
            world.revoke(key).await;
        },
        |error| matches!(error, Error::KeyRefused(KeyRefused::Revoked)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_races_a_lost_scope_loses() {
    // X10
    check_race(
        async |world, key, _| set_scopes(world, key, Scopes::Inference).await,
        |error| matches!(error, Error::NotAllowed),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_races_the_deletion_of_its_namespace_loses() {
    // X10, N6
    check_race(
        async |world, _, namespace| {
            let (database, account) = (&world.store.database, world.ada.account.id);
            database
                .mark_deleting(account, namespace, &act(world.now()))
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
        async |world, _, _| {
            let (database, account) = (&world.store.database, world.ada.account.id);
            database.suspend(account, &act(world.now())).await.unwrap();
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
    let (_, secret) = world.key(Scopes::All).await;
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
    let (_, secret) = world.key(Scopes::All).await;
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
    let (key, secret) = world.key(Scopes::All).await;
    world.mint(&secret, namespace.id).await.unwrap();
    for scopes in [Scopes::Inference, Scopes::All] {
        set_scopes(&world, key.id, scopes).await;
    }
    let (minted, worked) = tokio::join!(world.mint(&secret, namespace.id), world.reconcile());
    assert_eq!(
        worked.0, 1,
        "the first identity ends although the scope is back"
    );
    assert!(minted.is_ok(), "{minted:?}");
    assert_eq!(world.cluster.identities(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_slow_at_every_step_is_given_up_in_time() {
    // C7
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (_, secret) = world.key(Scopes::All).await;
    for step in [Step::Make, Step::Mint] {
        let slow = || tokio::time::sleep(std::time::Duration::from_secs(3));
        world.cluster.at(step, slow);
    }
    let watch = Stopwatch::start();
    let refused = world.mint(&secret, namespace.id).await;
    let took = watch.elapsed();
    assert!(matches!(refused, Err(Error::TooSlow)), "{refused:?}");
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
}

/// Says once that the cluster came to this step, and waits there to be let go on.
pub fn stop_once(world: &World, step: Step, reached: &Arc<Notify>, go_on: &Arc<Notify>) {
    let once = Arc::new(AtomicBool::new(true));
    let (reached, go_on) = (Arc::clone(reached), Arc::clone(go_on));
    world.cluster.at(step, move || {
        let (reached, go_on, once) = (reached.clone(), go_on.clone(), once.clone());
        async move {
            if once.swap(false, Ordering::Relaxed) {
                reached.notify_one();
                go_on.notified().await;
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_is_made_after_the_reconciler_looked_goes_too() {
    // X10
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let (key, secret) = world.key(Scopes::All).await;
    let [making, make, looked, remove] = [(); 4].map(|()| Arc::new(Notify::new()));
    stop_once(&world, Step::Make, &making, &make);
    stop_once(&world, Step::Located, &looked, &remove);
    let minting = async {
        let minted = world.mint(&secret, namespace.id).await;
        // Only now does the reconciler go on, with what it saw before.
        remove.notify_one();
        minted
    };
    let reconciling = async {
        making.notified().await;
        world.revoke(key.id).await;
        world.reconcile().await
    };
    let letting_make = async {
        looked.notified().await;
        make.notify_one();
    };
    let (minted, (ended, _), ()) = tokio::join!(minting, reconciling, letting_make);
    assert!(
        matches!(minted, Err(Error::KeyRefused(KeyRefused::Revoked))),
        "{minted:?}"
    );
    assert_eq!(ended, 1);
    assert_eq!(world.cluster.identities(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_out_is_noted_and_what_is_refused_is_not() {
    // R5
    let world = World::new().await;
    let (open, closed) = (
        world.namespace("open").await,
        world.namespace("closed").await,
    );
    let only = Scopes::KubernetesExec(NamespaceAccess::Only([open.id].into()));
    let (key, secret) = world.key(only).await;
    world.mint(&secret, closed.id).await.unwrap_err();
    world.cluster.set_answer(TokenAnswer::NoExpiration);
    world.mint(&secret, open.id).await.unwrap_err();
    assert_eq!(world.audit.waiting(), 0);
    world.cluster.set_answer(TokenAnswer::AsAsked);
    let credential = world.mint(&secret, open.id).await.unwrap();
    let store = &world.store.database;
    world.audit.flush(store, world.now()).await.unwrap();
    let filter = AuditFilter {
        action: Some(AuditAction::CredentialMinted),
        since: None,
        ..AuditFilter::default()
    };
    let account = world.ada.account.id;
    let page = AuditLog::list(store, account, filter, PageRequest::default()).await;
    let told = page.unwrap().items;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].actor, Actor::ApiKey(key.id));
    assert_eq!(told[0].subject, AuditSubject::Namespace(open.id));
    assert!(credential.token_id.is_some());
    assert_eq!(told[0].details.token_id, credential.token_id);
    assert_eq!(told[0].details.expires_at, Some(credential.expires_at));
}
