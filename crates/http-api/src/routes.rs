//! The whole API on one screen: each route with what holds for it. A handler says its
//! own method and path; `OpenAPI`, the answers 404 and 405, and all that the edge does
//! before and after a handler are made from this list.

use std::sync::Arc;

use actix_web::{dev::HttpServiceFactory, http::Method, web};
use remotegpu_edge::{Credential, Csrf, Front, RoutePolicy, Routes, WorkClass};
use utoipa::openapi::{HttpMethod, OpenApi};
use utoipa_actix_web::OpenApiFactory;

use crate::{
    Api, docs, health, openapi, problem,
    v1::{
        account::{
            access_tokens, api_keys, audit_events, invitations, kubeconfig_tokens, members, own,
            service_users,
        },
        auth, kubernetes,
    },
};

/// What holds for the whole API. Nobody is asked who they are.
const OPEN: RoutePolicy = RoutePolicy {
    class: WorkClass::Other,
    csrf: Csrf::WithCookie,
    credentials: &[],
    body_limit: RoutePolicy::BODY_LIMIT,
    deadline: RoutePolicy::DEADLINE,
    no_store: true,
    errors: problem::answer,
};

/// For whoever acts for an account: who is signed in, and service users.
const SESSION: RoutePolicy = RoutePolicy {
    credentials: &[Credential::Session],
    ..OPEN
};

/// For people who are signed in (contract T8).
const PERSON: RoutePolicy = RoutePolicy {
    credentials: &[Credential::PersonsSession],
    ..OPEN
};

/// For programs.
const KEY: RoutePolicy = RoutePolicy {
    credentials: &[Credential::ApiKey],
    ..OPEN
};

/// A password is hashed, and who is signed in afterwards is not who was before.
const SIGN_IN: RoutePolicy = RoutePolicy {
    class: WorkClass::Password,
    csrf: Csrf::Always,
    ..OPEN
};

/// Whoever is signed in, or nobody, whose password is hashed.
const ACCEPT: RoutePolicy = RoutePolicy {
    credentials: &[Credential::PersonsSession, Credential::Nothing],
    ..SIGN_IN
};

/// A password is hashed.
const PASSWORD: RoutePolicy = RoutePolicy {
    class: WorkClass::Password,
    ..PERSON
};

/// A cluster is asked for a token.
const MINT: RoutePolicy = RoutePolicy {
    class: WorkClass::Mint,
    ..KEY
};

/// The same, for who is signed in.
const SESSION_MINT: RoutePolicy = RoutePolicy {
    class: WorkClass::Mint,
    ..SESSION
};

/// What holds for paths that are nobody's.
pub const ELSEWHERE: RoutePolicy = AROUND;

/// What is not under `/v1`: about the API, not part of it.
const AROUND: RoutePolicy = RoutePolicy {
    no_store: false,
    ..OPEN
};

/// For the machines around.
const PROBE: RoutePolicy = RoutePolicy {
    class: WorkClass::Probe,
    ..AROUND
};

