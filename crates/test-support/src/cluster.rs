//! A cluster in memory, for what a real one cannot be made to do on demand:
//! being slow at one step, or answering nonsense. What acts rely on, it answers as a
//! real one does, by the same [suite](crate::port_suite); but it makes identities in
//! namespaces that it was never told of, and is up before anybody asked.

mod claim;
mod faults;
mod identity_page;

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use identity_page::identity_page;
use remotegpu_namespaces::{
    Cluster, ClusterDirectory, ClusterError, ClusterName, ClusterStatus, CredentialIdentity,
    CredentialMint, IdentityObjects, IdentityPage, ListPlace, LocatedIdentity, LocatedNamespace,
    LocatedObject, MintError, MintedToken, Namespace, NamespaceProvisioner, PlainClusterToken,
    QuotaUse, Removal, UsageReader,
};
use remotegpu_primitives::{AccountId, Clock, IdentityId, NamespaceId};
use time::Duration;

use claim::HeldClaim;

/// A step of the cluster's, at which a test may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A namespace is being made, and does not stand yet.
    Provision,
    /// A namespace that a survey found is to go, and still stands.
    Discard,
    /// An identity is being made, and does not stand yet.
    Make,
    /// A token is being minted, and not answered yet.
    Mint,
    /// An identity's objects were looked for, and it is not told yet which there are.
    Located,
}

type Hook = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// How the cluster answers a request for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenAnswer {
    /// As it was asked.
    #[default]
    AsAsked,
    /// Without an expiration.
    NoExpiration,
    /// Off by so much.
    OffBy(Duration),
}

/// A cluster named `test`.
pub struct TestCluster {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    hooks: Mutex<BTreeMap<Step, Hook>>,
}

#[derive(Default)]
struct State {
    up: bool,
    answer: TokenAnswer,
    refuses: Option<String>,
    namespaces: BTreeMap<String, Standing>,
    held_by: Option<String>,
    kept: BTreeSet<String>,
    failing: BTreeSet<String>,
    hanging: BTreeSet<String>,
    surveys: usize,
    keeps_bindings: bool,
    service_accounts: BTreeMap<String, LocatedObject>,
    bindings: BTreeMap<String, LocatedObject>,
    owners: BTreeMap<String, (IdentityId, AccountId)>,
    made: u64,
    uid: String,
    claim: HeldClaim,
}

impl State {
    fn check_kept(&self, name: &str) -> Result<(), ClusterError> {
        if self.failing.contains(name) {
            return Err(ClusterError::Unavailable(None));
        }
        if self.kept.contains(name) {
            let reason = format!("{name} is kept");
            return Err(ClusterError::Refused { reason });
        }
        Ok(())
    }

    /// A namespace goes, and with it the bindings in it.
    fn lose_namespace(&mut self, name: &str) {
        if self.namespaces.remove(name).is_some() {
            self.bindings.retain(|_, binding| binding.namespace != name);
        }
    }
}

/// A namespace that stands.
struct Standing {
    id: NamespaceId,
    account_id: AccountId,
    uid: String,
    is_whole: bool,
    is_going: bool,
}

impl TestCluster {
    /// A cluster that is up and empty.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::new(State {
                up: true,
                uid: "test-cluster".to_owned(),
                ..State::default()
            }),
            hooks: Mutex::default(),
        }
    }

    /// Lets the cluster answer, or not.
    pub fn set_up(&self, up: bool) {
        self.state().up = up;
    }

    /// Lets the cluster answer requests for tokens so from now on.
    pub fn set_answer(&self, answer: TokenAnswer) {
        self.state().answer = answer;
    }

    /// Runs `hook` whenever the cluster comes to this step.
    pub fn at<F>(&self, step: Step, hook: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hook: Hook = Box::new(move || Box::pin(hook()));
        self.hooks().insert(step, hook);
    }

    /// Does what the test does at this step, if it does anything.
    async fn reach(&self, step: Step) {
        let hooked = self.hooks().get(&step).map(|hook| hook());
        if let Some(hooked) = hooked {
            hooked.await;
        }
    }

    fn hooks(&self) -> MutexGuard<'_, BTreeMap<Step, Hook>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The namespaces it has.
    pub fn namespaces(&self) -> Vec<String> {
        self.state().namespaces.keys().cloned().collect()
    }

    /// Whether the namespace holds what it should.
    pub fn is_whole(&self, name: &str) -> bool {
        let state = self.state();
        state
            .namespaces
            .get(name)
            .is_some_and(|found| found.is_whole)
    }

    /// The account that the namespace's label names.
    pub fn account_of(&self, name: &str) -> Option<AccountId> {
        let state = self.state();
        state.namespaces.get(name).map(|found| found.account_id)
    }

    /// The names of the service accounts that it has.
    pub fn service_accounts(&self) -> Vec<String> {
        self.state().service_accounts.keys().cloned().collect()
    }

    /// How often its namespaces were looked through.
    pub fn surveys(&self) -> usize {
        self.state().surveys
    }

    /// How many service accounts and how many bindings it has.
    pub fn identities(&self) -> (usize, usize) {
        let state = self.state();
        (state.service_accounts.len(), state.bindings.len())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answering(&self, cluster: &ClusterName) -> Result<MutexGuard<'_, State>, ClusterError> {
        if self.find(cluster).is_none() {
            return Err(ClusterError::NotConfigured(cluster.clone()));
        }
        let state = self.state();
        if state.up {
            Ok(state)
        } else {
            Err(ClusterError::Unavailable(None))
        }
    }
}

