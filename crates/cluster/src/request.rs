//! One request to an API server, and its answer: bounded in size, and read by
//! ourselves, because the client's own helpers write bodies to the log.

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use kube::client::AuthError;
use remotegpu_namespaces::ClusterError;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    labels::FIELD_MANAGER,
    transport::{Transport, TransportError},
};

/// How much of an answer about one object is read.
pub(crate) const OBJECT_LIMIT: usize = 64 * 1024;
/// How much of one page of a list is read.
pub(crate) const PAGE_LIMIT: usize = 4 * 1024 * 1024;

const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The connection failed, before the answer or within it.
    #[error("the connection to the API server failed")]
    Connection(#[source] Box<dyn Error + Send + Sync>),
    /// The cluster is down, as its last probe has shown, and was not asked.
    #[error("the cluster is down, and was not asked")]
    Down(#[source] Arc<Self>),
    /// Nothing came in time.
    #[error("the API server did not answer in time")]
    Slow,
    /// It says itself that it cannot.
    #[error("the API server answered {0}")]
    Status(StatusCode),
    /// The control plane's own credential does not count (any more).
    #[error("the API server does not accept the control plane's credential")]
    Credential,
    /// The control plane's own credential could not be had. Without its source:
    /// the client's words quote what a kubeconfig's plugin printed.
    #[error("the credential that the kubeconfig names could not be renewed")]
    Renewal,
    /// What answers does not speak like an API server.
    #[error("the API server answered something that is not usable")]
    NotInKind,
    /// It answers, but what was asked does not come about.
    #[error("the object did not settle in time")]
    Unsettled,
}

impl Fault {
    /// Whether it may be the cluster that is down, rather than one object that fails:
    /// a reason to probe it (contract R10).
    pub(crate) fn is_suspicious(&self) -> bool {
        match self {
            Self::Connection(_)
            | Self::Slow
            | Self::Status(_)
            | Self::Credential
            | Self::Renewal => true,
            Self::Down(_) | Self::NotInKind | Self::Unsettled => false,
        }
    }
}

impl Fault {
    /// Whether a connection broke that had been made before, not one that could not be
    /// made.
    pub(crate) fn is_of_a_kept_connection(&self) -> bool {
        let Self::Connection(error) = self else {
            return false;
        };
        let told = error.downcast_ref::<hyper_util::client::legacy::Error>();
        told.is_some_and(|told| !told.is_connect())
    }
}

impl From<Fault> for ClusterError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Down(_) => Self::Unavailable(Some(Box::new(fault))),
            // Whoever knows that the cluster is down says so.
            _ => Self::Failed(Box::new(fault)),
        }
    }
}

/// A request that is about to be made, to a path of the API server.
pub(crate) struct Ask {
    method: Method,
    path: String,
    content_type: &'static str,
    body: Bytes,
    limit: usize,
}

impl Ask {
    fn new(method: Method, path: String, body: Vec<u8>) -> Self {
        Self {
            method,
            path,
            content_type: JSON,
            body: body.into(),
            limit: OBJECT_LIMIT,
        }
    }

    /// Reads one object.
    pub(crate) fn get(path: String) -> Self {
        // Objects have no bound of their own below what etcd takes, and labels of
        // others do not make ours unreadable.
        Self {
            limit: PAGE_LIMIT,
            ..Self::new(Method::GET, path, Vec::new())
        }
    }

    /// Makes an object, or asks what is asked by making one.
    pub(crate) fn post(path: String, body: &impl Serialize) -> Self {
        Self::new(Method::POST, path, json(body))
    }

    /// Writes an object over the version of it that it names.
    pub(crate) fn put(path: String, body: &impl Serialize) -> Self {
        Self {
            limit: PAGE_LIMIT,
            ..Self::new(Method::PUT, path, json(body))
        }
    }

    /// Applies an object on the server's side: its fields are ours from now on.
    pub(crate) fn apply(path: &str, object: &Value) -> Self {
        Self::apply_with(path, object, "&force=true")
    }

    /// Applies an object that is thought not to stand yet: fields that belong to
    /// somebody else are a conflict.
    pub(crate) fn apply_new(path: &str, object: &Value) -> Self {
        Self::apply_with(path, object, "")
    }

