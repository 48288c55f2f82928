use actix_web::{get, web};
use remotegpu_control_plane::{Read, look_at_namespace};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_primitives::NamespaceId;

use super::NamespaceResponse;
use crate::Api;

/// Get one namespace
///
/// One that is `deleting` is there until its cluster has let it go.
#[utoipa::path(
    tag = "namespaces",
    params(("namespace_id" = uuid::Uuid, Path, description = "The namespace.")),
    responses(
        (status = 200, description = "The namespace.", body = NamespaceResponse),
        (status = 404, description = "`not_found`"),
    ),
)]
#[get("/v1/kubernetes/namespaces/{namespace_id}")]
pub(crate) async fn get_namespace(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
    id: PathId<NamespaceId>,
) -> Result<web::Json<NamespaceResponse>, ApiError> {
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let found = look_at_namespace(&*api.ports.namespaces, &caller, id).await?;
    let namespace = found.ok_or(ErrorCode::NotFound)?;
    Ok(web::Json(NamespaceResponse::new(&namespace)))
}
