//! The API as a document (`OpenAPI` 3.1). Handlers describe what is theirs; what
//! holds for every route is added here, once.

use std::sync::LazyLock;

use actix_web::App;
use utoipa::{OpenApi, openapi};
use utoipa_actix_web::AppExt;

use crate::{problem, routes};

mod common;
mod headers;
pub(crate) mod texts;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "RemoteGPU API",
        description = "Namespaces on GPU clusters, kubeconfigs that hold no secret, and the API keys that open both.",
    ),
    tags(
        (name = "auth", description = "Who is calling."),
        (name = "account", description = "What happens in an account."),
        (name = "api-keys", description = "Keys for programs."),
        (name = "clusters", description = "Where namespaces can stand."),
        (name = "namespaces", description = "A team's part of a cluster."),
        (name = "kubeconfig", description = "How `kubectl` gets in."),
        (name = "health", description = "For the machines around."),
    ),
    components(schemas(problem::Problem<'static>, problem::ProblemField<'static>)),
)]
struct Described;

static DOCUMENT: LazyLock<openapi::OpenApi> = LazyLock::new(|| {
    let (_, mut document) = App::new()
        .into_utoipa_app()
        .openapi(Described::openapi())
        .configure(routes::public)
        .split_for_parts();
    common::complete(&mut document);
    document
});

pub(crate) fn document() -> &'static openapi::OpenApi {
    &DOCUMENT
}

/// The API's description, `OpenAPI` 3.1 in JSON.
pub fn openapi_json() -> String {
    // What was made of derived types always serializes.
    document().to_pretty_json().unwrap_or_default()
}
