use actix_web::{HttpResponse, delete, web};
use remotegpu_control_plane::Write;
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_primitives::NamespaceId;

use super::NamespaceResponse;
use crate::{Api, api::rng};

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
    SessionCaller(caller): SessionCaller<Write>,
    id: PathId<NamespaceId>,
) -> Result<HttpResponse, ApiError> {
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let (namespaces, signals) = (&*api.ports.namespaces, &api.ports.signals);
    let (caller, rng, now) = (&caller, &mut rng(), api.now());
    let deleting =
        remotegpu_control_plane::delete_namespace(namespaces, signals, caller, id, rng, now);
    let deleting = deleting.await?.ok_or(ErrorCode::NotFound)?;
    Ok(HttpResponse::Accepted().json(NamespaceResponse::new(&deleting)))
}