/// What the public listener serves and `OpenAPI` describes.
pub(crate) fn described(routes: &mut Reading<'_, '_>, sign_up_open: bool) {
    routes
        .route(health::livez, PROBE)
        .route(health::readyz, PROBE)
        // Before all others with a parameter, which are tried in this order: each call
        // of a `kubectl` comes here.
        .route(
            kubernetes::namespaces::exec_credential::create_exec_credential,
            MINT,
        )
        // Who is calling.
        .route(auth::sign_in::sign_in, SIGN_IN)
        .route_if(sign_up_open, auth::sign_up::sign_up, SIGN_IN)
        .route(auth::accept_invitation::accept_invitation, ACCEPT)
        .route(auth::sign_out::sign_out, PERSON)
        .route(auth::session::get_session, SESSION)
        .route(auth::switch_account::switch_account, PERSON)
        .route(auth::password::change_password, PASSWORD)
        .route(auth::key::get_own_api_key, KEY)
        // API keys.
        .route(api_keys::list::list_api_keys, SESSION)
        .route(api_keys::create::create_api_key, SESSION)
        .route(api_keys::find::get_api_key, SESSION)
        .route(api_keys::update::update_api_key, SESSION)
        .route(api_keys::revoke::revoke_api_key, SESSION)
        .route(api_keys::rotate::rotate_api_key, SESSION)
        // The account, and who is in it.
        .route(own::get_account, SESSION)
        .route(members::list::list_members, PERSON)
        .route(members::find::get_member, PERSON)
        .route(members::update::update_member, PERSON)
        .route(members::remove::remove_member_or_leave, PERSON)
        .route(invitations::list::list_invitations, PERSON)
        .route(invitations::find::get_invitation, PERSON)
        .route(invitations::create::invite, PERSON)
        .route(invitations::delete::delete_invitation, PERSON)
        // Machines that manage.
        .route(service_users::list::list_service_users, PERSON)
        .route(service_users::create::create_service_user, PERSON)
        .route(service_users::find::get_service_user, PERSON)
        .route(service_users::update::update_service_user, PERSON)
        .route(service_users::delete::delete_service_user, PERSON)
        .route(
            service_users::tokens::list::list_service_user_tokens,
            PERSON,
        )
        .route(
            service_users::tokens::create::create_service_user_token,
            PERSON,
        )
        .route(service_users::tokens::find::get_service_user_token, PERSON)
        .route(
            service_users::tokens::delete::delete_service_user_token,
            PERSON,
        )
        // Access tokens.
        .route(access_tokens::list::list_access_tokens, PERSON)
        .route(access_tokens::create::create_access_token, PERSON)
        .route(access_tokens::get::get_access_token, PERSON)
        .route(access_tokens::delete::delete_access_token, PERSON)
        // Who did what.
        .route(audit_events::list::list_audit_events, SESSION)
        // Clusters and namespaces.
        .route(kubernetes::clusters::list_clusters, SESSION)
        .route(kubernetes::kubeconfig::get_account_kubeconfig, SESSION)
        .route(kubernetes::namespaces::list::list_namespaces, SESSION)
        .route(kubernetes::namespaces::create::create_namespace, SESSION)
        .route(kubernetes::namespaces::find::get_namespace, SESSION)
        .route(kubernetes::namespaces::rename::rename_namespace, SESSION)
        .route(kubernetes::namespaces::delete::delete_namespace, SESSION)
        .route(kubernetes::namespaces::kubeconfig::get_kubeconfig, SESSION)
        .route(
            kubernetes::namespaces::kubeconfig_token::create_kubeconfig_token,
            SESSION_MINT,
        )
        .route(kubeconfig_tokens::list::list_kubeconfig_tokens, SESSION)
        .route(kubeconfig_tokens::find::get_kubeconfig_token, SESSION)
        .route(kubeconfig_tokens::end::delete_kubeconfig_token, SESSION);
}

/// What the public listener serves.
pub fn public_front(api: &Arc<Api>) -> Front {
    let api = web::Data::from(Arc::clone(api));
    Front::new(move |routes| {
        routes.state(api.clone());
        described(&mut Reading::Serve(routes), api.config.sign_up_open);
        routes
            .get("/openapi.json", AROUND, docs::openapi)
            .get("/docs", AROUND, docs::to_page)
            .get("/docs/", AROUND, docs::page)
            .get("/docs/{file}", AROUND, docs::asset)
            .elsewhere("/v1/", OPEN)
            .elsewhere("", AROUND);
    })
}

/// What the internal listener serves.
pub fn internal_front(api: &Arc<Api>) -> Front {
    let api = web::Data::from(Arc::clone(api));
    Front::new(move |routes| {
        routes.state(api.clone());
        Reading::Serve(routes)
            .route(health::livez, PROBE)
            .route(health::readyz, PROBE);
        routes
            .get("/metrics", PROBE, health::metrics)
            .elsewhere("/v1/", OPEN)
            .elsewhere("", AROUND);
    })
}

/// What the list of routes is read for.
pub(crate) enum Reading<'a, 'b> {
    Serve(&'a mut Routes<'b>),
    Describe(&'a mut OpenApi),
}

impl Reading<'_, '_> {
    fn route<H>(&mut self, handler: H, policy: RoutePolicy) -> &mut Self
    where
        H: HttpServiceFactory + OpenApiFactory + utoipa::Path + 'static,
    {
        match self {
            Self::Serve(routes) => {
                let methods: Vec<Method> = H::methods().iter().map(method).collect();
                routes.service(&methods, &H::path(), policy, handler);
            }
            Self::Describe(document) => openapi::describe(document, &handler, policy),
        }
        self
    }

    /// A route that there is only where the operator wants it.
    fn route_if<H>(&mut self, wanted: bool, handler: H, policy: RoutePolicy) -> &mut Self
    where
        H: HttpServiceFactory + OpenApiFactory + utoipa::Path + 'static,
    {
        if wanted || matches!(self, Self::Describe(_)) {
            self.route(handler, policy);
        }
        self
    }
}

fn method(described: &HttpMethod) -> Method {
    match described {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
    }
}
