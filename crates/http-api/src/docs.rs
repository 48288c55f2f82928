//! The document and a page to read it with. Everything comes from this server;
//! the page's policy lets nothing else in.

use std::sync::{Arc, LazyLock};

use actix_web::{HttpResponse, http::header, web};
use remotegpu_edge::{ApiError, ErrorCode};
use utoipa_swagger_ui::Config;

use crate::openapi::openapi_json;

/// Swagger UI sets styles from its script and draws with pictures that stand in
/// its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi_json);
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // Without this, the page sends the document to a validator on the internet.
    Arc::new(Config::from("/openapi.json").validator_url("none"))
});

/// The document.
pub(crate) async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .body(DOCUMENT.as_str())
}

/// The page names its files relative to itself.
pub(crate) async fn to_page() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((header::LOCATION, "/docs/"))
        .finish()
}

/// Swagger UI's page.
pub(crate) async fn page() -> Result<HttpResponse, ApiError> {
    serve("index.html")
}

/// One of the page's files.
pub(crate) async fn asset(file: web::Path<String>) -> Result<HttpResponse, ApiError> {
    serve(&file)
}

fn serve(name: &str) -> Result<HttpResponse, ApiError> {
    let found = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG));
    let file = found
        .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?
        .ok_or(ErrorCode::NotFound)?;
    let mut answer = HttpResponse::Ok();
    if file.gzpipped {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    Ok(answer
        .insert_header((header::CONTENT_TYPE, file.content_type))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(file.bytes.into_owned()))
}
