//! Listeners (contract R4).

mod bounded_stream;
mod bounds;
mod connection;
mod goaway;
mod stopping;

use std::{fmt::Debug, io, net::TcpListener, sync::Arc, time::Duration};

use actix_http::{HttpService, KeepAlive, Request};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::{
    App,
    body::BoxBody,
    dev::{
        AppConfig, Server, Service, ServiceFactory, ServiceRequest, ServiceResponse, fn_service,
    },
    middleware::from_fn,
    web,
};
use socket2::SockRef;

use crate::{
    edge::Edge,
    error::{ApiError, ErrorCode},
    front::{Front, table_of},
    middleware::{self, Listener},
};

pub(crate) use connection::Exchange;
pub use stopping::ServerStopper;

use bounded_stream::BoundedStream;
use bounds::{Bounds, ClientIo};
use connection::{HEAD, UNREAD_BODY};

/// How many connections may wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 4096;
/// Requests that are being answered have this long when the server stops; the
/// longest, making a namespace, takes ten seconds.
const SHUTDOWN_SECONDS: u64 = 30;

/// What a listener has for its clients.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// How many threads answer requests.
    pub workers: usize,
    /// How many connections are held at the same time; more wait in the system's
    /// queue until one ends.
    pub max_connections: usize,
    /// How long a connection may stay idle between two requests.
    pub keep_alive: Duration,
}

/// Few connections, from machines around.
const INTERNAL_LIMITS: ServerLimits = ServerLimits {
    workers: 1,
    max_connections: 100,
    keep_alive: Duration::from_secs(75),
};

/// Few connections, from the API servers of clusters, which send much over each.
const WEBHOOK_LIMITS: ServerLimits = ServerLimits {
    workers: 2,
    max_connections: 200,
    keep_alive: Duration::from_mins(5),
};

/// Serves fronts to everybody. The server is at work once it is polled, and stops by
/// its stopper: no signal is listened to.
pub fn public_server(
    edge: Arc<Edge>,
    fronts: Vec<Front>,
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
    limits: ServerLimits,
) -> io::Result<(Server, ServerStopper)> {
    let bounds = Bounds::new(Arc::clone(&edge), tls, limits);
    serve(edge, fronts, true, listener, bounds)
}

/// Serves fronts to the machines around. It answers to every host.
pub fn internal_server(
    edge: Arc<Edge>,
    fronts: Vec<Front>,
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
) -> io::Result<(Server, ServerStopper)> {
    let bounds = Bounds::new(Arc::clone(&edge), tls, INTERNAL_LIMITS);
    serve(edge, fronts, false, listener, bounds)
}

/// Serves fronts to the clusters, by threads of its own: whatever the public does waits for
/// others. It answers to every host, because each cluster may have its own way to it.
pub fn webhook_server(
    edge: Arc<Edge>,
    fronts: Vec<Front>,
    listener: TcpListener,
    tls: rustls::ServerConfig,
) -> io::Result<(Server, ServerStopper)> {
    let bounds = Bounds::new(Arc::clone(&edge), Some(tls), WEBHOOK_LIMITS);
    serve(edge, fronts, false, listener, bounds)
}

fn serve(
    edge: Arc<Edge>,
    fronts: Vec<Front>,
    checks_host: bool,
    listener: TcpListener,
    bounds: Bounds,
) -> io::Result<(Server, ServerStopper)> {
    let edge = web::Data::from(edge);
    let routes = table_of(&fronts)
        .map_err(|bad_routes| io::Error::new(io::ErrorKind::InvalidInput, bad_routes))?;
    let listening = web::Data::new(Listener {
        routes,
        checks_host,
    });
    let app = move || app(edge.clone(), listening.clone(), &fronts);
    run(app, listener, bounds)
}

/// What each thread of a listener makes for itself.
fn app(
    edge: web::Data<Edge>,
    listening: web::Data<Listener>,
    fronts: &[Front],
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    App::new()
        .app_data(edge)
        .app_data(listening)
        .configure(|services| {
            for front in fronts {
                front.configure(services);
            }
        })
        .default_service(web::to(nothing_here))
        .wrap(from_fn(middleware::edge))
}

/// Puts actix's server together by hand, because its own `HttpServer` leaves no
/// room for a stream with deadlines.
fn run<F, I, A>(
    app: F,
    listener: TcpListener,
    bounds: Bounds,
) -> io::Result<(Server, ServerStopper)>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<A, Request>,
    A: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
        > + 'static,
    A::InitError: Debug,
    A::Service: 'static,
    <A::Service as Service<Request>>::Future: 'static,
{
    // Where the queue is full, the system forgets connections that their clients
    // take for made.
    SockRef::from(&listener).listen(BACKLOG)?;
    let kept = listener.try_clone()?;
    let stopping = Arc::clone(&bounds.stopping);
    let (workers, connections) = (bounds.workers, bounds.connections_per_worker());
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections(connections)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .listen("edge", listener, move || {
            let app = app().into_factory().map_err(|error| error.error_response());
            let http = HttpService::build()
                // The stream knows better when a connection is idle.
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(HEAD)
                .client_disconnect_timeout(UNREAD_BODY)
                .on_connect_ext(|stream: &BoundedStream<ClientIo>, data| {
                    data.insert(stream.connection());
                })
                .finish(map_config(app, |()| AppConfig::default()));
            let bounds = bounds.for_thread();
            fn_service(move |client| bounds.clone().open(client)).and_then(http)
        })?
        .run();
    let stopper = ServerStopper {
        handle: server.handle(),
        listener: kept,
        stopping,
    };
    Ok((server, stopper))
}

async fn nothing_here() -> Result<String, ApiError> {
    Err(ErrorCode::NotFound.into())
}