#[async_trait]
impl ClusterDirectory for TestCluster {
    fn list(&self) -> Vec<Cluster> {
        vec![Cluster {
            name: ClusterName::from_stored("test".to_owned()),
            title: "Test".to_owned(),
            server: "https://127.0.0.1:1".to_owned(),
            certificate_authority_pem: None,
        }]
    }

    fn find(&self, name: &ClusterName) -> Option<Cluster> {
        ClusterDirectory::list(self)
            .into_iter()
            .find(|cluster| cluster.name == *name)
    }

    fn status(&self, _: &ClusterName) -> ClusterStatus {
        if self.state().up {
            ClusterStatus::Available(None)
        } else {
            ClusterStatus::Unavailable
        }
    }

    fn is_given_up(&self, _: &ClusterName) -> bool {
        false
    }
}

#[async_trait]
impl UsageReader for TestCluster {
    async fn usage(&self, namespace: &Namespace) -> Result<Vec<QuotaUse>, ClusterError> {
        self.hang_on(namespace.kubernetes_namespace.as_str()).await;
        let state = self.answering(&namespace.cluster)?;
        let name = namespace.kubernetes_namespace.as_str();
        // Nothing runs here, and so nothing is used.
        let pods = state.namespaces.contains_key(name).then(|| QuotaUse {
            resource: "pods".to_owned(),
            used: "0".to_owned(),
            hard: "100".to_owned(),
        });
        Ok(pods.into_iter().collect())
    }
}

#[async_trait]
impl NamespaceProvisioner for TestCluster {
    async fn provision(&self, namespace: &Namespace) -> Result<(), ClusterError> {
        self.reach(Step::Provision).await;
        let mut state = self.answering(&namespace.cluster)?;
        if let Some(reason) = state.refuses.clone() {
            return Err(ClusterError::Refused { reason });
        }
        state.made += 1;
        let uid = format!("uid-{}", state.made);
        let name = namespace.kubernetes_namespace.as_str().to_owned();
        let taken = state.namespaces.get(&name);
        if taken.is_some_and(|found| found.id != namespace.id || found.is_going) {
            let reason = format!("a namespace {name} stands there already");
            return Err(ClusterError::Refused { reason });
        }
        let standing = state.namespaces.entry(name).or_insert(Standing {
            id: namespace.id,
            account_id: namespace.account_id,
            uid,
            is_whole: true,
            is_going: false,
        });
        standing.is_whole = true;
        standing.account_id = namespace.account_id;
        Ok(())
    }

    async fn remove(&self, namespace: &Namespace) -> Result<Removal, ClusterError> {
        self.hang_on(namespace.kubernetes_namespace.as_str()).await;
        let mut state = self.answering(&namespace.cluster)?;
        let held_by = state.held_by.clone();
        let name = namespace.kubernetes_namespace.as_str();
        match state.namespaces.get_mut(name) {
            Some(found) if found.id != namespace.id => Ok(Removal::Gone),
            Some(found) if held_by.is_some() => {
                found.is_going = true;
                Ok(Removal::Going { held_by })
            }
            _ => {
                state.lose_namespace(name);
                Ok(Removal::Gone)
            }
        }
    }

    async fn survey(&self, cluster: &ClusterName) -> Result<Vec<LocatedNamespace>, ClusterError> {
        let mut state = self.answering(cluster)?;
        state.surveys += 1;
        let located = state
            .namespaces
            .iter()
            .map(|(name, found)| LocatedNamespace {
                id: Some(found.id),
                account_id: Some(found.account_id),
                cluster: cluster.clone(),
                object: LocatedObject {
                    namespace: String::new(),
                    name: name.clone(),
                    uid: found.uid.clone(),
                },
                is_whole: found.is_whole,
                is_going: found.is_going,
            });
        Ok(located.collect())
    }

