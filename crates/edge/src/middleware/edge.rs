//! The way in and out of every request.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};

use super::{
    csrf,
    head_only::HeadOnly,
    host,
    request_id::{REQUEST_ID, request_id},
};
use crate::{
    credential::prove,
    edge::Edge,
    error::{ApiError, ErrorCode, Refused},
    extract::{Client, UnreadBody, client_ip},
    policy::{Deadline, RoutePolicy, WorkClass},
    route_table::{Found, RouteTable},
    server::Exchange,
};

/// How long who is refused for having come too soon or too often waits for hearing it.
/// One who asks again at once would else have the server, and so everybody else,
/// spend its time on refusals. It holds no place meanwhile.
const REFUSED_AFTER: Duration = Duration::from_millis(20);

const TIME: HeaderName = HeaderName::from_static("x-remotegpu-time");

/// What a listener answers, and whether it minds for whom a request is meant.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) routes: RouteTable,
    pub(crate) checks_host: bool,
}

/// Names the request, asks what holds for every route, lets the route answer,
/// and writes one line about it.
pub(crate) async fn edge(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let (Some(edge), Some(listener)) = (
        request.app_data::<web::Data<Edge>>().cloned(),
        request.app_data::<web::Data<Listener>>().cloned(),
    ) else {
        return Err(ApiError::from(ErrorCode::Internal).into());
    };
    // As it was when the request came: it may open before the answer is shaped.
    let was_closed = edge.is_closed();
    let id = request_id(request.headers());
    let trusted = &edge.config.trusted_proxies;
    let client = client_ip(request.peer_addr(), request.headers(), trusted);
    request.extensions_mut().insert(Client {
        ip: client,
        request_id: Arc::clone(&id),
        came: started,
        user_agent: user_agent(request.headers()),
    });
    let method = request.method().clone();
    let path = request.match_info().as_str().to_owned();
    let Found {
        pattern,
        policy,
        exists,
    } = listener.routes.find(&method, &path);
    let exchange = Exchange::begin(&request, policy.deadline);
    let unread = UnreadBody::keep(&mut request, policy.body_limit);

    let admitted = admit(&edge, &listener, &request, &unread, policy, exists);
    let response = if let Err(error) = within(policy, started, admitted).await {
        request.error_response(error)
    } else {
        if method == Method::HEAD {
            // Below here it is a GET.
            request.head_mut().method = Method::GET;
        }
        next.call(request).await?.map_into_boxed_body()
    };
    let has_body = method != Method::HEAD;
    let streams = matches!(policy.deadline, Deadline::Idle(_)) && response.status().is_success();
    let place = (streams && has_body)
        .then(|| unread.hand_over_place())
        .flatten();
    let body_ended = unread.drain().await;
    if came_too_soon(&response) && !edge.is_draining() {
        tokio::time::sleep(REFUSED_AFTER).await;
    }
    let mut response = shaped(&edge, response, policy, &id, was_closed);
    if !has_body {
        response = response.map_body(|_, body| BoxBody::new(HeadOnly(body.size())));
    }
    add_headers(response.headers_mut(), policy, &id);
    tell_time(response.headers_mut(), &edge);
    let seen = Seen {
        method: method_name(&method),
        route: pattern,
        id: &id,
        client,
    };
    seen.note(&edge, &response, started);
    let last = edge.is_draining() || !body_ended;
    Ok(exchange.accompany(response, last, place))
}

/// The order of contract C5, up to where the route itself is asked.
async fn admit(
    edge: &Edge,
    listener: &Listener,
    request: &ServiceRequest,
    unread: &UnreadBody,
    policy: &RoutePolicy,
    exists: Result<(), ApiError>,
) -> Result<(), ApiError> {
    let (method, headers) = (request.method(), request.headers());
    if declared_length(headers).is_some_and(|length| length > policy.body_limit as u64) {
        return Err(ApiError::body_too_large(policy.body_limit));
    }
    let probe = policy.class == WorkClass::Probe;
    if listener.checks_host && !probe {
        host::check(edge, request.uri(), headers)?;
    }
    exists?;
    edge.check_store(policy.class)?;
    edge.check_room(policy.class)?;
    if let Some(places) = edge.places(policy.class) {
        unread.take_place(places)?;
    }
    let public_url = &edge.config.public_url;
    let asked = host::asked(public_url, request.uri(), headers);
    csrf::check(public_url, asked.as_ref(), method, policy.csrf, headers)?;
    prove(edge, policy.credentials, request).await
}

