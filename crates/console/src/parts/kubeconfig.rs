//! Kubeconfigs as files.

use actix_web::{HttpResponse, http::header};
use maud::{Markup, html};
use remotegpu_control_plane::RenderedKubeconfig;
use remotegpu_edge::{ApiError, FieldError, Query};
use remotegpu_kubeconfig::Plugin;

use crate::parts::{button, field::hidden};

/// The plugin that a query asks for.
pub(crate) fn plugin(query: &Query) -> Result<Plugin, ApiError> {
    match query.get("plugin")? {
        None => Ok(Plugin::default()),
        Some(word) => word
            .parse()
            .map_err(|_| ApiError::field(FieldError::new("plugin", "must be shell or remotegpu"))),
    }
}

/// The file, to be saved.
pub(crate) fn download(file: RenderedKubeconfig) -> HttpResponse {
    let attachment = format!("attachment; filename=\"{}\"", file.filename);
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/yaml"))
        .insert_header((header::CONTENT_DISPOSITION, attachment))
        .body(file.yaml)
}

/// The buttons that download the kubeconfig at this address, with either plugin.
pub(crate) fn buttons(address: &str) -> Markup {
    html! {
        div.actions {
            form.inline method="get" action=(address) {
                (button::submit("Download kubeconfig", "primary"))
            }
            form.inline method="get" action=(address) {
                (hidden("plugin", "remotegpu"))
                (button::submit("Download for kubectl-remotegpu", "quiet"))
            }
        }
        p.hint { "The first runs sh, date and curl; the second the program "
                 code { "kubectl-remotegpu" } ", which Windows needs too." }
    }
}

/// The lines that merge a file of this name into the kubeconfig that is there.
pub(crate) fn merge_lines(file: &str) -> String {
    format!(
        "(umask 077; KUBECONFIG=\"$HOME/.kube/config:$HOME/Downloads/{file}\" kubectl config view --flatten > merged) &&\n\
         mv merged \"$HOME/.kube/config\""
    )
}
