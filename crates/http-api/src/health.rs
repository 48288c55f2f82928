//! What machines ask about this instance (contract R4).

use actix_web::{HttpResponse, get, http::header, web};
use remotegpu_namespaces::{ClaimState, Cluster};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Api,
    error::{ApiError, ErrorCode},
    gathered::Gathered,
};

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthResponse {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// That requests can be served, and in which clusters nothing is done all the same.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadyResponse {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// A sentence for each cluster in which this server does less than everything,
    /// because of its claim. For people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

const OK: HealthResponse = HealthResponse { status: "ok" };

/// Whether the process answers
#[utoipa::path(tag = "health", responses((status = 200, description = "It does.", body = HealthResponse)))]
#[get("/livez")]
pub(crate) async fn livez() -> web::Json<HealthResponse> {
    web::Json(OK)
}

/// Whether this instance can serve requests
///
/// It cannot without its database, and does not want to while it is going down.
/// A cluster that is down does not count, nor does one in which another database acts:
/// the answer's `warnings` say so.
#[utoipa::path(tag = "health", responses(
    (status = 200, description = "It can.", body = ReadyResponse),
    (status = 503, description = "`database_unavailable`, or `overloaded` while it is going down."),
))]
#[get("/readyz")]
pub(crate) async fn readyz(api: web::Data<Api>) -> Result<web::Json<ReadyResponse>, ApiError> {
    if api.is_draining() {
        let detail = "The server is going down";
        return Err(ApiError::new(ErrorCode::Overloaded, detail));
    }
    let check = api.last_readiness.or_ask(&*api.ports.readiness).await;
    // Migrations that are missing are no answer of a database that is ready.
    check.map_err(|error| ApiError::from(ErrorCode::DatabaseUnavailable).because(error))?;
    Ok(web::Json(ReadyResponse {
        status: "ok",
        warnings: claims_that_are_not_held(&api),
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

#[get("/metrics")]
pub(crate) async fn metrics(api: web::Data<Api>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ))
        .body(api.metrics.render(&Gathered::now(&api).await))
}
