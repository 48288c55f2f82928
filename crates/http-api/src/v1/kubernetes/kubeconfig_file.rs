//! What routes that answer kubeconfigs share (contract X1).

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderMap},
};
use remotegpu_control_plane::RenderedKubeconfig;
use remotegpu_edge::{ApiError, FieldError, Query};
use remotegpu_kubeconfig::Plugin;
use serde::Serialize;
use utoipa::ToSchema;

/// Which program the kubeconfig runs.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", default = "shell")]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum PluginWord {
    Shell,
    Remotegpu,
}

/// The plugin that a query asks for.
pub(super) fn plugin(query: &Query) -> Result<Plugin, ApiError> {
    match query.get("plugin")? {
        None => Ok(Plugin::default()),
        Some(word) => word
            .parse()
            .map_err(|_| ApiError::field(FieldError::new("plugin", "must be shell or remotegpu"))),
    }
}

/// The bare file, for who asks for YAML; for all others what `in_json` makes of it.
pub(super) fn answer<J: Serialize>(
    headers: &HeaderMap,
    file: RenderedKubeconfig,
    in_json: impl FnOnce(RenderedKubeconfig) -> J,
) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::VARY, "accept"));
    if !prefers_yaml(headers) {
        return answer.json(in_json(file));
    }
    let attachment = format!("attachment; filename=\"{}\"", file.filename);
    answer
        .insert_header((header::CONTENT_TYPE, "application/yaml"))
        .insert_header((header::CONTENT_DISPOSITION, attachment))
        .body(file.yaml)
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
