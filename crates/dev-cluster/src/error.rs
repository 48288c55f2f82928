//! Errors: what stops the start, and what a request is answered with.

use serde_json::{Value, json};

use crate::kinds::Kind;

/// Why the development cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum DevClusterError {
    /// Another program listens on the address.
    #[error("the development cluster cannot listen on {0}: another program does")]
    PortOccupied(std::net::SocketAddr),
    /// The address cannot be listened on for another reason.
    #[error("the development cluster cannot listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    /// The folder's certificate is for other addresses, and nothing can sign another one.
    #[error("the certificate in {1} is not for {0}: listen on 127.0.0.1 or [::1], or remove that folder")]
    NotCertified(std::net::IpAddr, std::path::PathBuf),
    /// A file or folder cannot be read or written.
    #[error("the development cluster cannot use {0}")]
    Folder(std::path::PathBuf, #[source] std::io::Error),
    /// Another development cluster holds the folder.
    #[error("another development cluster is using {0}")]
    InUse(std::path::PathBuf),
    /// A file of the folder does not hold what this crate wrote.
    #[error("the development cluster's file {0} is corrupt: {1}")]
    Corrupt(std::path::PathBuf, String),
    /// The certificates could not be made.
    #[error("the development cluster could not make its certificates: {0}")]
    Certificates(String),
}

/// A refusal, kept as the Kubernetes `Status` that the client reads.
#[derive(Debug, Clone)]
pub(crate) struct ApiError(pub Box<Value>);

pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self(Box::new(json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message.into(), "reason": reason, "code": code,
        })))
    }

    pub fn code(&self) -> u16 {
        self.0["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(500)
    }

    pub fn message(&self) -> &str {
        self.0["message"].as_str().unwrap_or_default()
    }

    /// Names the object that the answer is about; Kubernetes puts the plural into `kind` here.
    fn about(mut self, kind: &str, group: &str, name: &str) -> Self {
        let mut details = json!({"kind": kind});
        if !group.is_empty() {
            details["group"] = json!(group);
        }
        if !name.is_empty() {
            details["name"] = json!(name);
        }
        self.0["details"] = details;
        self
    }

    pub fn with_causes(mut self, causes: Value) -> Self {
        self.0["details"]["causes"] = causes;
        self
    }

    pub fn not_supported() -> Self {
        Self::new(501, "NotImplemented", "the development cluster does not do this")
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    pub fn no_such_route() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message)
    }

    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.qualified())).about(
            kind.plural,
            kind.group,
            name,
        )
    }

    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.qualified())).about(
            kind.plural,
            kind.group,
            name,
        )
    }

    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified());
        Self::new(409, "Conflict", message).about(kind.plural, kind.group, name)
    }

    pub fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    pub fn forbidden(resource: &str, group: &str, name: &str, why: &str) -> Self {
        let qualified = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
        let object = if name.is_empty() { qualified } else { format!("{qualified} {name:?}") };
        let about = resource.split('/').next().unwrap_or_default();
        Self::new(403, "Forbidden", format!("{object} is forbidden: {why}")).about(about, group, name)
    }

    /// One or more fields are wrong: `(reason, field, message)` for each.
    pub fn invalid(kind: &Kind, name: &str, causes: &[(&str, &str, String)]) -> Self {
        let list = causes.iter().map(|(_, field, message)| format!("{field}: {message}")).collect::<Vec<_>>();
        let text = if let [one] = list.as_slice() { one.clone() } else { format!("[{}]", list.join(", ")) };
        let qualified =
            if kind.group.is_empty() { kind.name.to_owned() } else { format!("{}.{}", kind.name, kind.group) };
        let causes = causes
            .iter()
            .map(|(reason, field, message)| json!({"reason": reason, "message": message, "field": field}))
            .collect();
        Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {text}"))
            .about(kind.name, kind.group, name)
            .with_causes(causes)
    }
}