    async fn discard(&self, located: &LocatedNamespace) -> Result<(), ClusterError> {
        self.reach(Step::Discard).await;
        self.hang_on(&located.object.name).await;
        let mut state = self.answering(&located.cluster)?;
        let LocatedObject { name, uid, .. } = &located.object;
        state.check_kept(name)?;
        let found = state.namespaces.get(name);
        if found.is_some_and(|found| found.uid == *uid) {
            state.lose_namespace(name);
        }
        Ok(())
    }
}

#[async_trait]
impl CredentialMint for TestCluster {
    async fn make(&self, identity: &CredentialIdentity) -> Result<(), ClusterError> {
        self.reach(Step::Make).await;
        let mut state = self.answering(&identity.cluster)?;
        let name = identity.object_name();
        if state.failing.contains(&name) {
            return Err(ClusterError::Unavailable(None));
        }
        state.made += 1;
        let uid = format!("uid-{}", state.made);
        let owner = (identity.id, identity.account_id);
        state.owners.insert(name.clone(), owner);
        let object = |namespace: &str| LocatedObject {
            namespace: namespace.to_owned(),
            name: name.clone(),
            uid: uid.clone(),
        };
        let account = object("remotegpu-credentials");
        let binding = object(identity.kubernetes_namespace.as_str());
        state
            .service_accounts
            .entry(name.clone())
            .or_insert(account);
        state.bindings.entry(name.clone()).or_insert(binding);
        Ok(())
    }

    async fn mint(
        &self,
        identity: &CredentialIdentity,
        lifetime: Duration,
    ) -> Result<MintedToken, MintError> {
        let (stands, answer) = {
            let state = self.answering(&identity.cluster)?;
            let name = identity.object_name();
            (state.service_accounts.contains_key(&name), state.answer)
        };
        let expires_at = self.clock.now() + lifetime;
        self.reach(Step::Mint).await;
        if !stands {
            return Err(MintError::IdentityMissing);
        }
        let token = PlainClusterToken::new(format!("token-of-{}", identity.object_name()));
        let off = match answer {
            TokenAnswer::AsAsked => Duration::ZERO,
            TokenAnswer::OffBy(off) => off,
            TokenAnswer::NoExpiration => return Err(MintError::NoExpiration),
        };
        Ok(MintedToken {
            token_id: Some(format!("id-of-{}", identity.object_name())),
            token,
            expires_at: expires_at + off,
        })
    }

    async fn opens(
        &self,
        identity: &CredentialIdentity,
        _: &PlainClusterToken,
    ) -> Result<bool, ClusterError> {
        let state = self.answering(&identity.cluster)?;
        let name = identity.object_name();
        Ok(state.bindings.contains_key(&name) && state.service_accounts.contains_key(&name))
    }

    async fn locate(&self, identity: &CredentialIdentity) -> Result<LocatedIdentity, ClusterError> {
        self.hang_on(&identity.object_name()).await;
        let located = {
            let state = self.answering(&identity.cluster)?;
            let name = identity.object_name();
            let binding = state.bindings.get(&name).cloned();
            let service_account = state.service_accounts.get(&name).cloned();
            let stands = binding.is_some() || service_account.is_some();
            LocatedIdentity {
                id: stands.then_some(identity.id),
                account_id: Some(identity.account_id),
                cluster: identity.cluster.clone(),
                binding,
                service_account,
                binding_obstacle: None,
                account_obstacle: None,
            }
        };
        self.reach(Step::Located).await;
        Ok(located)
    }

    async fn remove(&self, located: &LocatedIdentity) -> Result<(), ClusterError> {
        let mut state = self.answering(&located.cluster)?;
        for object in [&located.binding, &located.service_account] {
            object
                .iter()
                .try_for_each(|object| state.check_kept(&object.name))?;
        }
        let remove = |objects: &mut BTreeMap<String, LocatedObject>,
                      object: &Option<LocatedObject>| {
            objects.retain(|_, held| Some(&*held) != object.as_ref());
        };
        remove(&mut state.service_accounts, &located.service_account);
        if state.keeps_bindings && located.binding.is_some() {
            let reason = "bindings are kept".to_owned();
            let kept = ClusterError::Refused { reason };
            return Err(ClusterError::BindingLeft(Box::new(kept)));
        }
        remove(&mut state.bindings, &located.binding);
        Ok(())
    }

    async fn list(
        &self,
        cluster: &ClusterName,
        kind: IdentityObjects,
        place: Option<&ListPlace>,
    ) -> Result<IdentityPage, ClusterError> {
        let state = self.answering(cluster)?;
        let objects = match kind {
            IdentityObjects::ServiceAccounts => &state.service_accounts,
            IdentityObjects::Bindings => &state.bindings,
        };
        let owner = |name: &str| state.owners.get(name).copied();
        Ok(identity_page(cluster, kind, objects, owner, place))
    }
}
