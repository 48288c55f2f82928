use actix_web::{HttpRequest, HttpResponse, get, web};
use remotegpu_control_plane::{Read, RenderedKubeconfig, render_kubeconfig};
use remotegpu_edge::{ApiError, PathId, Query, SessionCaller};
use remotegpu_primitives::NamespaceId;
use serde::Serialize;
use utoipa::ToSchema;

use super::existing;
use crate::{
    Api,
    v1::kubernetes::kubeconfig_file::{self, PluginWord, plugin},
};

/// A kubeconfig, which holds no secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KubeconfigResponse {
    /// What the cluster calls the namespace.
    #[schema(example = "team-ml-x7k2pq")]
    namespace: String,
    /// What to save it as.
    #[schema(example = "kubeconfig-team-ml.yaml")]
    filename: String,
    /// The file's content: YAML.
    kubeconfig: String,
}

/// Get a namespace's kubeconfig
///
/// It runs a plugin that asks `exec-credential` for a token, with the API key in
/// `REMOTEGPU_API_KEY`.
#[utoipa::path(
    tag = "kubeconfig",
    params(
        ("namespace_id" = uuid::Uuid, Path, description = "The namespace."),
        ("plugin" = inline(Option<PluginWord>), Query, nullable = false, description = "`shell` needs nothing but `sh`, `date` and `curl`; `remotegpu` runs `kubectl-remotegpu`."),
    ),
    responses(
        (status = 200, description = "The kubeconfig; with `Accept: application/yaml`, the bare file.", content(
            (KubeconfigResponse = "application/json"),
            (String = "application/yaml"),
        )),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`namespace_not_ready`"),
    ),
)]
#[get("/v1/kubernetes/namespaces/{namespace_id}/kubeconfig")]
pub(crate) async fn get_kubeconfig(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
    id: PathId<NamespaceId>,
    query: Query,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let namespace = existing(&api, &caller, id).await?;
    let plugin = plugin(&query)?;
    let (clusters, claims) = (&*api.ports.clusters, &*api.ports.claims);
    let url = api.edge.public_url().as_str();
    let rendered = render_kubeconfig(clusters, claims, &caller, url, &namespace, plugin).await?;
    let answer = |RenderedKubeconfig { filename, yaml }| KubeconfigResponse {
        namespace: namespace.kubernetes_namespace.as_str().to_owned(),
        filename,
        kubeconfig: yaml,
    };
    Ok(kubeconfig_file::answer(request.headers(), rendered, answer))
}
