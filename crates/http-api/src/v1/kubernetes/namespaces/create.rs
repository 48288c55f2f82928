use actix_web::{HttpResponse, post, web};
use remotegpu_control_plane::{CreateNamespace, CreateNamespacePorts, Write, find_cluster};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, SessionCaller};
use remotegpu_namespaces::NamespaceName;
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::NamespaceResponse;
use crate::{Api, api::rng, json_body::JsonBody, openapi::texts, wire};

/// What a namespace shall be.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateNamespaceRequest {
    #[schema(schema_with = texts::namespace_name)]
    name: String,
    /// The name of the cluster it shall stand in; the first one where absent.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(nullable = false, example = "fra1")]
    cluster: Option<String>,
}

/// Create a namespace
///
/// Answers when it is active, or after ten seconds as it is then: the work goes
/// on.
#[utoipa::path(
    tag = "namespaces",
    request_body = CreateNamespaceRequest,
    responses(
        (status = 201, description = "The namespace, `active` or `provisioning`.", body = NamespaceResponse),
        (status = 400, description = "`invalid_body`, `invalid_field`, `cluster_unknown`"),
        (status = 409, description = "`name_taken`, `namespace_limit`"),
    ),
)]
#[post("/v1/kubernetes/namespaces")]
pub(crate) async fn create_namespace(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Write>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let (request, mut fields) = body.read_to_judge::<CreateNamespaceRequest>().await?;
    let name = fields.judge("name", NamespaceName::parse(&request.name));
    let clusters = &*api.ports.clusters;
    if find_cluster(clusters, request.cluster.as_deref()).is_none() {
        let error = FieldError::new("cluster", "is not known");
        fields.refuse_as(ErrorCode::ClusterUnknown.into(), error);
    }
    let Some(name) = name.filter(|_| fields.is_empty()) else {
        return Err(fields.into());
    };
    let ports = CreateNamespacePorts {
        namespaces: &*api.ports.namespaces,
        clusters,
        signals: &api.ports.signals,
    };
    let wanted = CreateNamespace {
        name,
        cluster: request.cluster,
        default_limit: api.config.namespace_limit,
    };
    let (rng, now) = (&mut rng(), api.now());
    let created = remotegpu_control_plane::create_namespace(ports, &caller, wanted, rng, now);
    Ok(HttpResponse::Created().json(NamespaceResponse::new(&created.await?)))
}
