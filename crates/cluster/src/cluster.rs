//! One cluster: how it is asked, for how long, and what is known of it.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use http::{HeaderValue, StatusCode};
use remotegpu_namespaces::{Cluster, ClusterError, ClusterStatus, PlainClusterToken};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    breaker::Breaker,
    credential::Credential,
    labels::label,
    request::{Answer, Ask, Fault},
    transport::Transport,
};

/// How long connecting may take, TLS included.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long one act may take in all, so that who waits for it has an answer
/// within five seconds (contract C7).
pub(crate) const ACT_WITHIN: Duration = Duration::from_secs(4);
/// How long one request of an act may take.
const REQUEST_WITHIN: Duration = Duration::from_millis(3_500);

/// What every API server answers cheaply.
pub(crate) const VERSION: &str = "/version";

/// A configured cluster and the ways to ask it.
pub(crate) struct KubeCluster {
    known: RwLock<Arc<Cluster>>,
    /// Where the control plane reaches it, as the kubeconfig says.
    server: String,
    /// Sends without a credential of its own.
    plain: Transport,
    credential: Credential,
    health: Mutex<Health>,
    breaker: Breaker,
}

#[derive(Default)]
struct Health {
    answers: Option<bool>,
    version: Option<String>,
}

impl KubeCluster {
    pub(crate) fn new(
        known: Cluster,
        server: String,
        plain: Transport,
        credential: Credential,
    ) -> Self {
        Self {
            known: RwLock::new(Arc::new(known)),
            server,
            plain,
            credential,
            health: Mutex::default(),
            breaker: Breaker::default(),
        }
    }

    /// The cluster as customers see it.
    pub(crate) fn known(&self) -> Arc<Cluster> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known)
    }

    /// Is asked as `other` would be from now on, and shown as it; not another cluster,
    /// though. Answers whether it was.
    pub(crate) async fn replace(&self, other: &Self) -> bool {
        if self.server != other.server || !self.credential.replace(&other.credential).await {
            return false;
        }
        self.plain.replace(&other.plain);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = other.known();
        true
    }

    /// The URL that the control plane itself asks.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// What is known of it now.
    pub(crate) fn status(&self) -> ClusterStatus {
        let health = self.health();
        match health.answers {
            None => ClusterStatus::Unknown,
            Some(true) => ClusterStatus::Available(health.version.clone()),
            Some(false) => ClusterStatus::Unavailable,
        }
    }

    /// Remembers the version that the cluster told.
    pub(crate) fn remember_version(&self, version: &str) {
        self.health().version = Some(version.to_owned());
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // The two fields are each written whole, so a panic elsewhere breaks neither.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bounds an act of several requests.
    pub(crate) async fn bounded<T, E: From<ClusterError>>(
        &self,
        act: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match timeout(ACT_WITHIN, act).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClusterError::from(self.noted(Fault::Slow)).into()),
        }
    }

    /// Asks, unless the cluster was given up, and notes whether it answered.
    async fn send(
        &self,
        asked: impl Future<Output = Result<Answer, Fault>>,
    ) -> Result<Answer, Fault> {
        let attempt = self.breaker.attempt().ok_or(Fault::GivenUp)?;
        // A little less than what an act may take, so that a request that is cut
        // off tells the breaker before it is dropped.
        let answered = timeout(REQUEST_WITHIN, asked).await;
        let answered = answered.unwrap_or(Err(Fault::Slow));
        match &answered {
            Err(Fault::Connection(_) | Fault::Slow) => attempt.failed(),
            // It was not asked.
            Err(Fault::Renewal) => drop(attempt),
            _ => attempt.answered(),
        }
        answered
    }

    /// Asks with the control plane's own credential.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Answer, ClusterError> {
        let answered = match &self.credential {
            Credential::Kubeconfig(transport) => self.send(ask.send(transport, None)).await,
            Credential::Renewed(renewed) => self.send(self.ask_renewed(ask, renewed)).await,
        };
        match answered {
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => {
                Err(self.noted(Fault::Credential).into())
            }
            answered => self.judge(answered),
        }
    }

    async fn ask_renewed(
        &self,
        ask: &Ask,
        renewed: &crate::credential::RenewedToken,
    ) -> Result<Answer, Fault> {
        let token = renewed.token(None).await?;
        let answer = ask.send(&self.plain, Some(&token)).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // The machine may have slept, or the cluster's keys have changed.
        let token = renewed.token(Some(&token)).await?;
        ask.send(&self.plain, Some(&token)).await
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
        let answered = self.send(ask.send(&self.plain, Some(&bearer))).await;
        self.judge(answered)
    }

    /// Whether the cluster was given up for a moment.
    pub(crate) fn is_given_up(&self) -> bool {
        self.breaker.is_open()
    }

    /// Keeps a connection open for each runtime that has asked, unless the cluster was
    /// given up.
    pub(crate) async fn keep_warm(&self) {
        let transport = match &self.credential {
            Credential::Kubeconfig(transport) => transport,
            Credential::Renewed(_) => &self.plain,
        };
        if !self.is_given_up() {
            transport.keep_warm(VERSION, ACT_WITHIN).await;
        }
    }

    fn judge(&self, answered: Result<Answer, Fault>) -> Result<Answer, ClusterError> {
        let judged = answered.and_then(|answer| answer.fault().map_or(Ok(answer), Err));
        match judged {
            Ok(answer) => {
                self.health().answers = Some(true);
                Ok(answer)
            }
            Err(fault) => Err(self.noted(fault).into()),
        }
    }

    fn noted(&self, fault: Fault) -> Fault {
        self.health().answers = Some(false);
        fault
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
