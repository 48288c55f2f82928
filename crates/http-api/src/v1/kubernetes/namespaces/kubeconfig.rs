use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header::{self, HeaderMap},
    web,
};
use remotegpu_control_plane::{Read, RenderedKubeconfig, render_kubeconfig};
use remotegpu_edge::{ApiError, FieldError, PathId, Query, SessionCaller};
use remotegpu_kubeconfig::Plugin;
use remotegpu_primitives::NamespaceId;
use serde::Serialize;
use utoipa::ToSchema;

use super::existing;
use crate::Api;

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

/// Which program the kubeconfig runs.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", default = "shell")]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum PluginWord {
    Shell,
    Remotegpu,
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
    let plugin = match query.get("plugin")? {
        None => Plugin::default(),
        Some(word) => word.parse().map_err(|_| {
            ApiError::field(FieldError::new("plugin", "must be shell or remotegpu"))
        })?,
    };
    let (clusters, claims) = (&*api.ports.clusters, &*api.ports.claims);
    let url = api.edge.public_url().as_str();
    let rendered = render_kubeconfig(clusters, claims, &caller, url, &namespace, plugin).await?;
    let kubernetes_namespace = namespace.kubernetes_namespace.as_str();
    Ok(answer(request.headers(), kubernetes_namespace, rendered))
}

fn answer(headers: &HeaderMap, namespace: &str, rendered: RenderedKubeconfig) -> HttpResponse {
    let RenderedKubeconfig { filename, yaml } = rendered;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::VARY, "accept"));
    if prefers_yaml(headers) {
        let attachment = format!("attachment; filename=\"{filename}\"");
        return answer
            .insert_header((header::CONTENT_TYPE, "application/yaml"))
            .insert_header((header::CONTENT_DISPOSITION, attachment))
            .body(yaml);
    }
    answer.json(KubeconfigResponse {
        namespace: namespace.to_owned(),
        filename,
        kubeconfig: yaml,
    })
}

/// Whether `Accept` names YAML, and names JSON neither before it nor with a
/// greater weight. A wildcard takes whatever comes.
fn prefers_yaml(headers: &HeaderMap) -> bool {
    let mut best: Option<(bool, f32)> = None;
    let values = headers.get_all(header::ACCEPT).map(|value| value.to_str());
    for range in values.flatten().flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is_yaml = name.eq_ignore_ascii_case("application/yaml");
        if !is_yaml && !name.eq_ignore_ascii_case("application/json") {
            continue;
        }
        let weight = parts
            .find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")))
            .map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        if weight > best.map_or(0.0, |(_, weight)| weight) {
            best = Some((is_yaml, weight));
        }
    }
    best.is_some_and(|(is_yaml, _)| is_yaml)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn yaml_is_for_those_who_ask_for_it() {
        // X1
        let prefers = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            prefers_yaml(&headers)
        };
        for accept in [
            "application/yaml",
            "Application/YAML",
            "application/yaml, */*;q=0.1",
            "text/html, application/yaml;q=0.9, */*;q=0.8",
            "application/json;q=0.5, application/yaml",
            "application/yaml, application/json",
        ] {
            assert!(prefers(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "application/*",
            "application/json",
            "text/yaml",
            "application/json, application/yaml",
            "application/yaml;q=0.5, application/json",
            "application/yaml;q=0",
            "application/yaml;q=nonsense",
        ] {
            assert!(!prefers(accept), "{accept}");
        }
        assert!(!prefers_yaml(&HeaderMap::new()));
    }
}
