//! One cluster: how it is asked, for how long, and what is known of it.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use http::{HeaderValue, StatusCode};
use k8s_openapi::api::core::v1::Namespace as KubeNamespace;
use kube::Resource;
use remotegpu_namespaces::{Cluster, ClusterError, ClusterStatus, PlainClusterToken};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{
    credential::{Credential, RenewedToken},
    health::{Health, Probe},
    labels::label,
    prerequisites::CREDENTIALS_NAMESPACE,
    request::{Answer, Ask, Fault, item},
    transport::Transport,
};

/// How long connecting may take, TLS included.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long one act may take in all, so that who waits for it has an answer
/// within five seconds (contract C7).
pub(crate) const ACT_WITHIN: Duration = Duration::from_secs(4);
/// How long one request of an act may take.
const REQUEST_WITHIN: Duration = Duration::from_millis(3_500);
/// After how long a request without an answer has the cluster probed: so long before it
/// is given up that the probe, if it comes to nothing too, has come to its end by then.
const SUSPICIOUS_AFTER: Duration = Duration::from_millis(400);
/// How often a probe whose connection broke is sent again.
const CLOSED_MEANWHILE: usize = 2;
/// How long the probe may take (contract R10).
const PROBE_WITHIN: Duration = Duration::from_secs(3);

/// What every API server answers cheaply.
pub(crate) const VERSION: &str = "/version";

/// A configured cluster and the ways to ask it. Clones share all.
#[derive(Clone)]
pub(crate) struct KubeCluster(Arc<Shared>);

struct Shared {
    known: RwLock<Arc<Cluster>>,
    /// Where the control plane reaches it, as the kubeconfig says.
    server: String,
    /// Sends without a credential of its own.
    plain: Transport,
    credential: Credential,
    health: Arc<Health>,
    version: Mutex<Option<String>>,
}

