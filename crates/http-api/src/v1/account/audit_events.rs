//! Audit events (contract R5).

pub(crate) mod list;

use remotegpu_accounts::{ACTOR_KINDS, AuditAction, AuditDetails, AuditEvent, AuditSubject};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::openapi::words::{open, words};

/// Who did what to what, from where.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEventResponse {
    id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    occurred_at: OffsetDateTime,
    #[schema(schema_with = open::<AuditActionWord>)]
    action: String,
    actor: ActorResponse,
    subject: SubjectResponse,
    /// The client's address; `null` where the act came past the network.
    #[schema(required = true, example = "192.0.2.1")]
    ip: Option<String>,
    /// The `x-request-id` of the answer.
    #[schema(required = true, example = "0198c0de-0000-7000-8000-000000000000")]
    request_id: Option<String>,
    details: AuditDetailsResponse,
}

/// Who acted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActorResponse {
    #[schema(schema_with = open::<ActorTypeWord>)]
    r#type: String,
    /// Of a user, a service user or an API key; `null` of any other.
    #[schema(required = true)]
    id: Option<Uuid>,
}

/// What was acted on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubjectResponse {
    #[schema(schema_with = open::<SubjectTypeWord>)]
    r#type: String,
    id: Uuid,
}

/// What else there is to say about an act; what does not apply is left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditDetailsResponse {
    /// The name that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    name: Option<String>,
    /// What may be shown of an API key's new secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, example = "rgpu_0a1b2c3d")]
    prefix: Option<String>,
    /// Which members of an API key, or limits of an account, were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    changed: Option<Vec<String>>,
    /// Until when the old secret of a rotated key works on.
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    #[schema(nullable = false, required = false)]
    old_secret_ends_at: Option<OffsetDateTime>,
    /// The cluster's service account that a token is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    identity: Option<String>,
    /// The token's `jti`, by which the cluster's own audit log knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    token_id: Option<String>,
    /// When a token ends.
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    #[schema(nullable = false, required = false)]
    expires_at: Option<OffsetDateTime>,
    /// Whose token was issued or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    service_user_id: Option<Uuid>,
    /// What a user or a service user may do in the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, example = "write")]
    role: Option<String>,
    /// The account's own limit of active API keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    key_limit: Option<u32>,
    /// The account's own limit of namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    namespace_limit: Option<u32>,
}

impl AuditEventResponse {
    fn new(event: &AuditEvent) -> Self {
        let (actor, actor_id) = event.actor.parts();
        let (subject, subject_id) = event.subject.parts();
        Self {
            id: event.id.as_uuid(),
            occurred_at: event.occurred_at,
            action: event.action.as_str().to_owned(),
            actor: ActorResponse {
                r#type: actor.to_owned(),
                id: actor_id,
            },
            subject: SubjectResponse {
                r#type: subject.to_owned(),
                id: subject_id,
            },
            ip: event.origin.ip.map(|ip| ip.to_string()),
            request_id: event.origin.request_id.clone(),
            details: AuditDetailsResponse::new(event.details.clone()),
        }
    }
}

impl AuditDetailsResponse {
    fn new(details: AuditDetails) -> Self {
        Self {
            name: details.name,
            prefix: details.prefix,
            changed: details.changed,
            old_secret_ends_at: details.old_secret_ends_at,
            identity: details.identity,
            token_id: details.token_id,
            expires_at: details.expires_at,
            service_user_id: details
                .service_user_id
                .map(remotegpu_primitives::UserId::as_uuid),
            role: details.role.map(|role| role.as_str().to_owned()),
            key_limit: details.key_limit,
            namespace_limit: details.namespace_limit,
        }
    }
}

words! {
    /// What was done.
    AuditActionWord = AuditAction::ALL.iter().map(|action| action.as_str())
}

words! {
    /// Who acted; `anonymous` is somebody who has not shown who they are.
    ActorTypeWord = ACTOR_KINDS
}

words! {
    /// What kind of thing was acted on.
    SubjectTypeWord = AuditSubject::KINDS
}
