use actix_web::{get, web};
use remotegpu_control_plane::Read;
use remotegpu_edge::{ApiError, Query, SessionCaller};
use remotegpu_namespaces::{Cluster, ClusterStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Api,
    openapi::words::open,
    v1::list::{ListParams, ListResponse},
};

/// A cluster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClusterResponse {
    /// What `cluster` means wherever the API says it.
    #[schema(example = "fra1")]
    name: String,
    #[schema(example = "Frankfurt")]
    title: String,
    /// The version of its Kubernetes, where it told it.
    #[schema(required = true, example = "v1.33.2")]
    version: Option<String>,
    #[schema(schema_with = open::<ClusterStatusWord>)]
    status: &'static str,
}

/// What is known about a cluster just now.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum ClusterStatusWord {
    Unknown,
    Available,
    Unavailable,
}

impl ClusterResponse {
    fn new((cluster, status): &(Cluster, ClusterStatus)) -> Self {
        Self {
            name: cluster.name.as_str().to_owned(),
            title: cluster.title.clone(),
            status: status.as_str(),
            version: match status {
                ClusterStatus::Available(version) => version.clone(),
                ClusterStatus::Unknown | ClusterStatus::Unavailable => None,
            },
        }
    }
}

/// List clusters
///
/// The default one first.
#[utoipa::path(
    tag = "clusters",
    params(ListParams),
    responses((status = 200, description = "A page of them.", body = ListResponse<ClusterResponse>)),
)]
#[get("/v1/kubernetes/clusters")]
pub(crate) async fn list_clusters(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
    query: Query,
) -> Result<web::Json<ListResponse<ClusterResponse>>, ApiError> {
    let clusters = &*api.ports.clusters;
    let page = remotegpu_control_plane::list_clusters(clusters, &caller, query.page()?);
    Ok(web::Json(ListResponse::new(&page, ClusterResponse::new)))
}
