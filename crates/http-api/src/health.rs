//! What machines ask about this instance (contract R4).

use actix_web::{HttpResponse, get, http::header, web};
use remotegpu_edge::ApiError;
use remotegpu_namespaces::{ClaimState, Cluster};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Api, gathered::Gathered};

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthResponse {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// That requests are served.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadinessResponse {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// What whoever runs the installation should know all the same, in sentences;
    /// left out where there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

const OK: HealthResponse = HealthResponse { status: "ok" };

/// Whether the process answers
///
/// It looks at nothing else: who is not ready is alive all the same.
#[utoipa::path(tag = "health", responses((status = 200, description = "It does.", body = HealthResponse)))]
#[get("/livez")]
pub(crate) async fn livez() -> web::Json<HealthResponse> {
    web::Json(OK)
}

/// Whether this instance can serve requests
///
/// It cannot without its database, or where the database is an older or much newer
/// version's, nor after its database was restored while it ran, and does not want to
/// while it is starting or going down. A cluster that is down does not
/// count, nor does one in which another database acts: the answer's `warnings` say so.
#[utoipa::path(tag = "health", responses(
    (status = 200, description = "It can.", body = ReadinessResponse),
    (status = 503, description = "`database_unavailable`, or `overloaded` while it is going down."),
))]
#[get("/readyz")]
pub(crate) async fn readyz(api: web::Data<Api>) -> Result<web::Json<ReadinessResponse>, ApiError> {
    let ready = api.edge.ready().await?;
    let mut warnings = ready.warnings;
    warnings.extend(claims_that_are_not_held(&api));
    Ok(web::Json(ReadinessResponse {
        status: "ok",
        warnings,
    }))
}

/// Contract R9. A cluster that is merely away is told of in the list of clusters.
fn claims_that_are_not_held(api: &Api) -> Vec<String> {
    let clusters = api.ports.clusters.list().into_iter();
    let warning = |cluster: Cluster| match api.ports.clusters.claim(&cluster.name) {
        ClaimState::Held | ClaimState::Unknown => None,
        state => Some(format!("{}: {}", cluster.name, state.sentence())),
    };
    clusters.filter_map(warning).collect()
}

/// All that is counted, for Prometheus.
pub(crate) async fn metrics(api: web::Data<Api>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ))
        .body(Gathered::now(&api).await.render(api.edge.metrics()))
}
