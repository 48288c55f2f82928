use std::time::{Duration, Instant};

use futures_util::future::join_all;
use remotegpu_namespaces::{ClusterName, SweepLeaseRepository};
use remotegpu_primitives::InstanceId;

use crate::{
    on_both_databases,
    world::{Guard, NOW, World, dev, rng},
};

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(300);

on_both_databases!(
    a_cluster_is_swept_by_one_until_its_time_is_over,
    a_lease_that_is_given_up_is_free_at_once,
    of_many_that_ask_at_once_one_gets_the_lease,
);

fn instance() -> InstanceId {
    InstanceId::generate(NOW, &mut rng())
}

async fn a_cluster_is_swept_by_one_until_its_time_is_over(world: World) {
    // R10
    let (one, two) = (instance(), instance());
    let store: &dyn SweepLeaseRepository = &world.database;
    let other = world.instance().await;
    assert!(store.hold(&dev(), one, LONG).await.unwrap());
    assert!(!other.hold(&dev(), two, LONG).await.unwrap());
    // Each cluster by itself.
    let elsewhere = ClusterName::parse("elsewhere").unwrap();
    assert!(other.hold(&elsewhere, two, LONG).await.unwrap());
    // Its holder moves the end, to an earlier time too.
    let began = Instant::now();
    assert!(store.hold(&dev(), one, SHORT).await.unwrap());
    while !other.hold(&dev(), two, LONG).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let taken = began.elapsed();
    assert!(taken >= SHORT && taken < LONG, "{taken:?}");
    assert!(!store.hold(&dev(), one, LONG).await.unwrap());
}

async fn a_lease_that_is_given_up_is_free_at_once(world: World) {
    // R10
    let (one, two) = (instance(), instance());
    let store: &dyn SweepLeaseRepository = &world.database;
    assert!(store.hold(&dev(), one, LONG).await.unwrap());
    store.release(two).await.unwrap();
    assert!(!store.hold(&dev(), two, LONG).await.unwrap());
    store.release(one).await.unwrap();
    assert!(store.hold(&dev(), two, LONG).await.unwrap());
}

async fn of_many_that_ask_at_once_one_gets_the_lease(world: World) {
    // R10
    let ask = async || {
        let asking = (0..16).map(|_| async { world.database.hold(&dev(), instance(), LONG).await });
        let held = join_all(asking).await.into_iter();
        held.filter(|held| *held.as_ref().unwrap()).count()
    };
    assert_eq!(ask().await, 1);
    assert_eq!(ask().await, 0);
    // The same where one stands, and its time is over.
    let gone = instance();
    let cluster = "UPDATE sweep_leases SET held_until = ";
    let over = match &world.guard {
        Guard::Sqlite(_) => "1",
        Guard::Postgres(_) => "now() - interval '1 second'",
    };
    world.execute(&format!("{cluster}{over}"));
    assert_eq!(ask().await, 1);
    assert!(!world.database.hold(&dev(), gone, LONG).await.unwrap());
}
