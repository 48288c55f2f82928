//! What an error looks like.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{Method, StatusCode, header},
    web,
};
use maud::html;
use remotegpu_edge::{ApiError, ErrorCode, ErrorShape, session_cookies};
use url::form_urlencoded;

use crate::{
    answer,
    console::Console,
    layout::{Theme, document, notice, support},
};

/// How errors are answered to whoever is no browser, on paths that are nobody's.
pub(crate) struct Others(pub(crate) ErrorShape);

/// A page for an error, or the way to what is missing (contract H3).
pub(crate) fn page(error: &ApiError, id: &str, request: &HttpRequest) -> HttpResponse {
    let code = error.code();
    let signed_out = matches!(
        code,
        ErrorCode::MissingAccessToken | ErrorCode::InvalidAccessToken
    );
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let way = match code {
        _ if signed_out => Some(sign_in_address(request)),
        ErrorCode::PasswordChangeRequired => Some("/first-password".to_owned()),
        _ => None,
    };
    match way {
        Some(way) if answer::is_fragment(request) => {
            let mut answer = shown(error, id, request);
            if let Ok(way) = header::HeaderValue::from_str(&way) {
                let name = header::HeaderName::from_static("hx-redirect");
                answer.headers_mut().insert(name, way);
            }
            answer
        }
        Some(way) if reads => answer::see_other(&way),
        _ => shown(error, id, request),
    }
}

/// The same for browsers alone.
pub(crate) fn page_or_other(error: &ApiError, id: &str, request: &HttpRequest) -> HttpResponse {
    let accept = request.headers().get_all(header::ACCEPT);
    let is_browser = accept
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/html"));
    match request.app_data::<web::Data<Others>>() {
        Some(others) if !is_browser => (others.0)(error, id, request),
        _ => shown(error, id, request),
    }
}

fn sign_in_address(request: &HttpRequest) -> String {
    let wanted = request.uri().path_and_query();
    let wanted = wanted.map_or("/", |wanted| wanted.as_str());
    if wanted == "/" {
        return "/sign-in".to_owned();
    }
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("next", wanted)
        .finish();
    format!("/sign-in?{query}")
}

fn shown(error: &ApiError, id: &str, request: &HttpRequest) -> HttpResponse {
    let status = error.code().status();
    let title = match status {
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::FORBIDDEN => "This is not allowed",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "Not available just now",
        status if status.is_server_error() => "Something went wrong on the server",
        _ => "This did not work",
    };
    let console = request.app_data::<web::Data<Console>>();
    let mut cookies = ["remotegpu_session", "__Host-remotegpu_session"].into_iter();
    let may_be_signed_in =
        cookies.any(|name| session_cookies(request.headers(), name).next().is_some());
    let body = html! {
        @if may_be_signed_in {
            nav.rail aria-label="Console" {
                details.menu open {
                    summary { span.product { "RemoteGPU" } }
                    ul { li { a href="/kubernetes" { "Kubernetes" } } }
                    h2 { "Settings" }
                    ul {
                        li { a href="/settings/api-keys" { "API Keys" } }
                        li { a href="/settings/account" { "Account" } }
                    }
                }
            }
        }
        main.error-page id="main" tabindex="-1" {
            @if let Some(console) = console { (notice(console)) }
            h1 { (title) }
            @if error.code() == ErrorCode::NotFound {
                p { "It may have been deleted, or belong to another account." }
            } @else {
                p { (error.detail()) "." }
            }
            @if let Some(seconds) = error.retry_after() {
                p { "Try again in " (seconds) " s." }
            }
            p { a.button href="/" { "To the first page" } }
            p.request { "Request " code { (id) } }
            @if let Some(console) = console { (support(console)) }
        }
    };
    let markup = document(title, Theme::of(request), None, &body);
    let mut builder = HttpResponseBuilder::new(status);
    if let Some(seconds) = error.retry_after() {
        builder.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    if let Some(allow) = error.allow() {
        builder.insert_header((header::ALLOW, allow));
    }
    answer::bare(builder, markup.into_string())
}
