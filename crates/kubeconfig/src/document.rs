//! A kubeconfig as it stands in the file: the field names are Kubernetes'.

use serde::Serialize;
use serde_saphyr::LitStr;

use crate::RenderError;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Kubeconfig<'a> {
    #[serde(rename = "apiVersion")]
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) clusters: Vec<NamedCluster<'a>>,
    pub(crate) contexts: Vec<NamedContext<'a>>,
    pub(crate) current_context: &'a str,
    pub(crate) users: Vec<NamedUser<'a>>,
}

impl Kubeconfig<'_> {
    /// The file's text, which ends with a newline.
    pub(crate) fn to_yaml(&self) -> Result<String, RenderError> {
        // Block scalars are for the script alone: a long address folded over two lines is still
        // the same string, but nobody can copy it.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_string_with_options(self, options)
            .map_err(|error| RenderError::Yaml(Box::new(error)))
    }
}

#[derive(Serialize, PartialEq, Eq)]
pub(crate) struct NamedCluster<'a> {
    pub(crate) name: String,
    pub(crate) cluster: Cluster<'a>,
}

#[derive(Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Cluster<'a> {
    pub(crate) server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_authority_data: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct NamedContext<'a> {
    pub(crate) name: &'a str,
    pub(crate) context: Context<'a>,
}

#[derive(Serialize)]
pub(crate) struct Context<'a> {
    pub(crate) cluster: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<&'a str>,
    pub(crate) user: &'a str,
}

#[derive(Serialize)]
pub(crate) struct NamedUser<'a> {
    pub(crate) name: &'a str,
    pub(crate) user: User<'a>,
}

/// Either a plugin that brings a token, or a token.
#[derive(Serialize)]
pub(crate) struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    exec: Option<Exec<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> User<'a> {
    pub(crate) fn exec(exec: Exec<'a>) -> Self {
        Self {
            exec: Some(exec),
            token: None,
        }
    }

    pub(crate) fn token(token: &'a str) -> Self {
        Self {
            exec: None,
            token: Some(token),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exec<'a> {
    api_version: &'static str,
    command: &'static str,
    args: Vec<Argument<'a>>,
    install_hint: &'static str,
    interactive_mode: &'static str,
    provide_cluster_info: bool,
}

impl<'a> Exec<'a> {
    pub(crate) fn new(
        command: &'static str,
        args: Vec<Argument<'a>>,
        install_hint: &'static str,
    ) -> Self {
        Self {
            api_version: "client.authentication.k8s.io/v1",
            command,
            args,
            install_hint,
            interactive_mode: "Never",
            provide_cluster_info: false,
        }
    }
}

/// An argument of the plugin; a literal one stands in the file line by line, for people to read.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Argument<'a> {
    Plain(&'a str),
    Literal(LitStr<'a>),
}

impl<'a> Argument<'a> {
    pub(crate) fn plain(text: &'a str) -> Self {
        Self::Plain(text)
    }

    pub(crate) fn literal(text: &'a str) -> Self {
        Self::Literal(LitStr(text))
    }
}
