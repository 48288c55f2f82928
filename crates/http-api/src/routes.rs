//! The whole API on one screen. A handler says its own method and path; `OpenAPI`
//! and the answers 404 and 405 are made from this list.

use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    docs, health,
    v1::{account::api_keys, auth, kubernetes},
};

/// What the public listener serves and `OpenAPI` describes.
pub(crate) fn public(routes: &mut ServiceConfig<'_>) {
    routes
        .service(health::livez)
        .service(health::readyz)
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
        // Clusters and namespaces.
        .service(kubernetes::clusters::list_clusters)
        .service(kubernetes::namespaces::list::list_namespaces)
        .service(kubernetes::namespaces::create::create_namespace)
        .service(kubernetes::namespaces::rename::rename_namespace)
        .service(kubernetes::namespaces::delete::delete_namespace)
        .service(kubernetes::namespaces::kubeconfig::get_kubeconfig)
        .service(kubernetes::namespaces::exec_credential::create_exec_credential);
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

/// The one route that an operator may close (contract A10).
pub(crate) const SIGN_UP: &str = "/v1/auth/sign-up";
