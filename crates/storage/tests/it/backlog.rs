use remotegpu_namespaces::{
    Backlog, BacklogSource, IdentityRepository, NamespaceRepository, NamespaceStatus,
};
use remotegpu_scopes::Scopes;

use crate::{
    on_both_databases,
    world::{NOW, World, act, seconds},
};

on_both_databases!(work_that_waits_is_counted);

async fn work_that_waits_is_counted(world: World) {
    // N5, X9
    let store = &world.database;
    assert_eq!(store.backlog(NOW).await.unwrap(), Backlog::default());
    let ada = world.person("ada").await;
    let active = world.namespace(ada.account, "active").await;
    world.new_namespace(ada.account, "new").await;
    let refused = world.new_namespace(ada.account, "refused").await;
    let failed = store.mark_failed(refused.id, "no", seconds(9), seconds(1));
    failed.await.unwrap();
    let (key, new) = world.key(ada, Scopes::All).await;
    let identity = world.identity(&key, new.secret.id, &active).await;
    let mut backlog = store.backlog(seconds(2)).await.unwrap();
    backlog
        .namespaces
        .sort_by_key(|(status, _)| status.as_str());
    let unsettled = [
        (NamespaceStatus::Failed, 1),
        (NamespaceStatus::Provisioning, 1),
    ];
    assert_eq!(backlog.namespaces, unsettled);
    assert_eq!((backlog.ended_identities, backlog.oldest_end), (0, None));

    store
        .mark_deleting(ada.account, active.id, &act(seconds(3)))
        .await
        .unwrap();
    let backlog = store.backlog(seconds(5)).await.unwrap();
    assert!(backlog.namespaces.contains(&(NamespaceStatus::Deleting, 1)));
    assert_eq!(
        (backlog.ended_identities, backlog.oldest_end),
        (1, Some(seconds(3)))
    );
    // X9: what is left gives nobody anything.
    store.mark_powerless(identity, seconds(6)).await.unwrap();
    let backlog = store.backlog(seconds(7)).await.unwrap();
    assert_eq!((backlog.ended_identities, backlog.oldest_end), (1, None));
}
