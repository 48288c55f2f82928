//! What machines ask about this instance (contract R4).

use actix_web::{HttpResponse, get, http::header, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Api,
    api::restored,
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

const OK: HealthResponse = HealthResponse { status: "ok" };

/// Whether the process answers
#[utoipa::path(tag = "health", responses((status = 200, description = "It does.", body = HealthResponse)))]
#[get("/livez")]
pub(crate) async fn livez() -> web::Json<HealthResponse> {
    web::Json(OK)
}

/// Whether this instance can serve requests
///
/// It cannot without its database, nor after its database was restored while it ran,
/// and does not want to while it is going down.
/// A cluster that is down does not count.
#[utoipa::path(tag = "health", responses(
    (status = 200, description = "It can.", body = HealthResponse),
    (status = 503, description = "`database_unavailable`, or `overloaded` while it is going down."),
))]
#[get("/readyz")]
pub(crate) async fn readyz(api: web::Data<Api>) -> Result<web::Json<HealthResponse>, ApiError> {
    if api.is_draining() {
        let detail = "The server is going down";
        return Err(ApiError::new(ErrorCode::Overloaded, detail));
    }
    if api.ports.restore_notice.is_given() {
        return Err(restored());
    }
    let check = api.last_readiness.or_ask(&*api.ports.readiness).await;
    // Migrations that are missing are no answer of a database that is ready.
    check.map_err(|error| ApiError::from(ErrorCode::DatabaseUnavailable).because(error))?;
    Ok(web::Json(OK))
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
