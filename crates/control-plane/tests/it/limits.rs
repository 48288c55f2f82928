//! How much is minted, at the same time and for one key.

use std::num::NonZeroU32;

use remotegpu_control_plane::{MintExecCredentialError as Error, MintLimits};
use remotegpu_keys::PlainApiKey;
use remotegpu_namespaces::{ClusterName, Namespace};
use remotegpu_primitives::{AccountId, NamespaceId};
use remotegpu_scopes::{NamespaceAccess, Scopes};
use remotegpu_test_support::rng;

use crate::world::World;

fn one_at_once_and_two_in_a_row() -> MintLimits {
    let cluster = ClusterName::parse("test").unwrap();
    let two = NonZeroU32::MIN.saturating_add(1);
    MintLimits::new([cluster], 1, 0, NonZeroU32::MIN, two)
}

/// A world with these limits, and a key that opens a namespace in it.
async fn limited() -> (World, Namespace, PlainApiKey) {
    let mut world = World::new().await;
    world.mint_limits = one_at_once_and_two_in_a_row();
    let namespace = world.namespace("team-ml").await;
    let (_, secret) = world.key(Scopes::All).await;
    (world, namespace, secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_without_room_is_refused_before_the_cluster_is_asked() {
    // Section 10
    let (world, namespace, secret) = limited().await;
    let other = AccountId::generate(world.now(), &mut rng());
    let turn = world.mint_limits.enter(&namespace.cluster, other).await;
    let turn = turn.unwrap().unwrap();
    let refused = world.mint(&secret, namespace.id).await;
    assert!(matches!(refused, Err(Error::Overloaded(_))), "{refused:?}");
    assert_eq!(world.cluster.identities(), (0, 0));
    drop(turn);
    world.mint(&secret, namespace.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_asks_too_often_is_refused_before_it_takes_a_place() {
    // X8, section 10
    let (world, namespace, secret) = limited().await;
    for _ in 0..2 {
        world.mint(&secret, namespace.id).await.unwrap();
    }
    let other = AccountId::generate(world.now(), &mut rng());
    let turn = world.mint_limits.enter(&namespace.cluster, other).await;
    let _turn = turn.unwrap().unwrap();
    let refused = world.mint(&secret, namespace.id).await;
    assert!(matches!(refused, Err(Error::RateLimited(_))), "{refused:?}");
    assert_eq!(world.mint_limits.load().refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_mints_that_are_allowed_count_against_a_key() {
    // X8, X11
    let mut world = World::new().await;
    world.mint_limits = one_at_once_and_two_in_a_row();
    let (open, shut) = (
        world.namespace("team-ml").await,
        world.namespace("team-web").await,
    );
    let scopes = Scopes::KubernetesExec(NamespaceAccess::Only([open.id].into()));
    let (_, secret) = world.key(scopes).await;
    let unknown = NamespaceId::generate(world.now(), &mut rng());
    for _ in 0..5 {
        for namespace in [shut.id, unknown] {
            let refused = world.mint(&secret, namespace).await;
            assert!(matches!(refused, Err(Error::NotAllowed)), "{refused:?}");
        }
    }
    assert_eq!(world.mint_limits.rate_limited(), 0);
    for _ in 0..2 {
        world.mint(&secret, open.id).await.unwrap();
    }
    let refused = world.mint(&secret, open.id).await;
    assert!(matches!(refused, Err(Error::RateLimited(_))), "{refused:?}");
    assert_eq!(world.mint_limits.rate_limited(), 1);
}
