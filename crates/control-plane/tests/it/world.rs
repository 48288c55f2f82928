//! What an act needs, put together for a test.

use std::{num::NonZeroU32, sync::Arc};

use remotegpu_accounts::{SessionContext, SessionPolicy};
use remotegpu_control_plane::{
    AuditBuffer, IdentityPorts, IdentityUses, KeyChangeLimits, KnownIdentities,
    MintExecCredentialError, MintExecCredentialPorts, MintLimits, NamespacePorts,
    NamespaceSweepPorts, Signals, SweepCounts, SweepError, SweepPorts, Tidied, TidyPorts,
    delete_namespace, mint_exec_credential, reconcile_identities, reconcile_namespaces,
    sweep_identities, sweep_namespaces, tidy_store,
};
use remotegpu_keys::PlainApiKey;
use remotegpu_namespaces::{
    ClusterDirectory, ExecCredential, IdentityRepository, Namespace, NamespaceRepository,
    TokenLifetime,
};
use remotegpu_primitives::{Act, Actor, Clock, NamespaceId, Origin};
use remotegpu_test_support::{act, clock::TestClock, cluster::TestCluster, rng, store::TestStore};
use time::{Duration, OffsetDateTime};

pub struct World {
    pub store: TestStore,
    pub clock: Arc<TestClock>,
    pub cluster: Arc<TestCluster>,
    pub signals: Signals,
    pub sweeps: SweepCounts,
    pub audit: AuditBuffer,
    pub mint_limits: MintLimits,
    pub known: KnownIdentities,
    pub uses: IdentityUses,
    pub key_changes: KeyChangeLimits,
    pub ada: SessionContext,
}

impl World {
    pub async fn new() -> Self {
        let clock = Arc::new(TestClock::default());
        let store = TestStore::new().await.unwrap();
        let ada = store.person("ada", clock.now()).await.unwrap();
        Self {
            cluster: Arc::new(TestCluster::new(clock.clone())),
            signals: Signals::default(),
            sweeps: SweepCounts::default(),
            audit: AuditBuffer::default(),
            mint_limits: MintLimits::new([], 0, 0, NonZeroU32::MAX, NonZeroU32::MAX),
            known: KnownIdentities::default(),
            uses: IdentityUses::default(),
            key_changes: KeyChangeLimits::new(NonZeroU32::MAX),
            store,
            clock,
            ada,
        }
    }

    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    pub async fn namespace(&self, name: &str) -> Namespace {
        self.store
            .namespace(&self.ada, name, self.now())
            .await
            .unwrap()
    }

    /// What the account's list says of the namespace.
    pub async fn find(&self, namespace: &Namespace) -> Option<Namespace> {
        let database = &self.store.database;
        NamespaceRepository::find(database, namespace.account_id, namespace.id)
            .await
            .unwrap()
    }

    /// Has the namespace be deleted; answers what it is then.
    pub async fn delete(&self, namespace: &Namespace) -> Option<Namespace> {
        let place = (namespace.account_id, namespace.id);
        let act = act(self.now());
        delete_namespace(&self.store.database, &self.signals, place, &act)
            .await
            .unwrap()
    }

    pub async fn mint(
        &self,
        secret: &PlainApiKey,
        namespace: NamespaceId,
    ) -> Result<ExecCredential, MintExecCredentialError> {
        let presented = self.store.presented(secret).await.unwrap();
        let database = &self.store.database;
        let ports = MintExecCredentialPorts {
            keys: database,
            namespaces: database,
            identities: database,
            known: &self.known,
            uses: &self.uses,
            mint: &*self.cluster,
            signals: &self.signals,
            limits: &self.mint_limits,
            lifetime: TokenLifetime::default(),
            audit: &self.audit,
            token_request_took: &|_| {},
        };
        let by_key = Actor::ApiKey(presented.key.id);
        let act = Act::new(by_key, Origin::default(), &mut rng(), self.now());
        mint_exec_credential(ports, &presented, namespace, &mut rng(), &act).await
    }

    /// One sweep over the namespaces of the cluster.
    pub async fn sweep(&self) {
        let ports = NamespaceSweepPorts {
            namespaces: &self.store.database,
            accounts: &self.store.database,
            provisioner: &*self.cluster,
            counts: &self.sweeps,
        };
        let cluster = ClusterDirectory::list(&*self.cluster).remove(0).name;
        sweep_namespaces(ports, &cluster, self.now()).await.unwrap();
    }

    /// One sweep over the identities of the cluster; answers how many objects it removed.
    pub async fn sweep_identities(&self) -> usize {
        self.try_to_sweep_identities().await.unwrap()
    }

    pub async fn try_to_sweep_identities(&self) -> Result<usize, SweepError> {
        let ports = SweepPorts {
            identities: &self.store.database,
            accounts: &self.store.database,
            clusters: &*self.cluster,
            mint: &*self.cluster,
            counts: &self.sweeps,
        };
        let cluster = ClusterDirectory::list(&*self.cluster).remove(0).name;
        sweep_identities(ports, &cluster, &*self.clock).await
    }

    /// What an instance does in its store every 45 seconds, and every 30.
    pub async fn tidy(&self) {
        let database = &self.store.database;
        let flushed = self.uses.flush(database, self.now());
        flushed.await.unwrap();
        let ports = TidyPorts {
            identities: database,
            keys: database,
            dead_key_retention: Duration::days(90),
            sessions: database,
            session_policy: SessionPolicy::default(),
            audit_log: database,
            audit_retention: Duration::days(365),
            signals: &self.signals,
        };
        tidy_store(ports, &mut Tidied::default(), self.now()).await;
    }

    /// One round of everything that the reconciler does; answers how many
    /// identities and namespaces it worked on.
    pub async fn reconcile(&self) -> (usize, usize) {
        let database = &self.store.database;
        let identities = IdentityPorts {
            identities: database,
            clusters: &*self.cluster,
            mint: &*self.cluster,
        };
        let namespaces = NamespacePorts {
            namespaces: database,
            identities: database,
            clusters: &*self.cluster,
            provisioner: &*self.cluster,
            signals: &self.signals,
        };
        let (mut ended, mut worked) = (0, 0);
        for cluster in database.clusters_with_ended(self.now()).await.unwrap() {
            let round = reconcile_identities(identities, &cluster, &*self.clock);
            ended += round.await.unwrap();
        }
        for cluster in database.due_clusters(self.now()).await.unwrap() {
            let rng = &mut rng();
            let round = reconcile_namespaces(namespaces, &cluster, rng, &*self.clock);
            worked += round.await.unwrap();
        }
        (ended, worked)
    }
}
