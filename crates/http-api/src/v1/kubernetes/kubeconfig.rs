use actix_web::{HttpRequest, HttpResponse, get, web};
use remotegpu_control_plane::{
    AccountKubeconfig, AccountKubeconfigPorts, Read, RenderedKubeconfig, render_account_kubeconfig,
};
use remotegpu_edge::{ApiError, Query, SessionCaller};
use serde::Serialize;
use utoipa::ToSchema;

use super::kubeconfig_file::{self, PluginWord, plugin};
use crate::Api;

/// A kubeconfig for several namespaces, which holds no secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountKubeconfigResponse {
    /// What the clusters call the namespaces, the current context's first.
    #[schema(example = json!(["team-ml-x7k2pq", "batch-a2b3c4"]))]
    namespaces: Vec<String>,
    /// What to save it as.
    #[schema(example = "kubeconfig-ada.yaml")]
    filename: String,
    /// The file's content: YAML.
    kubeconfig: String,
}

/// Get a kubeconfig for all namespaces
///
/// A context for each of the account's active namespaces, over all clusters, the oldest first. It
/// runs a plugin that asks `exec-credential` for a token, with the API key in
/// `REMOTEGPU_API_KEY`.
#[utoipa::path(
    tag = "kubeconfig",
    params(
        ("plugin" = inline(Option<PluginWord>), Query, nullable = false, description = "`shell` needs nothing but `sh`, `date` and `curl`; `remotegpu` runs `kubectl-remotegpu`."),
    ),
    responses(
        (status = 200, description = "The kubeconfig; with `Accept: application/yaml`, the bare file.", content(
            (AccountKubeconfigResponse = "application/json"),
            (String = "application/yaml"),
        )),
        (status = 409, description = "`namespace_not_ready`: none is."),
    ),
)]
#[get("/v1/kubernetes/kubeconfig")]
pub(crate) async fn get_account_kubeconfig(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
    query: Query,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let plugin = plugin(&query)?;
    let ports = AccountKubeconfigPorts {
        namespaces: &*api.ports.namespaces,
        clusters: &*api.ports.clusters,
        claims: &*api.ports.claims,
    };
    let url = api.edge.public_url().as_str();
    let AccountKubeconfig {
        kubernetes_namespaces,
        file,
    } = render_account_kubeconfig(ports, &caller, url, plugin).await?;
    let names = kubernetes_namespaces
        .iter()
        .map(|name| name.as_str().to_owned());
    let answer = |RenderedKubeconfig { filename, yaml }| AccountKubeconfigResponse {
        namespaces: names.collect(),
        filename,
        kubeconfig: yaml,
    };
    Ok(kubeconfig_file::answer(request.headers(), file, answer))
}
