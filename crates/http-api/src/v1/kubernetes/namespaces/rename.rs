use actix_web::{patch, web};
use remotegpu_control_plane::Write;
use remotegpu_edge::{ApiError, PathId, SessionCaller};
use remotegpu_namespaces::NamespaceName;
use remotegpu_primitives::NamespaceId;
use serde::Deserialize;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::{NamespaceResponse, existing};
use crate::{Api, api::rng, json_body::JsonBody, openapi::texts, wire};

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
    SessionCaller(caller): SessionCaller<Write>,
    id: PathId<NamespaceId>,
    body: JsonBody,
) -> Result<web::Json<NamespaceResponse>, ApiError> {
    let found = existing(&api, &caller, id).await?;
    let (request, mut fields) = body.read_to_judge::<RenameNamespaceRequest>().await?;
    let name = request.name.as_deref().map(NamespaceName::parse);
    let name = fields.judge("name", name.transpose()).flatten();
    let Some(name) = name.filter(|_| fields.is_empty()) else {
        return Err(fields.into());
    };
    let (namespaces, id) = (&*api.ports.namespaces, found.id);
    let (name, rng, now) = (&name, &mut rng(), api.now());
    let renamed =
        remotegpu_control_plane::rename_namespace(namespaces, &caller, id, name, rng, now);
    Ok(web::Json(NamespaceResponse::new(&renamed.await?)))
}
