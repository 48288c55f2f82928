use actix_web::{HttpResponse, delete, web};
use remotegpu_primitives::NamespaceId;

use super::NamespaceResponse;
use crate::{
    Api,
    error::{ApiError, ErrorCode},
    extract::{PathId, SessionCaller, Write},
};

/// Delete a namespace
///
/// With all that is in it. Credentials for it end at once; it leaves the list
/// when the cluster has let it go.
#[utoipa::path(
    tag = "namespaces",
    params(("namespace_id" = uuid::Uuid, Path, description = "The namespace.")),
    responses(
        (status = 202, description = "The namespace, `deleting`.", body = NamespaceResponse),
        (status = 404, description = "`not_found`"),
    ),
)]
#[delete("/v1/kubernetes/namespaces/{namespace_id}")]
pub(crate) async fn delete_namespace(
    api: web::Data<Api>,
    caller: SessionCaller<Write>,
    id: PathId<NamespaceId>,
) -> Result<HttpResponse, ApiError> {
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let (namespaces, signals) = (&*api.ports.namespaces, &api.ports.signals);
    let (namespace, act) = ((caller.context.account.id, id), caller.act(api.now()));
    let deleting = remotegpu_control_plane::delete_namespace(namespaces, signals, namespace, &act)
        .await?
        .ok_or(ErrorCode::NotFound)?;
    Ok(HttpResponse::Accepted().json(NamespaceResponse::new(&deleting)))
}
