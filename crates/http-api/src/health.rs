//! What machines ask about this instance (contract R4).

use actix_web::{HttpResponse, get, http::header, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Api,
    error::{ApiError, ErrorCode},
    gathered::Gathered,
    middleware::starting,
};

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
#[utoipa::path(tag = "health", responses((status = 200, description = "It does.", body = HealthResponse)))]
#[get("/livez")]
pub(crate) async fn livez() -> web::Json<HealthResponse> {
    web::Json(OK)
}

/// Whether this instance can serve requests
///
/// It cannot without its database, or where the database is an older or much newer
/// version's, and does not want to while it is starting or going down. A cluster that
/// is down does not count.
#[utoipa::path(tag = "health", responses(
    (status = 200, description = "It can.", body = ReadinessResponse),
    (status = 503, description = "`database_unavailable`, or `overloaded` while it is going down."),
))]
#[get("/readyz")]
pub(crate) async fn readyz(api: web::Data<Api>) -> Result<web::Json<ReadinessResponse>, ApiError> {
    if api.is_draining() {
        let detail = "The server is going down";
        return Err(ApiError::new(ErrorCode::Overloaded, detail));
    }
    let ready = api.last_readiness.or_ask(&*api.ports.readiness).await;
    let ready = ready.map_err(|unready| {
        // The schema is another version's: whoever asks learns what to do (contract R6).
        let error = match &unready.sentence {
            Some(sentence) => ApiError::new(ErrorCode::DatabaseUnavailable, sentence.clone()),
            None => ErrorCode::DatabaseUnavailable.into(),
        };
        error.because(unready)
    })?;
    if api.is_closed() {
        return Err(starting());
    }
    Ok(web::Json(ReadinessResponse {
        status: "ok",
        warnings: ready.warnings,
    }))
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
