//! Who a database is, and what it wrote last into claims (contract R9).

use remotegpu_accounts::UserRepository;
use remotegpu_namespaces::{ClaimRepository, ClusterUid, KnownClaim};
use remotegpu_primitives::InstallationId;

use crate::{
    on_both_databases,
    world::{Guard, NOW, World, act, dev, new_account, new_user, rng, seconds},
};

on_both_databases!(
    a_database_knows_who_it_is_once_a_server_has_started,
    a_counter_is_raised_from_what_it_was_and_no_other,
    an_unclaimed_cluster_is_taken_by_one_alone,
    a_claim_is_taken_whatever_was_known,
);

async fn settled(world: &World) {
    let (user, account) = (new_user("admin"), new_account("Operator"));
    let first = act(NOW);
    let first = world.database.insert_first(&user, &account, &first).await;
    assert!(first.unwrap());
    let id = InstallationId::generate(NOW, &mut rng());
    world.database.settle_holder(id).await.unwrap();
}

fn taken(counter: u64) -> KnownClaim {
    KnownClaim {
        cluster: ClusterUid::new("uid".to_owned()),
        counter,
        look_for_missing: false,
        taken_at: NOW,
    }
}

async fn a_database_knows_who_it_is_once_a_server_has_started(world: World) {
    // R9
    let store = &world.database;
    assert_eq!(store.holder().await.unwrap(), None);
    assert_eq!(store.installation().await.unwrap(), None);
    settled(&world).await;
    let holder = store.holder().await.unwrap().unwrap();
    // The next start changes nothing, and another instance is the same.
    let other = InstallationId::generate(seconds(9), &mut rng());
    store.settle_holder(other).await.unwrap();
    assert_eq!(store.holder().await.unwrap(), Some(holder.clone()));
    let instance = world.instance().await;
    assert_eq!(instance.holder().await.unwrap(), Some(holder.clone()));
    let installation = instance.installation().await.unwrap();
    assert_eq!(installation, Some(holder.installation));
    // R7: a dump that is restored into the same database makes every table anew.
    if let Guard::Postgres(database) = &world.guard {
        database
            .query(
                "CREATE TABLE again (LIKE installation INCLUDING ALL); \
                 INSERT INTO again SELECT * FROM installation; \
                 DROP TABLE installation; ALTER TABLE again RENAME TO installation",
            )
            .unwrap();
        let restored = store.holder().await.unwrap().unwrap();
        assert_eq!(restored.installation, holder.installation);
        assert_ne!(restored.database, holder.database);
        assert!(restored.database.is_in_the_place_of(&holder.database));
    }
}

async fn a_counter_is_raised_from_what_it_was_and_no_other(world: World) {
    // R9
    let store = &world.database;
    assert_eq!(store.known_claim(&dev()).await.unwrap(), None);
    assert!(!store.raise_claim(&dev(), 0, 1).await.unwrap());
    store.take_claim(&dev(), &taken(4)).await.unwrap();
    assert!(store.raise_claim(&dev(), 4, 5).await.unwrap());
    assert!(!store.raise_claim(&dev(), 4, 5).await.unwrap());
    // Who finds a raise half done does the other half.
    assert!(store.raise_claim(&dev(), 5, 5).await.unwrap());
    assert_eq!(store.known_claim(&dev()).await.unwrap(), Some(taken(5)));
    // What no database can count is no counter.
    assert!(store.raise_claim(&dev(), 5, u64::MAX).await.is_err());
}

async fn an_unclaimed_cluster_is_taken_by_one_alone(world: World) {
    // R9: who comes later must not set back what was raised meanwhile.
    let store = &world.database;
    let take = async |to: u64, before| store.take_unclaimed(&dev(), &taken(to), before).await;
    assert!(take(1, None).await.unwrap());
    assert!(!take(1, None).await.unwrap());
    assert!(store.raise_claim(&dev(), 1, 2).await.unwrap());
    assert!(!take(1, None).await.unwrap());
    assert!(!take(2, Some(1)).await.unwrap());
    assert_eq!(store.known_claim(&dev()).await.unwrap(), Some(taken(2)));
    assert!(take(3, Some(2)).await.unwrap());
    assert_eq!(store.known_claim(&dev()).await.unwrap(), Some(taken(3)));
}

async fn a_claim_is_taken_whatever_was_known(world: World) {
    // R9
    let store = &world.database;
    store.take_claim(&dev(), &taken(4)).await.unwrap();
    let again = KnownClaim {
        cluster: ClusterUid::new("another".to_owned()),
        counter: 2,
        look_for_missing: true,
        taken_at: seconds(5),
    };
    store.take_claim(&dev(), &again).await.unwrap();
    assert_eq!(
        store.known_claim(&dev()).await.unwrap(),
        Some(again.clone())
    );
    store.missing_is_noted(&dev()).await.unwrap();
    let noted = KnownClaim {
        look_for_missing: false,
        ..again
    };
    assert_eq!(store.known_claim(&dev()).await.unwrap(), Some(noted));
}
