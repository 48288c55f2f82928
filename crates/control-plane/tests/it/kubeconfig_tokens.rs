//! Kubeconfigs with a token in them (contract T9): by the clock, and in races.

use std::sync::Arc;

use remotegpu_control_plane::{
    CreateKubeconfigToken, CreateKubeconfigTokenError as Error, CreateKubeconfigTokenPorts,
    CreatedKubeconfigToken, MintExecCredentialError, Read, end_kubeconfig_token,
    list_kubeconfig_tokens,
};
use remotegpu_namespaces::{KubeconfigTokenRepository, Namespace, TokenLifetime};
use remotegpu_primitives::PageRequest;
use remotegpu_test_support::{cluster::Step, rng};
use time::Duration;
use tokio::sync::Notify;

use crate::{mint::stop_once, world::World};

async fn create(
    world: &World,
    at: &Namespace,
    seconds: u32,
) -> Result<CreatedKubeconfigToken, Error> {
    let ports = CreateKubeconfigTokenPorts {
        tokens: &world.store.database,
        mint: world.mint_ports(),
        clusters: &*world.cluster,
        claims: &world.store.database,
        changes: &world.key_changes,
    };
    let wanted = CreateKubeconfigToken {
        lifetime: TokenLifetime::from_seconds(seconds).unwrap(),
        limit: 5,
    };
    let (caller, now) = (world.ada::<Read>(), world.now());
    remotegpu_control_plane::create_kubeconfig_token(ports, &caller, at, wanted, &mut rng(), now)
        .await
}

async fn living(world: &World) -> usize {
    let page = PageRequest::new(200, None).unwrap();
    let (tokens, caller) = (&world.store.database, world.ada());
    let listed = list_kubeconfig_tokens(tokens, &caller, page, world.now()).await;
    listed.unwrap().items.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_never_said_to_outlive_its_row_and_ends_with_it() {
    // T9, X9
    let world = World::settled().await;
    let namespace = world.namespace("team-ml").await;
    let made = create(&world, &namespace, 600).await.unwrap();
    assert_eq!(made.token.expires_at, world.now() + Duration::minutes(10));
    assert_eq!(world.cluster.identities(), (1, 1));
    assert_eq!(living(&world).await, 1);
    world.clock.advance(Duration::seconds(599));
    assert_eq!(world.reconcile().await.0, 0);
    assert_eq!(living(&world).await, 1);
    world.clock.advance(Duration::seconds(1));
    assert_eq!(living(&world).await, 0);
    assert_eq!(world.reconcile().await.0, 1);
    assert_eq!(world.cluster.identities(), (0, 0));
    // And nothing is left of it but its audit event.
    world.clock.advance(Duration::minutes(2));
    world.tidy().await;
    let left = world.store.database.remove_ended(world.now(), 10).await;
    assert_eq!(left.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_while_it_is_minted_wins() {
    // T9, X10
    for during in [Step::Make, Step::Mint] {
        let world = World::settled().await;
        let namespace = world.namespace("team-ml").await;
        let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        stop_once(&world, during, &reached, &go_on);
        let ending = async {
            reached.notified().await;
            let page = PageRequest::new(200, None).unwrap();
            let (tokens, caller, now) = (&world.store.database, world.ada(), world.now());
            let listed = list_kubeconfig_tokens(tokens, &caller, page, now).await;
            let id = listed.unwrap().items[0].id;
            let (caller, signals) = (world.ada(), &world.signals);
            let rng = &mut rng();
            let ended = end_kubeconfig_token(tokens, signals, &caller, id, rng, now);
            assert!(ended.await.unwrap());
            go_on.notify_one();
        };
        let (made, ()) = tokio::join!(create(&world, &namespace, 600), ending);
        let error = made.expect_err("a token came out after its end");
        let refused = matches!(
            error,
            Error::Refused | Error::Mint(MintExecCredentialError::KeyRefused(_))
        );
        assert!(refused, "{during:?}: {error:?}");
        world.reconcile().await;
        assert_eq!(world.cluster.identities(), (0, 0), "{during:?}");
        assert_eq!(living(&world).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_goes_while_it_is_minted_takes_it_along() {
    // T9, X10
    let world = World::settled().await;
    let namespace = world.namespace("team-ml").await;
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    stop_once(&world, Step::Mint, &reached, &go_on);
    let deleting = async {
        reached.notified().await;
        world.delete(&namespace).await;
        go_on.notify_one();
    };
    let (made, ()) = tokio::join!(create(&world, &namespace, 600), deleting);
    let error = made.expect_err("a token came out after its namespace");
    let refused = matches!(error, Error::Mint(MintExecCredentialError::NotAllowed));
    assert!(refused, "{error:?}");
    world.reconcile().await;
    assert_eq!(world.cluster.identities(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_more_than_they_may() {
    // T9
    let world = World::settled().await;
    let namespace = world.namespace("team-ml").await;
    for _ in 0..5 {
        create(&world, &namespace, 3600).await.unwrap();
    }
    let sixth = create(&world, &namespace, 3600).await;
    assert!(matches!(sixth, Err(Error::LimitReached)), "{sixth:?}");
    assert_eq!(world.cluster.identities(), (5, 5));
    // What has ended does not count.
    world.clock.advance(Duration::HOUR);
    create(&world, &namespace, 3600).await.unwrap();
}
