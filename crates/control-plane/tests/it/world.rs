//! What an act needs, put together for a test.

use std::{num::NonZeroU32, sync::Arc};

use remotegpu_accounts::SessionContext;
use remotegpu_control_plane::{
    AuditBuffer, IdentityPorts, KnownIdentities, MintExecCredentialError, MintExecCredentialPorts,
    MintLimits, NamespacePorts, NamespaceSweepPorts, Signals, SweepCounts, claim_ended_identities,
    claim_namespaces, delete_namespace, end_identity, mint_exec_credential, settle_namespace,
    sweep_namespaces,
};
use remotegpu_keys::PlainApiKey;
use remotegpu_namespaces::{
    ClusterDirectory, ExecCredential, IdentityRepository, Namespace, NamespaceRepository,
    TokenLifetime,
};
use remotegpu_primitives::{Act, Actor, Clock, NamespaceId, Origin};
use remotegpu_test_support::{act, clock::TestClock, cluster::TestCluster, rng, store::TestStore};
use time::OffsetDateTime;

/// How much of a cluster's work is done in one round.
const AT_ONCE: u32 = 64;

pub struct World {
    pub store: TestStore,
    pub clock: Arc<TestClock>,
    pub cluster: Arc<TestCluster>,
    pub signals: Signals,
    pub sweeps: SweepCounts,
    pub audit: AuditBuffer,
    pub mint_limits: MintLimits,
    pub known: KnownIdentities,
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
            provisioner: &*self.cluster,
            signals: &self.signals,
        };
        let (mut ended, mut worked) = (0, 0);
        for due in database.due_ends(self.now()).await.unwrap() {
            let claimed = claim_ended_identities(identities, &due, AT_ONCE, self.now());
            for identity in claimed.await.unwrap() {
                // What failed is written down, and tried again.
                let _ = end_identity(identities, &identity, &*self.clock).await;
                ended += 1;
            }
        }
        for due in database.due_work(self.now()).await.unwrap() {
            let claimed = claim_namespaces(namespaces, &due, AT_ONCE, self.now());
            for namespace in claimed.await.unwrap() {
                settle_namespace(namespaces, &namespace, 1.0, &*self.clock).await;
                worked += 1;
            }
        }
        (ended, worked)
    }
}