    fn apply_with(path: &str, object: &Value, force: &str) -> Self {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}{force}");
        Self {
            content_type: APPLY,
            limit: PAGE_LIMIT,
            ..Self::new(Method::PATCH, path, json(object))
        }
    }

    /// Deletes the object only while it is the very one with this UID.
    pub(crate) fn delete(path: String, uid: &str) -> Self {
        let options = serde_json::json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
        });
        Self {
            limit: PAGE_LIMIT,
            ..Self::new(Method::DELETE, path, json(&options))
        }
    }

    /// Sends the request, as whoever the transport is or as the bearer.
    pub(crate) async fn send(
        &self,
        transport: &Transport,
        bearer: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header(ACCEPT, JSON);
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, self.content_type);
        }
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        let request = request
            .body(Full::new(self.body.clone()))
            .map_err(|error| Fault::Connection(Box::new(error)))?;
        let answer = transport.send(request).await.map_err(not_sent)?;
        let status = answer.status();
        let date = answer.headers().get(DATE).cloned();
        let body = match Limited::new(answer.into_body(), self.limit).collect().await {
            Ok(body) => Some(body.to_bytes().into()),
            Err(error) if error.is::<LengthLimitError>() => None,
            Err(error) => return Err(Fault::Connection(error)),
        };
        Ok(Answer { status, date, body })
    }
}

/// What is made of JSON values and structures of ours is always JSON.
fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// Why a request has no answer. The client fetches its credential on the way, and
/// wraps what went wrong with that like a fault of the connection.
fn not_sent(error: TransportError) -> Fault {
    let mut next: Option<&(dyn Error + 'static)> = Some(&*error);
    while let Some(error) = next {
        if error.is::<AuthError>() {
            return Fault::Renewal;
        }
        next = error.source();
    }
    Fault::Connection(error)
}

/// What the API server answered.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The server's time, in its own words.
    pub(crate) date: Option<HeaderValue>,
    /// The body, where it is within its limit.
    body: Option<Vec<u8>>,
}

impl Answer {
    /// An empty answer of that time.
    #[cfg(test)]
    pub(crate) fn dated(date: Option<HeaderValue>) -> Self {
        Self {
            status: StatusCode::OK,
            date,
            body: None,
        }
    }

    /// What the status says about the server itself.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let busy = self.status == StatusCode::TOO_MANY_REQUESTS;
        (busy || self.status.is_server_error()).then_some(Fault::Status(self.status))
    }

    /// Whether the server did it.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The body, where it is within its limit.
    pub(crate) fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// The body, if it is JSON.
    pub(crate) fn into_json(self) -> Option<Value> {
        self.read()
    }

    /// What of the body is looked at, if it is that kind of JSON.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(self.body.as_ref()?).ok()
    }

    /// What of the object that the server answered is looked at, or why there is
    /// none; `act` says what was tried. What is not looked at costs next to nothing.
    pub(crate) fn part<T: DeserializeOwned>(&self, act: &str) -> Result<T, ClusterError> {
        if !self.is_success() {
            return Err(self.refused(act));
        }
        self.read().ok_or_else(|| Fault::NotInKind.into())
    }

    /// The object that the server answered, or why there is none; `act` says
    /// what was tried.
    pub(crate) fn object(self, act: &str) -> Result<Value, ClusterError> {
        let object: Value = self.part(act)?;
        Some(object)
            .filter(Value::is_object)
            .ok_or_else(|| Fault::NotInKind.into())
    }

    /// A refusal in our own words: of the answer only its status and the one
    /// word that Kubernetes has for the reason.
    pub(crate) fn refused(&self, act: &str) -> ClusterError {
        let body: Option<Value> = self.read();
        let word = body.as_ref().and_then(|body| body["reason"].as_str());
        let word = word.filter(|word| {
            (1..=40).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic())
        });
        let status = self.status.as_u16();
        ClusterError::Refused {
            reason: match word {
                Some(word) => format!("{act} was answered with {status} {word}"),
                None => format!("{act} was answered with {status}"),
            },
        }
    }
}

/// A path below a collection. Names come from our store or from the cluster;
/// what cannot be one segment of a path is refused rather than sent.
pub(crate) fn item(collection: &str, name: &str) -> Result<String, ClusterError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'_');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(fits) {
        return Err(ClusterError::Refused {
            reason: "an object's name cannot be part of a path".to_owned(),
        });
    }
    Ok(format!("{collection}/{name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_holds_nothing_of_the_answer_but_a_word() {
        let reason = |body: Value| {
            let status = StatusCode::FORBIDDEN;
            let body = Some(body.to_string().into_bytes());
            let date = None;
            Answer { status, date, body }
                .refused("making it")
                .to_string()
        };
        assert_eq!(
            reason(json!({"reason": "Forbidden", "message": "secret"})),
            "the cluster refused: making it was answered with 403 Forbidden"
        );
        for odd in [
            json!("text"),
            json!({"reason": "a secret sentence"}),
            json!(null),
        ] {
            assert_eq!(
                reason(odd),
                "the cluster refused: making it was answered with 403"
            );
        }
    }

    #[test]
    fn a_name_never_leaves_its_segment() {
        assert_eq!(item("/c", "system:a-b.c").unwrap(), "/c/system:a-b.c");
        for odd in ["", ".", "..", "a/b", "a?b", "a b", "a%2fb", "a#b"] {
            assert!(item("/c", odd).is_err(), "{odd}");
        }
    }
}
