use actix_web::{patch, web};
use remotegpu_namespaces::{NamespaceName, RenameNamespace};
use remotegpu_primitives::NamespaceId;
use serde::Deserialize;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::{NamespaceResponse, existing};
use crate::{
    Api,
    error::{ApiError, ErrorCode, FieldError},
    extract::{JsonBody, PathId, SessionCaller, Write},
    openapi::texts,
    wire,
};

/// What to change.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "not_empty"))]
#[schema(min_properties = 1)]
pub(crate) struct RenameNamespaceRequest {
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(schema_with = texts::namespace_name)]
    name: Option<String>,
}

fn not_empty(request: &RenameNamespaceRequest) -> Result<(), ValidationError> {
    match request.name {
        Some(_) => Ok(()),
        None => Err(ValidationError::new("empty").with_message("Nothing to change: name".into())),
    }
}

/// Rename a namespace
///
/// `kubernetes_namespace` stays as it is.
#[utoipa::path(
    tag = "namespaces",
    params(("namespace_id" = uuid::Uuid, Path, description = "The namespace.")),
    request_body = RenameNamespaceRequest,
    responses(
        (status = 200, description = "The namespace under its new name.", body = NamespaceResponse),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`name_taken`, `namespace_not_ready`"),
    ),
)]
#[patch("/v1/kubernetes/namespaces/{namespace_id}")]
pub(crate) async fn rename_namespace(
    api: web::Data<Api>,
    caller: SessionCaller<Write>,
    id: PathId<NamespaceId>,
    body: JsonBody,
) -> Result<web::Json<NamespaceResponse>, ApiError> {
    let found = existing(&api, &caller.context, id).await?;
    let request: RenameNamespaceRequest = body.read().await?;
    let name = NamespaceName::parse(request.name.as_deref().unwrap_or_default())
        .map_err(|refusal| ApiError::field(FieldError::from_refusal("name", &refusal)))?;
    let (account, id, act) = (found.account_id, found.id, caller.act(api.now()));
    let renamed = api.ports.namespaces.rename(account, id, &name, &act);
    match renamed.await? {
        RenameNamespace::Renamed(namespace) => Ok(web::Json(NamespaceResponse::new(&namespace))),
        RenameNamespace::NotFound => Err(ErrorCode::NotFound.into()),
        RenameNamespace::NotReady => Err(ErrorCode::NamespaceNotReady.into()),
        RenameNamespace::NameTaken => Err(ErrorCode::NameTaken.into()),
    }
}
