//! The database is another one from one moment to the next (contract R8): what stood in
//! it is not there, and nothing says that it was deleted.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use remotegpu_control_plane::{
    NamespacePorts, NamespaceSweepPorts, settle_namespace, sweep_namespaces,
};
use remotegpu_namespaces::{
    ClusterName, DueWork, InsertNamespace, Namespace, NamespaceName, NamespaceProvisioner,
    NamespaceRepository, NewNamespace, RenameNamespace, Tried,
};
use remotegpu_primitives::{AccountId, Act, NamespaceId, Page, PageRequest, StoreError};
use remotegpu_test_support::{cluster::Step, store::TestStore};
use time::OffsetDateTime;

use crate::world::World;

/// Namespaces of one database, and of another one after the restore.
struct Restored {
    before: Arc<dyn NamespaceRepository>,
    after: TestStore,
    has_happened: Arc<AtomicBool>,
}

impl Restored {
    /// The world's database, until its cluster makes something.
    async fn while_provisioning(world: &World) -> Self {
        let has_happened = Arc::new(AtomicBool::new(false));
        let restore = Arc::clone(&has_happened);
        world.cluster.at(Step::Provision, move || {
            restore.store(true, Ordering::Relaxed);
            async {}
        });
        Self {
            before: Arc::new(world.store.database.clone()),
            after: TestStore::new().await.unwrap(),
            has_happened,
        }
    }

    fn now(&self) -> &dyn NamespaceRepository {
        if self.has_happened.load(Ordering::Relaxed) {
            &self.after.database
        } else {
            &*self.before
        }
    }
}

#[async_trait]
impl NamespaceRepository for Restored {
    async fn find(
        &self,
        account: AccountId,
        id: NamespaceId,
    ) -> Result<Option<Namespace>, StoreError> {
        self.now().find(account, id).await
    }

    async fn list(
        &self,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<Namespace>, StoreError> {
        self.now().list(account, page).await
    }

    async fn list_in(
        &self,
        cluster: &ClusterName,
        after: Option<NamespaceId>,
        limit: u32,
    ) -> Result<Vec<Namespace>, StoreError> {
        self.now().list_in(cluster, after, limit).await
    }

    async fn find_among(&self, ids: &[NamespaceId]) -> Result<Vec<Namespace>, StoreError> {
        self.now().find_among(ids).await
    }

    async fn removed_among(&self, ids: &[NamespaceId]) -> Result<Vec<Namespace>, StoreError> {
        self.now().removed_among(ids).await
    }

    async fn insert(
        &self,
        namespace: &NewNamespace,
        default_limit: u32,
        act: &Act,
    ) -> Result<InsertNamespace, StoreError> {
        self.now().insert(namespace, default_limit, act).await
    }

    async fn rename(
        &self,
        account: AccountId,
        id: NamespaceId,
        name: &NamespaceName,
        act: &Act,
    ) -> Result<RenameNamespace, StoreError> {
        self.now().rename(account, id, name, act).await
    }

    async fn mark_deleting(
        &self,
        account: AccountId,
        id: NamespaceId,
        act: &Act,
    ) -> Result<Option<Namespace>, StoreError> {
        self.now().mark_deleting(account, id, act).await
    }

    async fn due_work(&self, now: OffsetDateTime) -> Result<Vec<DueWork>, StoreError> {
        self.now().due_work(now).await
    }

    async fn claim(
        &self,
        cluster: &ClusterName,
        tried: Option<Tried>,
        limit: u32,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<Namespace>, StoreError> {
        self.now().claim(cluster, tried, limit, now, until).await
    }

    async fn mark_active(&self, id: NamespaceId, now: OffsetDateTime) -> Result<bool, StoreError> {
        self.now().mark_active(id, now).await
    }

    async fn mark_failed(
        &self,
        id: NamespaceId,
        message: &str,
        retry_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.now().mark_failed(id, message, retry_at, now).await
    }

    async fn postpone(
        &self,
        id: NamespaceId,
        message: Option<&str>,
        retry_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.now().postpone(id, message, retry_at, now).await
    }

    async fn remove(&self, id: NamespaceId, now: OffsetDateTime) -> Result<(), StoreError> {
        self.now().remove(id, now).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_was_made_and_has_no_row_any_more_stays() {
    // R8
    let world = World::new().await;
    let restored = Restored::while_provisioning(&world).await;
    let namespace = world.namespace("team-ml").await;
    let ports = NamespacePorts {
        namespaces: &restored,
        identities: &world.store.database,
        clusters: &*world.cluster,
        provisioner: &*world.cluster,
        signals: &world.signals,
    };
    settle_namespace(ports, &namespace, 1.0, &*world.clock).await;
    assert!(restored.has_happened.load(Ordering::Relaxed));
    let name = namespace.kubernetes_namespace.as_str();
    assert_eq!(world.cluster.namespaces(), [name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_was_put_right_and_has_no_row_any_more_stays() {
    // R8
    let world = World::new().await;
    let namespace = world.namespace("team-ml").await;
    world.cluster.provision(&namespace).await.unwrap();
    let name = namespace.kubernetes_namespace.as_str();
    world.cluster.bend(name);
    world.clock.advance(time::Duration::SECOND);
    let restored = Restored::while_provisioning(&world).await;
    let ports = NamespaceSweepPorts {
        namespaces: &restored,
        held: &world.store.database,
        claims: &world.store.database,
        clusters: &*world.cluster,
        provisioner: &*world.cluster,
        counts: &world.sweeps,
        may_remove: true,
    };
    sweep_namespaces(ports, &world.cluster_name(), world.now())
        .await
        .unwrap();
    assert!(restored.has_happened.load(Ordering::Relaxed));
    assert!(world.cluster.is_whole(name));
    assert_eq!(world.cluster.namespaces(), [name]);
}