impl Shared {
    fn version(&self) -> MutexGuard<'_, Option<String>> {
        // One value, written whole.
        self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KubeCluster {
    pub(crate) fn new(
        known: Cluster,
        server: String,
        plain: Transport,
        credential: Credential,
    ) -> Self {
        Self(Arc::new(Shared {
            known: RwLock::new(Arc::new(known)),
            server,
            plain,
            credential,
            health: Arc::default(),
            version: Mutex::default(),
        }))
    }

    /// The cluster as customers see it.
    pub(crate) fn known(&self) -> Arc<Cluster> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known)
    }

    /// Is asked as `other` would be from now on, and shown as it; not another cluster,
    /// though. Answers whether it was.
    pub(crate) async fn replace(&self, other: &Self) -> bool {
        if self.0.server != other.0.server || !self.0.credential.replace(&other.0.credential).await
        {
            return false;
        }
        self.0.plain.replace(&other.0.plain);
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = other.known();
        true
    }

    /// The URL that the control plane itself asks.
    pub(crate) fn server(&self) -> &str {
        &self.0.server
    }

    /// What the last probe has shown.
    pub(crate) fn status(&self) -> ClusterStatus {
        match self.0.health.is_up() {
            None => ClusterStatus::Unknown,
            Some(true) => ClusterStatus::Available(self.0.version().clone()),
            Some(false) => ClusterStatus::Unavailable,
        }
    }

    /// Remembers the version that the cluster told.
    pub(crate) fn remember_version(&self, version: &str) {
        *self.0.version() = Some(version.to_owned());
    }

    /// Whether the cluster is down, and so is not asked.
    pub(crate) fn is_down(&self) -> bool {
        self.0.health.is_up() == Some(false)
    }

    /// How long whoever watches the cluster may wait before the next look.
    pub(crate) fn next_look(&self) -> Duration {
        self.0.health.next_look()
    }

    /// Has the cluster be probed, or waits for the probe that is under way, and tells why
    /// it is down where it is (contract R10).
    pub(crate) async fn look(&self) -> Result<(), ClusterError> {
        match self.0.health.probe_if_due() {
            Some(probe) => self.run(probe).await,
            None => self.0.health.told_within(PROBE_WITHIN).await,
        }
        match self.0.health.down() {
            None => Ok(()),
            Some(why) => Err(Fault::Down(why).into()),
        }
    }

    /// Has the cluster be probed, by a task of its own: who has met a failure waits no
    /// longer for that.
    fn suspect(&self, probe: Option<Probe>) {
        if let Some(probe) = probe {
            let cluster = self.clone();
            tokio::spawn(async move {
                sleep(probe.wait).await;
                probe.begin();
                cluster.run(probe).await;
            });
        }
    }

    async fn run(&self, probe: Probe) {
        let asked = timeout(PROBE_WITHIN, self.probe()).await;
        let down = asked.unwrap_or(Err(Fault::Slow)).err();
        let cluster = &self.known().name;
        let why = down.as_ref().map(ToString::to_string);
        match (probe.shows(down), why) {
            (true, Some(why)) => tracing::warn!(
                %cluster,
                why,
                "a cluster is down, and nothing but its probe is asked until it answers"
            ),
            (true, None) => tracing::info!(%cluster, "a cluster answers"),
            (false, _) => {}
        }
    }

    /// Reads the namespace of the credentials, for which the API server needs its store.
    /// Whatever it says about that one is an answer.
    async fn probe(&self) -> Result<(), Fault> {
        let namespaces = KubeNamespace::url_path(&(), None);
        let path = item(&namespaces, CREDENTIALS_NAMESPACE).map_err(|_| Fault::NotInKind)?;
        let ask = Ask::get(path);
        let mut answered = self.ask_itself(&ask).await;
        // A connection that was kept may have been closed in this very moment, which says
        // nothing about the cluster; as many as are kept may have been.
        for _ in 0..CLOSED_MEANWHILE {
            if !matches!(&answered, Err(fault) if fault.is_of_a_kept_connection()) {
                break;
            }
            answered = self.ask_itself(&ask).await;
        }
        let answer = answered?;
        match answer.status {
            StatusCode::UNAUTHORIZED => Err(Fault::Credential),
            _ => answer.fault().map_or(Ok(()), Err),
        }
    }

    /// Bounds an act of several requests.
    pub(crate) async fn bounded<T, E: From<ClusterError>>(
        &self,
        act: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.bounded_by(ACT_WITHIN, act).await
    }

    /// Bounds a part of an act.
    pub(crate) async fn bounded_by<T, E: From<ClusterError>>(
        &self,
        longest: Duration,
        act: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if let Ok(outcome) = timeout(longest, act).await {
            return outcome;
        }
        self.suspect(self.0.health.probe());
        Err(self.error(Fault::Slow).into())
    }

    /// Asks, unless the cluster is down.
    async fn send(
        &self,
        asked: impl Future<Output = Result<Answer, Fault>>,
    ) -> Result<Answer, Fault> {
        if let Some(why) = self.0.health.down() {
            self.suspect(self.0.health.probe_if_due());
            return Err(Fault::Down(why));
        }
        // A little less than what an act may take, so that a request that is cut off
        // is told of before it is dropped.
        let mut asked = pin!(timeout(REQUEST_WITHIN, asked));
        let answered = if let Ok(answered) = timeout(SUSPICIOUS_AFTER, &mut asked).await {
            answered
        } else {
            self.suspect(self.0.health.probe());
            asked.await
        };
        answered.unwrap_or(Err(Fault::Slow))
    }

    /// Asks with the control plane's own credential.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Answer, ClusterError> {
        let answered = self.send(self.ask_itself(ask)).await;
        match answered {
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => {
                self.judge(Err(Fault::Credential)).await
            }
            answered => self.judge(answered).await,
        }
    }

    async fn ask_itself(&self, ask: &Ask) -> Result<Answer, Fault> {
        match &self.0.credential {
            Credential::Kubeconfig(transport) => ask.send(transport, None).await,
            Credential::Renewed(renewed) => self.ask_renewed(ask, renewed).await,
        }
    }

    async fn ask_renewed(&self, ask: &Ask, renewed: &RenewedToken) -> Result<Answer, Fault> {
        let token = renewed.token(None).await?;
        let answer = ask.send(&self.0.plain, Some(&token)).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // The machine may have slept, or the cluster's keys have changed.
        let token = renewed.token(Some(&token)).await?;
        ask.send(&self.0.plain, Some(&token)).await
    }

    /// Asks with a token that was minted for somebody. An answer of 401 is an
    /// answer: such a token may have ended, or not count yet.
    pub(crate) async fn ask_as(
        &self,
        token: &PlainClusterToken,
        ask: &Ask,
    ) -> Result<Answer, ClusterError> {
        let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {}", token.reveal())) else {
            return Err(ClusterError::Refused {
                reason: "the token is not one that can be sent".to_owned(),
            });
        };
        bearer.set_sensitive(true);
        let answered = self.send(ask.send(&self.0.plain, Some(&bearer))).await;
        self.judge(answered).await
    }

    /// Keeps a connection open for each runtime that has asked, unless the cluster is
    /// down.
    pub(crate) async fn keep_warm(&self) {
        let transport = match &self.0.credential {
            Credential::Kubeconfig(transport) => transport,
            Credential::Renewed(_) => &self.0.plain,
        };
        if !self.is_down() {
            transport.keep_warm(VERSION, ACT_WITHIN).await;
        }
    }

    /// Whether what came is an answer. If not, the cluster is probed, and the error says
    /// whether it is down or this one request has failed.
    async fn judge(&self, answered: Result<Answer, Fault>) -> Result<Answer, ClusterError> {
        match answered.and_then(|answer| answer.fault().map_or(Ok(answer), Err)) {
            Ok(answer) => Ok(answer),
            Err(fault) => {
                if fault.is_suspicious() {
                    self.suspect(self.0.health.probe());
                    self.0.health.down_after_failure().await;
                }
                Err(self.error(fault))
            }
        }
    }

    /// What the fault means, as far as is known by now.
    fn error(&self, fault: Fault) -> ClusterError {
        if fault.is_suspicious() && self.is_down() {
            return ClusterError::Unavailable(Some(Box::new(fault)));
        }
        fault.into()
    }

    /// The object at this path, if there is one; `act` says what it is read for.
    pub(crate) async fn find(
        &self,
        path: String,
        act: &str,
    ) -> Result<Option<Value>, ClusterError> {
        let answer = self.ask(&Ask::get(path)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.object(act).map(Some)
    }

    /// Deletes the object only while it is the very one with this UID; that it
    /// is gone, or another bears its name by now, is success.
    pub(crate) async fn delete(
        &self,
        path: String,
        uid: &str,
        act: &str,
    ) -> Result<(), ClusterError> {
        let answer = self.ask(&Ask::delete(path, uid)).await?;
        let over = matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT);
        if over || answer.is_success() {
            Ok(())
        } else {
            Err(answer.refused(act))
        }
    }
}

/// Whether the object has all these labels.
pub(crate) fn has_labels(object: &Value, wanted: &Value) -> bool {
    let wanted = wanted["metadata"]["labels"].as_object();
    wanted.is_none_or(|labels| {
        labels
            .iter()
            .all(|(name, value)| label(object, name) == value.as_str())
    })
}
