//! What an act needs, put together for a test.

use std::{num::NonZeroU32, sync::Arc};

use remotegpu_accounts::{SessionContext, SessionPolicy};
use remotegpu_control_plane::{
    AuditBuffer, Caller, ClaimClusterPorts, ClaimGate, ClaimPorts, ClaimedClusters, HeldPorts,
    IdentityPorts, IdentityUses, KeyChangeLimits, KeyHolder, KnownIdentities,
    MintExecCredentialError, MintExecCredentialPorts, MintLimits, NamespacePorts,
    NamespaceSweepPorts, Right, Signals, SweepCounts, SweepError, SweepPorts, Tidied, TidyPorts,
    claim_ended_identities, claim_namespaces, delete_namespace, end_identity, list_wanted,
    mint_exec_credential, settle_held, settle_namespace, sweep_identities, sweep_namespaces,
    tidy_store,
};
use remotegpu_keys::{ApiKey, ApiKeyRepository, PlainApiKey, RevokeApiKey};
use remotegpu_namespaces::{
    ClusterDirectory, ClusterName, ExecCredential, HeldNamespace, HeldNamespaceRepository,
    IdentityRepository, Namespace, NamespaceRepository, TokenLifetime,
};
use remotegpu_primitives::{ApiKeyId, Clock, NamespaceId, Origin};
use remotegpu_scopes::Scopes;
use remotegpu_test_support::{act, clock::TestClock, cluster::TestCluster, rng, store::TestStore};
use time::{Duration, OffsetDateTime};

/// How much of a cluster's work is done in one round.
const AT_ONCE: u32 = 64;

pub struct World {
    pub store: TestStore,
    pub clock: Arc<TestClock>,
    pub cluster: Arc<TestCluster>,
    pub gate: Arc<ClaimGate>,
    pub signals: Signals,
    pub sweeps: SweepCounts,
    pub audit: AuditBuffer,
    pub mint_limits: MintLimits,
    pub known: KnownIdentities,
    pub uses: IdentityUses,
    pub key_changes: KeyChangeLimits,
    pub ada: SessionContext,
}

/// The person with whatever right is asked for, which they must have.
pub fn signed_in<R: Right>(person: &SessionContext) -> Caller<R> {
    let caller = Caller::signed_in(person.clone(), Origin::default());
    caller.may().unwrap()
}

impl World {
    /// Ada, with whatever right is asked for: she is her account's admin.
    pub fn ada<R: Right>(&self) -> Caller<R> {
        signed_in(&self.ada)
    }

    pub async fn new() -> Self {
        let clock = Arc::new(TestClock::default());
        let cluster = Arc::new(TestCluster::new(clock.clone()));
        Self::with(clock, cluster).await
    }

    /// One whose database knows who it is, as after a server's first start.
    pub async fn settled() -> Self {
        let world = Self::new().await;
        world.store.settle(world.now()).await.unwrap();
        world
    }

    /// Another installation, whose configuration names the same cluster.
    pub async fn beside(clock: Arc<TestClock>, cluster: Arc<TestCluster>) -> Self {
        let world = Self::with(clock, cluster).await;
        world.store.settle(world.now()).await.unwrap();
        world
    }

    async fn with(clock: Arc<TestClock>, cluster: Arc<TestCluster>) -> Self {
        let store = TestStore::new().await.unwrap();
        let ada = store.person("ada", clock.now()).await.unwrap();
        Self {
            gate: Arc::new(ClaimGate::new(
                cluster.list().into_iter().map(|one| one.name),
            )),
            cluster,
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

    /// A key of Ada's that does not end by itself.
    pub async fn key(&self, scopes: Scopes) -> (ApiKey, PlainApiKey) {
        let made = self.store.key(&self.ada, scopes, None, self.now());
        made.await.unwrap()
    }

    /// Revokes a key of Ada's.
    pub async fn revoke(&self, key: ApiKeyId) {
        let (database, account) = (&self.store.database, self.ada.account.id);
        let revoked = database.revoke(account, key, &act(self.now())).await;
        assert!(
            matches!(revoked, Ok(RevokeApiKey::Revoked(_))),
            "{revoked:?}"
        );
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
        let mut owner = self.ada.clone();
        owner.account.id = namespace.account_id;
        let (owner, id) = (signed_in(&owner), namespace.id);
        let (database, signals) = (&self.store.database, &self.signals);
        delete_namespace(database, signals, &owner, id, &mut rng(), self.now())
            .await
            .unwrap()
    }

    pub async fn mint(
        &self,
        secret: &PlainApiKey,
        namespace: NamespaceId,
    ) -> Result<ExecCredential, MintExecCredentialError> {
        let presented = self.store.presented(secret).await.unwrap();
        let ports = self.mint_ports();
        let holder = KeyHolder::new(presented, Origin::default());
        mint_exec_credential(ports, &holder, namespace, &mut rng(), self.now()).await
    }

    /// What minting needs.
    pub fn mint_ports(&self) -> MintExecCredentialPorts<'_> {
        let database = &self.store.database;
        MintExecCredentialPorts {
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
        }
    }

    /// The name of the cluster.
    pub fn cluster_name(&self) -> ClusterName {
        ClusterDirectory::list(&*self.cluster).remove(0).name
    }

    /// What finding out about claims needs.
    pub fn claim_ports(&self) -> ClaimPorts {
        let database = Arc::new(self.store.database.clone());
        ClaimPorts {
            claims: database.clone(),
            clusters: self.cluster.clone(),
            namespaces: database,
            provisioner: self.cluster.clone(),
            directory: self.cluster.clone(),
            gate: Arc::clone(&self.gate),
            clock: self.clock.clone(),
        }
    }

    /// What the operator's claim needs.
    pub fn operator_ports(&self) -> ClaimClusterPorts<'_> {
        let (database, cluster) = (&self.store.database, &*self.cluster);
        ClaimClusterPorts {
            claims: database,
            clusters: cluster,
            namespaces: database,
            identities: database,
            provisioner: cluster,
            mint: cluster,
        }
    }

    /// The cluster behind the gate.
    pub fn claimed(&self) -> ClaimedClusters<TestCluster> {
        ClaimedClusters::new(Arc::clone(&self.cluster), Arc::clone(&self.gate))
    }

    /// One sweep over the namespaces of the cluster.
    pub async fn sweep(&self) {
        self.sweep_with(true).await.unwrap();
    }

    /// The same, with leave to remove or without.
    pub async fn sweep_with(&self, may_remove: bool) -> Result<(), SweepError> {
        let database = &self.store.database;
        let ports = NamespaceSweepPorts {
            namespaces: database,
            held: database,
            claims: database,
            clusters: &*self.cluster,
            provisioner: &*self.cluster,
            counts: &self.sweeps,
            may_remove,
        };
        sweep_namespaces(ports, &self.cluster_name(), self.now()).await
    }

    /// Does what is wanted of held namespaces once.
    pub async fn settle_held(&self) {
        let database = &self.store.database;
        let ports = HeldPorts {
            held: database,
            namespaces: database,
            clusters: &*self.cluster,
            provisioner: &*self.cluster,
        };
        for held in list_wanted(ports).await.unwrap() {
            settle_held(ports, &held).await.unwrap();
        }
    }

    /// What is held, by name.
    pub async fn held(&self) -> Vec<HeldNamespace> {
        self.store.database.list_held(None).await.unwrap()
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
            may_remove: true,
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
            access_tokens: database,
            dead_key_retention: Duration::days(90),
            kubeconfig_tokens: database,
            sessions: database,
            forms: database,
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
