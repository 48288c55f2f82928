//! The two listeners (contract R4).

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use actix_web::{
    App, HttpServer,
    body::BoxBody,
    dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web,
};
use utoipa_actix_web::AppExt;

use crate::{
    Api,
    error::{ApiError, ErrorCode},
    middleware::{Listener, edge},
    openapi,
    route_table::RouteTable,
    routes,
};

/// A client that takes longer to send a request's head is cut off.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes longer to close is not waited for.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_mins(1);
/// Requests that are being answered have this long when the server stops; the
/// longest, making a namespace, takes ten seconds.
const SHUTDOWN_SECONDS: u64 = 30;

/// A macro, because the type of a server's application cannot be written down
/// without naming crates that actix-web keeps to itself.
macro_rules! run {
    ($app:expr, $listener:expr, $tls:expr, $workers:expr) => {{
        let server = HttpServer::new($app)
            .workers($workers)
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(REQUEST_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .disable_signals();
        let server = match $tls {
            Some(tls) => server.listen_rustls_0_23($listener, tls)?,
            None => server.listen($listener)?,
        };
        Ok(server.run())
    }};
}
/// Serves the API to its users. The server is at work once it is polled, and
/// stops by its handle: no signal is listened to.
pub fn public_server(
    api: Arc<Api>,
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
) -> io::Result<Server> {
    let api = web::Data::from(api);
    let listening = web::Data::new(Listener {
        routes: public_routes(api.config.sign_up_open),
        checks_host: true,
    });
    let app = move || public_app(api.clone(), listening.clone());
    run!(app, listener, tls, all_cores())
}

/// Serves metrics and probes to the machines around. It answers to every host.
pub fn internal_server(
    api: Arc<Api>,
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
) -> io::Result<Server> {
    let api = web::Data::from(api);
    let routes = routes::INTERNAL.into_iter();
    let listening = web::Data::new(Listener {
        routes: routes.fold(RouteTable::new(), RouteTable::with_get),
        checks_host: false,
    });
    let app = move || {
        App::new()
            .app_data(api.clone())
            .app_data(listening.clone())
            .configure(routes::internal)
            .default_service(web::to(nothing_here))
            .wrap(from_fn(edge))
    };
    run!(app, listener, tls, 1)
}

fn public_routes(sign_up_open: bool) -> RouteTable {
    let closed = |path: &str| path == routes::SIGN_UP && !sign_up_open;
    let table = RouteTable::new().with_documented(openapi::document(), closed);
    let documentation = routes::DOCUMENTATION.into_iter();
    documentation.fold(table, RouteTable::with_get)
}

pub(crate) fn public_app(
    api: web::Data<Api>,
    listening: web::Data<Listener>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .into_utoipa_app()
        .configure(routes::public)
        .into_app()
        .app_data(api)
        .app_data(listening)
        .configure(routes::documentation)
        .default_service(web::to(nothing_here))
        .wrap(from_fn(edge))
}

async fn nothing_here() -> Result<String, ApiError> {
    Err(ErrorCode::NotFound.into())
}

fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}
