use actix_web::{get, web};
use remotegpu_namespaces::{Cluster, ClusterStatus};
use remotegpu_primitives::{Cursor, Page, PageRequest};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Api,
    error::ApiError,
    extract::{Query, Read, SessionCaller},
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
    #[schema(value_type = ClusterStatusWord)]
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
    fn new(cluster: &Cluster, status: ClusterStatus) -> Self {
        Self {
            name: cluster.name.as_str().to_owned(),
            title: cluster.title.clone(),
            status: status.as_str(),
            version: match status {
                ClusterStatus::Available(version) => version,
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
    _caller: SessionCaller<Read>,
    query: Query,
) -> Result<web::Json<ListResponse<ClusterResponse>>, ApiError> {
    let clusters = &api.ports.clusters;
    let page = page_of(clusters.list(), query.page()?);
    let item = |cluster: &Cluster| ClusterResponse::new(cluster, clusters.status(&cluster.name));
    Ok(web::Json(ListResponse::new(&page, item)))
}

/// Clusters have no identifiers, and their order is the configuration's: the
/// cursor is the place in it.
fn page_of(all: Vec<Cluster>, page: PageRequest) -> Page<Cluster> {
    let first = page.after().map_or(0, |cursor| cursor.0.as_u128());
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let end = first.saturating_add(page.limit().into());
    let next = (end < all.len()).then(|| Cursor(Uuid::from_u128(end as u128)));
    let items = all.into_iter().skip(first).take(page.limit().into());
    Page {
        items: items.collect(),
        next,
    }
}

#[cfg(test)]
mod tests {
    use remotegpu_namespaces::ClusterName;

    use super::*;

    #[test]
    fn every_cluster_is_on_one_page() {
        // C4, N0
        let all: Vec<Cluster> = ["a", "b", "c"]
            .map(|name| Cluster {
                name: ClusterName::parse(name).unwrap(),
                title: name.to_owned(),
                server: String::new(),
                certificate_authority_pem: None,
            })
            .into();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = page_of(all.clone(), PageRequest::new(2, after).unwrap());
            seen.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
        let beyond = PageRequest::new(1, Some(Cursor(Uuid::max()))).unwrap();
        assert!(page_of(all, beyond).items.is_empty());
    }
}
