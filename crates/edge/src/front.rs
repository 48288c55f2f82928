//! What answers on a listener: one front or several, side by side.

use std::{fmt, sync::Arc};

use actix_web::{
    FromRequest, Handler, Responder,
    dev::HttpServiceFactory,
    guard,
    http::Method,
    web::{self, ServiceConfig},
};

use crate::{
    policy::RoutePolicy,
    route_table::{BadRoutes, Listed, RouteTable},
};

/// Part of what a listener serves: a function that lists its routes. Each thread of
/// the listener has its own handlers, so that it is asked several times.
#[derive(Clone)]
pub struct Front(Arc<dyn Fn(&mut Routes<'_>) + Send + Sync>);

impl Front {
    /// Takes the list.
    pub fn new(list: impl Fn(&mut Routes<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(list))
    }

    pub(crate) fn configure(&self, services: &mut ServiceConfig) -> Listed {
        let mut routes = Routes {
            services,
            listed: Listed::default(),
        };
        (self.0)(&mut routes);
        routes.listed
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Front")
    }
}

/// A list of routes in the making: each says here, and nowhere else, where it is and
/// what holds for it. Two that one path fits are refused when the server is made.
pub struct Routes<'a> {
    services: &'a mut ServiceConfig,
    listed: Listed,
}

impl Routes<'_> {
    /// What the handlers of this front work on.
    pub fn state<T: ?Sized + 'static>(&mut self, state: web::Data<T>) -> &mut Self {
        self.services.app_data(state);
        self
    }

    /// Lists a route that reads; it is asked for HEAD as well.
    pub fn get<H, A>(&mut self, path: &str, policy: RoutePolicy, handler: H) -> &mut Self
    where
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        let route = web::resource(path).guard(guard::Get()).to(handler);
        self.service(&[Method::GET], path, policy, route)
    }

    /// Lists a route that changes something.
    pub fn post<H, A>(&mut self, path: &str, policy: RoutePolicy, handler: H) -> &mut Self
    where
        H: Handler<A>,
        A: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        let route = web::resource(path).guard(guard::Post()).to(handler);
        self.service(&[Method::POST], path, policy, route)
    }

    /// Lists a handler that knows its own path and methods, which are told here for
    /// the table.
    pub fn service(
        &mut self,
        methods: &[Method],
        path: &str,
        policy: RoutePolicy,
        service: impl HttpServiceFactory + 'static,
    ) -> &mut Self {
        self.services.service(service);
        for method in methods {
            self.listed.route(method, path, policy);
        }
        self
    }

    /// What holds for paths that begin so and are no route: in which shape, above
    /// all, that is said.
    pub fn elsewhere(&mut self, prefix: &str, policy: RoutePolicy) -> &mut Self {
        self.listed.elsewhere(prefix, policy);
        self
    }
}

impl fmt::Debug for Routes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("listed", &self.listed)
            .finish_non_exhaustive()
    }
}

/// All that several fronts list.
pub(crate) fn table_of(fronts: &[Front]) -> Result<RouteTable, BadRoutes> {
    let mut listed = Vec::new();
    // The handlers are thrown away; only their places are wanted.
    let _ = actix_web::App::new().configure(|services| {
        listed.extend(fronts.iter().map(|front| front.configure(services)));
    });
    RouteTable::new(listed)
}
