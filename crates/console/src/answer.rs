//! What every page's answer has in common.

use actix_web::{
    Error, HttpRequest, HttpResponse, HttpResponseBuilder,
    error::InternalError,
    http::header::{self, HeaderName},
};
use maud::Markup;
use remotegpu_control_plane::NotAllowed;
use remotegpu_edge::{ApiError, ErrorCode, Refused};
use remotegpu_primitives::StoreError;

use crate::{console::Console, done::Done, once, refusal::Refusal};

/// Contract H4: nothing but what comes from here, and nothing that stands in the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Where a handler ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// With an error, which the edge has the front show.
    Error(Box<ApiError>),
    /// With an answer of its own.
    Answer(HttpResponse),
}

impl From<HttpResponse> for Stop {
    fn from(answer: HttpResponse) -> Self {
        Self::Answer(answer)
    }
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Error(Box::new(error))
    }
}

impl From<ErrorCode> for Stop {
    fn from(code: ErrorCode) -> Self {
        ApiError::from(code).into()
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<NotAllowed> for Stop {
    fn from(error: NotAllowed) -> Self {
        ApiError::from(error).into()
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Error(error) => (*error).into(),
            Stop::Answer(answer) => InternalError::from_response("answered", answer).into(),
        }
    }
}

/// What a handler of a page answers.
pub(crate) type Answer = Result<HttpResponse, Stop>;

/// A page.
pub(crate) fn page(console: &Console, request: &HttpRequest, markup: Markup) -> HttpResponse {
    let mut answer = html(console, HttpResponse::Ok(), markup.into_string());
    if !is_fragment(request) {
        Done::forget(console, request, &mut answer);
    }
    answer
}

/// A page that says why something was not done, with what was typed still in it.
pub(crate) fn refused(console: &Console, refusal: &Refusal, markup: Markup) -> HttpResponse {
    let builder = HttpResponseBuilder::new(refusal.status);
    let mut answer = html(console, builder, markup.into_string());
    once::retry_after(&mut answer, refusal);
    answer.extensions_mut().insert(Refused(refusal.code));
    answer
}

/// HTML with the headers of every page (contract H4).
pub(crate) fn html(
    console: &Console,
    mut builder: HttpResponseBuilder,
    html: String,
) -> HttpResponse {
    if console.edge.public_url().is_https() {
        let always = "max-age=31536000";
        builder.insert_header((header::STRICT_TRANSPORT_SECURITY, always));
    }
    bare(builder, html)
}

/// The same where the console is not at hand.
pub(crate) fn bare(mut builder: HttpResponseBuilder, html: String) -> HttpResponse {
    builder
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::VARY, "hx-request, cookie"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header((
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ))
        .body(html)
}

/// What was done is shown there.
pub(crate) fn see_other(address: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, address))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// Whether a script asks for a part of a page.
pub(crate) fn is_fragment(request: &HttpRequest) -> bool {
    request.headers().contains_key("hx-request")
}