/// All but the handler's own part, which has its bound from the act. The store is all that is
/// asked there.
async fn within(
    policy: &RoutePolicy,
    started: Instant,
    admitted: impl Future<Output = Result<(), ApiError>>,
) -> Result<(), ApiError> {
    let Some(bound) = policy.class.admitted_within() else {
        return admitted.await;
    };
    let admitted = tokio::time::timeout_at((started + bound).into(), admitted);
    admitted
        .await
        .unwrap_or(Err(ErrorCode::DatabaseUnavailable.into()))
}

/// What is kept of it is what people are shown later, so no more than a line.
fn user_agent(headers: &HeaderMap) -> Option<Arc<str>> {
    const MOST: usize = 200;
    let value = headers.get(header::USER_AGENT)?;
    let text = std::str::from_utf8(value.as_bytes()).ok()?.trim();
    let kept: String = text.chars().take(MOST).collect();
    (!kept.is_empty()).then(|| kept.into())
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Every error leaves in the shape that its route has (contract C2), those that a
/// library answered as well.
fn shaped(
    edge: &Edge,
    response: ServiceResponse<BoxBody>,
    policy: &RoutePolicy,
    id: &str,
    was_closed: bool,
) -> ServiceResponse<BoxBody> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let said = response.response().extensions().get::<Refused>().copied();
    if let Some(Refused(code)) = said {
        if let Some(code) = code {
            edge.metrics().refused(code);
        }
        return response;
    }
    let known = refusal(&response);
    let code = known.map_or_else(|| ErrorCode::of_status(status), ApiError::code);
    edge.metrics().refused(code);
    // Refusing is what a server does that is well; it is counted, and a flood
    // of requests must not become a flood of errors. What was restored was told once, and
    // a server that starts is waited for.
    if let Some(error) = known
        && code.status().is_server_error()
        && code != ErrorCode::Overloaded
        && !edge.is_restored()
        && !was_closed
        && !edge.is_closed()
    {
        tracing::error!(request_id = id, error = error.chain(), "a request failed");
    }
    let request = response.request();
    let document = match known {
        Some(error) => (policy.errors)(error, id, request),
        None => (policy.errors)(&code.into(), id, request),
    };
    response.into_response(document)
}

/// Whether it is refused for the sake of others.
fn came_too_soon(response: &ServiceResponse<BoxBody>) -> bool {
    let said = response.response().extensions().get::<Refused>().copied();
    matches!(
        said.and_then(|Refused(code)| code)
            .or_else(|| refusal(response).map(ApiError::code)),
        Some(ErrorCode::Overloaded | ErrorCode::RateLimited | ErrorCode::TooManyAttempts)
    )
}

/// The error that an answer stands for, if it is one of ours.
fn refusal(response: &ServiceResponse<BoxBody>) -> Option<&ApiError> {
    response.response().error()?.as_error::<ApiError>()
}

fn add_headers(headers: &mut HeaderMap, policy: &RoutePolicy, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    // What a page needs it says itself.
    let nothing = "default-src 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, nothing),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if policy.no_store && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// By which a client sees how far its own clock is off (contract X4).
fn tell_time(headers: &mut HeaderMap, edge: &Edge) {
    let seconds = edge.ports.clock.now().unix_timestamp();
    headers.insert(TIME, HeaderValue::from(seconds));
}

/// What the log and the metrics tell of a request: no path, no query, no header
/// that could hold a secret.
struct Seen<'a> {
    method: &'static str,
    route: &'a str,
    id: &'a str,
    client: IpAddr,
}

impl Seen<'_> {
    fn note(&self, edge: &Edge, response: &ServiceResponse, started: Instant) {
        let (status, took) = (response.status().as_u16(), started.elapsed());
        tracing::info!(
            method = self.method,
            route = self.route,
            status,
            duration_ms = took.as_secs_f64() * 1000.0,
            request_id = self.id,
            client = %self.client,
            "answered"
        );
        edge.metrics().record(self.method, self.route, status, took);
    }
}

/// A client may invent methods; the metrics would keep each of them for ever.
fn method_name(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|name| *name == method.as_str())
        .unwrap_or("OTHER")
}
