//! The whole API on one screen. A handler says its own method and path; `OpenAPI`
//! and the answers 404 and 405 are made from this list.

use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    docs, health,
    v1::{
        account::{api_keys, audit_events},
        auth, kubernetes,
    },
};

/// What the public listener serves and `OpenAPI` describes.
pub(crate) fn public(routes: &mut ServiceConfig<'_>) {
    routes
        .service(health::livez)
        .service(health::readyz)
        // Before all others with a parameter, which are tried in this order: each call
        // of a `kubectl` comes here.
        .service(kubernetes::namespaces::exec_credential::create_exec_credential)
        // Who is calling.
        .service(auth::sign_in::sign_in)
        .service(auth::sign_up::sign_up)
        .service(auth::sign_out::sign_out)
        .service(auth::session::get_session)
        .service(auth::switch_account::switch_account)
        .service(auth::password::change_password)
        .service(auth::key::get_own_api_key)
        // API keys.
        .service(api_keys::list::list_api_keys)
        .service(api_keys::create::create_api_key)
        .service(api_keys::update::update_api_key)
        .service(api_keys::revoke::revoke_api_key)
        .service(api_keys::rotate::rotate_api_key)
        // Who did what.
        .service(audit_events::list::list_audit_events)
        // Clusters and namespaces.
        .service(kubernetes::clusters::list_clusters)
        .service(kubernetes::namespaces::list::list_namespaces)
        .service(kubernetes::namespaces::create::create_namespace)
        .service(kubernetes::namespaces::rename::rename_namespace)
        .service(kubernetes::namespaces::delete::delete_namespace)
        .service(kubernetes::namespaces::kubeconfig::get_kubeconfig);
}

/// The document and its page: about the API, not part of it.
pub(crate) fn documentation(routes: &mut actix_web::web::ServiceConfig) {
    routes
        .service(docs::openapi)
        .service(docs::to_page)
        .service(docs::page)
        .service(docs::asset);
}

/// The paths of [`documentation`].
pub(crate) const DOCUMENTATION: [&str; 4] = ["/openapi.json", "/docs", "/docs/", "/docs/{file}"];

/// What the internal listener serves.
pub(crate) fn internal(routes: &mut actix_web::web::ServiceConfig) {
    routes
        .service(health::livez)
        .service(health::readyz)
        .service(health::metrics);
}

/// The paths of [`internal`].
pub(crate) const INTERNAL: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// What a request costs, and so by which limit it is refused when there are too
/// many (contract C5, section 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkClass {
    /// A password is hashed: tens of milliseconds of a processor.
    Password,
    /// A cluster is asked for a token: several queries, and a cluster's patience.
    Mint,
    /// All other requests.
    Other,
    /// What machines ask about this instance, and must be told whatever its load.
    Probe,
}

impl WorkClass {
    /// The class of a route, by its path.
    pub(crate) fn of(pattern: &str) -> Self {
        match pattern {
            "/v1/auth/sign-in" | SIGN_UP | "/v1/auth/password" => Self::Password,
            "/v1/kubernetes/namespaces/{namespace_id}/exec-credential" => Self::Mint,
            path if INTERNAL.contains(&path) => Self::Probe,
            _ => Self::Other,
        }
    }
}

/// The one route that an operator may close (contract A10).
pub(crate) const SIGN_UP: &str = "/v1/auth/sign-up";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_with_a_class_of_its_own_exists() {
        // C5, section 10
        let document = crate::openapi::document();
        let of_class = |class| {
            let paths = document.paths.paths.keys();
            paths.filter(|path| WorkClass::of(path) == class).count()
        };
        assert_eq!(of_class(WorkClass::Password), 3);
        assert_eq!(of_class(WorkClass::Mint), 1);
        assert_eq!(of_class(WorkClass::Probe), 2);
    }
}
