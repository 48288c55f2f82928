//! What ends because nobody uses it, and what is forgotten.

use remotegpu_control_plane::{
    IssueApiKey, IssueApiKeyError, KeyChangeLimits, RotateApiKeyError, RotateApiKeyPorts,
    issue_api_key, revoke_api_key, rotate_api_key,
};
use remotegpu_keys::{ApiKeyRepository, KeyName, PlainApiKey};
use remotegpu_namespaces::Namespace;
use remotegpu_scopes::Scopes;
use remotegpu_test_support::{cluster::Step, rng};
use time::Duration;

use crate::world::World;

async fn used_identity() -> (World, Namespace, PlainApiKey, String) {
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    let key = world.store.key(&world.ada, Scopes::All, None, world.now());
    let secret = key.await.unwrap().1;
    world.mint(&secret, namespace.id).await.unwrap();
    let name = world.cluster.service_accounts().remove(0);
    (world, namespace, secret, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_nobody_uses_ends_and_the_next_mint_makes_another() {
    // X12
    let (world, namespace, secret, first) = used_identity().await;
    world.clock.advance(Duration::days(30));
    world.tidy().await;
    assert_eq!(world.reconcile().await.0, 0, "30 days are not over 30 days");
    world.clock.advance(Duration::SECOND);
    world.tidy().await;
    // The instance still knows the identity that is ended at this moment.
    let minting = world.mint(&secret, namespace.id);
    let ending = async {
        while world.reconcile().await.0 == 0 {
            tokio::task::yield_now().await;
        }
    };
    let (minted, ()) = tokio::join!(minting, ending);
    minted.unwrap();
    assert_eq!(world.cluster.identities(), (1, 1));
    assert_ne!(world.cluster.service_accounts(), [first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_is_used_now_and_then_lives_on() {
    // X12: uses are written in batches, and the last one before the end at once.
    let (world, namespace, secret, first) = used_identity().await;
    for days in [20, 29, 29, 5, 29] {
        world.clock.advance(Duration::days(days));
        world.mint(&secret, namespace.id).await.unwrap();
        if days < 29 {
            world.tidy().await;
        }
        assert_eq!(world.reconcile().await.0, 0, "{days}");
    }
    // Nothing was gathered that waits: the last use stands in the store by now.
    world.clock.advance(Duration::days(29));
    world.tidy().await;
    assert_eq!(world.reconcile().await.0, 0);
    assert_eq!(world.cluster.service_accounts(), [first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_an_identity_that_ended_meanwhile_never_comes_out() {
    // X10, X12: it is ended while the cluster mints, between 29 and 30 days by one
    // clock and after them by another.
    let (world, namespace, secret, first) = used_identity().await;
    world.clock.advance(Duration::days(29));
    let (store, now) = (world.store.database.clone(), world.now());
    world.cluster.at(Step::Mint, move || {
        let store = store.clone();
        async move {
            use remotegpu_namespaces::{CredentialIdentity, IdentityRepository};
            let late = now + Duration::days(2);
            let before = late - CredentialIdentity::IDLE_AFTER;
            store.end_idle(before, 9, now).await.unwrap();
        }
    });
    let minting = world.mint(&secret, namespace.id);
    let ending = async {
        while world.reconcile().await.0 == 0 {
            tokio::task::yield_now().await;
        }
        world.cluster.at(Step::Mint, async || {});
    };
    let (minted, ()) = tokio::join!(minting, ending);
    let token = minted.unwrap().token.reveal().to_owned();
    let made = world.cluster.service_accounts();
    assert_ne!(made, [first]);
    assert_eq!(token, format!("token-of-{}", made[0]));
}

async fn issue(world: &World, limits: &KeyChangeLimits) -> Result<(), IssueApiKeyError> {
    let wanted = IssueApiKey {
        name: KeyName::parse("ci").unwrap(),
        scopes: Scopes::All,
        expires_at: None,
        default_limit: 3,
    };
    let (keys, ada) = (&world.store.database, world.ada());
    issue_api_key(keys, limits, &ada, wanted, &mut rng(), world.now())
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_creates_and_rotates_only_so_often_and_revokes_freely() {
    // K16
    let world = World::new().await;
    let limits = KeyChangeLimits::new(4.try_into().unwrap());
    for _ in 0..3 {
        issue(&world, &limits).await.unwrap();
    }
    // What is refused does not count.
    for _ in 0..5 {
        let full = issue(&world, &limits).await;
        assert!(
            matches!(full, Err(IssueApiKeyError::LimitReached)),
            "{full:?}"
        );
    }
    let keys: &dyn ApiKeyRepository = &world.store.database;
    let (signals, account) = (&world.signals, world.ada.account.id);
    let page = remotegpu_primitives::PageRequest::new(10, None).unwrap();
    let listed = keys.list(account, page).await.unwrap().items;
    let ports = RotateApiKeyPorts {
        keys,
        signals,
        limits: &limits,
    };
    let rotate = async |index: usize| {
        let (ada, key, none) = (world.ada(), listed[index].id, Duration::ZERO);
        rotate_api_key(ports, &ada, key, none, &mut rng(), world.now())
            .await
            .map(drop)
    };
    rotate(0).await.unwrap();
    let often = rotate(1).await;
    assert!(
        matches!(often, Err(RotateApiKeyError::TooOften(_))),
        "{often:?}"
    );
    for key in &listed {
        revoke_api_key(keys, signals, &world.ada(), key.id, &mut rng(), world.now())
            .await
            .unwrap();
    }
    let often = issue(&world, &limits).await;
    let Err(IssueApiKeyError::TooOften(error)) = often else {
        panic!("{often:?}")
    };
    assert_eq!(error.0, Duration::MINUTE);
    world.clock.advance(error.0);
    let dead = rotate(0).await;
    assert!(
        matches!(dead, Err(RotateApiKeyError::NotActive)),
        "{dead:?}"
    );
    for _ in 0..3 {
        issue(&world, &limits).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_keys_go_after_ninety_days_with_what_they_had_in_the_cluster() {
    // K16
    let (world, _, secret, _) = used_identity().await;
    let (keys, account) = (&world.store.database, world.ada.account.id);
    let presented = world.store.presented(&secret).await.unwrap();
    let (id, ada, now) = (presented.key.id, world.ada(), world.now());
    revoke_api_key(keys, &world.signals, &ada, id, &mut rng(), now)
        .await
        .unwrap();
    let stands = async || {
        ApiKeyRepository::find(keys, account, id)
            .await
            .unwrap()
            .is_some()
    };
    world.clock.advance(Duration::days(91));
    world.tidy().await;
    assert!(stands().await, "its identity's row does");
    world.reconcile().await;
    world.tidy().await;
    assert!(!stands().await);
    assert_eq!(world.cluster.identities(), (0, 0));
}
