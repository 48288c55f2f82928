//! What clusters' credentials are made of (contract T6).

use remotegpu_namespaces::{
    ClusterName, CredentialGeneration, WebhookCredentialRepository, WebhookKey,
};

use crate::{
    on_both_databases,
    world::{World, dev, rng, seconds},
};

on_both_databases!(
    all_instances_share_one_webhook_key,
    credentials_are_counted_for_each_cluster
);

async fn all_instances_share_one_webhook_key(world: World) {
    let other = world.instance().await;
    let mut random = rng();
    let (one, two) = (
        WebhookKey::generate(&mut random),
        WebhookKey::generate(&mut random),
    );
    let first = world.database.webhook_key(one.clone()).await.unwrap();
    assert!(first == one);
    assert!(other.webhook_key(two).await.unwrap() == one);
    assert_eq!(format!("{one:?}"), "WebhookKey");
}

async fn credentials_are_counted_for_each_cluster(world: World) {
    let other = ClusterName::parse("other").unwrap();
    assert_eq!(world.database.list_generations().await.unwrap(), []);
    for (cluster, number) in [(dev(), 1), (dev(), 2), (other, 1), (dev(), 3)] {
        let until = seconds(60 * i64::try_from(number).unwrap());
        let rotated = world
            .database
            .rotate_webhook_credential(&cluster, until)
            .await;
        let wanted = CredentialGeneration {
            cluster,
            number,
            previous_until: until,
        };
        assert_eq!(rotated.unwrap(), wanted);
        let listed = world.database.list_generations().await.unwrap();
        assert!(listed.contains(&wanted), "{listed:?}");
    }
    assert_eq!(world.database.list_generations().await.unwrap().len(), 2);
}
