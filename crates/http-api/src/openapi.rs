//! The API as a document (`OpenAPI` 3.1). Handlers describe what is theirs; what
//! holds for every route is added here, once.

use std::sync::LazyLock;

use remotegpu_edge::RoutePolicy;
use utoipa::{
    OpenApi as _,
    openapi::{OpenApi, RefOr, Schema},
};
use utoipa_actix_web::OpenApiFactory;

use crate::{
    problem,
    routes::{self, Reading},
    v1::{account, auth, kubernetes},
};

mod common;
mod headers;
pub(crate) mod texts;
pub(crate) mod words;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "RemoteGPU API",
        description = "Namespaces on GPU clusters, kubeconfigs that hold no secret, and the API keys that open both.",
    ),
    tags(
        (name = "auth", description = "Who is calling."),
        (name = "account", description = "What happens in an account."),
        (name = "members", description = "Who is in the account."),
        (name = "api-keys", description = "Keys for programs."),
        (name = "access-tokens", description = "By which members open clusters."),
        (name = "service-users", description = "Machines that manage."),
        (name = "clusters", description = "Where namespaces can stand."),
        (name = "namespaces", description = "A team's part of a cluster."),
        (name = "kubeconfig", description = "How `kubectl` gets in."),
        (name = "health", description = "For the machines around."),
    ),
    // The same server that tells the document, whatever it is called.
    servers((url = "/", description = "This server.")),
    components(schemas(
        problem::Problem<'static>,
        problem::ProblemField<'static>,
        problem::ErrorCodeWord,
        account::access_tokens::AccessTokenStatusWord,
        account::api_keys::KeyStatusWord,
        account::kubeconfig_tokens::ClusterRoleWord,
        account::audit_events::AuditActionWord,
        account::audit_events::ActorTypeWord,
        account::audit_events::SubjectTypeWord,
        account::members::MadeTypeWord,
        auth::RoleWord,
        kubernetes::clusters::ClusterStatusWord,
        kubernetes::namespaces::NamespaceStatusWord,
    )),
)]
struct Described;

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(|| {
    let mut document = Described::openapi();
    routes::described(&mut Reading::Describe(&mut document), true);
    common::complete(&mut document);
    document
});

/// Adds a route to the document.
pub(crate) fn describe(document: &mut OpenApi, handler: &impl OpenApiFactory, policy: RoutePolicy) {
    let mut paths = handler.paths();
    for item in paths.paths.values_mut() {
        for operation in common::operations(item) {
            common::add_errors(policy, operation);
        }
    }
    document.paths.merge(paths);
    let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
    handler.schemas(&mut schemas);
    let components = document.components.get_or_insert_default();
    components.schemas.extend(schemas);
}

/// The API's description, `OpenAPI` 3.1 in JSON.
pub fn openapi_json() -> String {
    // What was made of derived types always serializes.
    DOCUMENT.to_pretty_json().unwrap_or_default()
}
