//! A request, read: its path, verb and options, in Kubernetes' terms.

use std::collections::HashMap;

use actix_web::HttpRequest;
use actix_web::http::{Method, header};

use crate::error::{ApiError, ApiResult};
use crate::rbac::Attributes;
use crate::selector::Selector;

/// How an answer is to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Object,
    Table,
    /// The old schema, which has this form only.
    OldSchema,
}

/// The media type of OpenAPI 2 in Protobuf.
pub(crate) const OLD_SCHEMA: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// What clients call it; an answer does not, because Go takes no `@` in a media type.
const OLD_SCHEMA_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

pub(crate) struct Request {
    pub asked: Attributes,
    pub query: HashMap<String, String>,
    pub form: Form,
    pub content_type: String,
}

impl Request {
    pub fn read(http: &HttpRequest) -> ApiResult<Self> {
        let query = actix_web::web::Query::<HashMap<String, String>>::from_query(http.query_string());
        let query = query.map_err(|_| ApiError::bad_request("the query cannot be read"))?.into_inner();
        let text = |name: header::HeaderName| {
            let value = http.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let form = form(&text(header::ACCEPT))?;
        let mut asked = attributes(http.path())?;
        verb(http.method(), &asked, &query)?.clone_into(&mut asked.verb);
        if matches!(asked.verb.as_str(), "list" | "watch" | "deletecollection") {
            let selector = Selector::parse("", query.get("fieldSelector").map_or("", String::as_str))?;
            selector.name().unwrap_or_default().clone_into(&mut asked.name);
        }
        Ok(Self { asked, query, form, content_type: text(header::CONTENT_TYPE) })
    }

    pub fn option(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.option(name), "true" | "1")
    }

    pub fn dry_run(&self) -> ApiResult<bool> {
        match self.option("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(ApiError::bad_request(format!("Invalid value: {other:?}: dryRun must be All"))),
        }
    }

    pub fn selector(&self) -> ApiResult<Selector> {
        Selector::parse(self.option("labelSelector"), self.option("fieldSelector"))
    }
}

fn form(accept: &str) -> ApiResult<Form> {
    for wanted in accept.split(',').map(str::trim) {
        let (media, parameters) = wanted.split_once(';').unwrap_or((wanted, ""));
        let has = |parameter: &str| parameters.split(';').any(|known| known.trim() == parameter);
        match media.trim() {
            "application/json" if has("as=Table") && has("v=v1") => return Ok(Form::Table),
            OLD_SCHEMA | OLD_SCHEMA_ASKED => return Ok(Form::OldSchema),
            "application/json" | "application/*" | "*/*" | "" if !parameters.contains("as=") => {
                return Ok(Form::Object);
            }
            _ => {}
        }
    }
    let message = "only the following media types are accepted: application/json";
    Err(ApiError::new(406, "NotAcceptable", message))
}

/// Undoes percent encoding in one part of a path.
fn decode(part: &str) -> ApiResult<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next(), rest.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
            let [Some(high), Some(low)] = digits else {
                return Err(ApiError::bad_request("the path cannot be read"));
            };
            bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::bad_request("the path cannot be read"))
}

/// What a path names, as the real server's request info has it.
fn attributes(path: &str) -> ApiResult<Attributes> {
    let parts = path.split('/').filter(|part| !part.is_empty()).map(decode).collect::<ApiResult<Vec<_>>>()?;
    let parts = parts.iter().map(String::as_str).collect::<Vec<_>>();
    let (group, rest) = match parts.as_slice() {
        ["api", "v1", rest @ ..] if !rest.is_empty() => ("", rest),
        ["apis", group, "v1", rest @ ..] if !rest.is_empty() => (*group, rest),
        _ => {
            return Ok(Attributes { path: Some(path.to_owned()), ..Attributes::default() });
        }
    };
    let (namespace, rest) = match rest {
        // A namespace's own subresources look like a resource inside it.
        ["namespaces", name, "status" | "finalize"] | ["namespaces", name] => (*name, rest),
        ["namespaces", name, rest @ ..] => (*name, rest),
        _ => ("", rest),
    };
    let part = |place: usize| rest.get(place).copied().unwrap_or_default().to_owned();
    Ok(Attributes {
        group: group.to_owned(),
        namespace: namespace.to_owned(),
        resource: part(0),
        name: part(1),
        subresource: rest.get(2..).unwrap_or_default().join("/"),
        ..Attributes::default()
    })
}

fn verb(method: &Method, asked: &Attributes, query: &HashMap<String, String>) -> ApiResult<&'static str> {
    let watch = query.get("watch").is_some_and(|value| matches!(value.as_str(), "true" | "1"));
    let one = !asked.name.is_empty();
    Ok(match method.as_str() {
        "GET" | "HEAD" if asked.path.is_some() || one => "get",
        "GET" if watch => "watch",
        "GET" | "HEAD" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if one || asked.path.is_some() => "delete",
        "DELETE" => "deletecollection",
        _ => return Err(ApiError::method_not_allowed()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        for (path, expected) in [
            ("/api/v1/pods", ["", "", "pods", "", ""]),
            ("/api/v1/namespaces/a/pods/b/log", ["", "a", "pods", "b", "log"]),
            ("/api/v1/namespaces/a", ["", "a", "namespaces", "a", ""]),
            ("/api/v1/namespaces/a/status", ["", "a", "namespaces", "a", "status"]),
            ("/apis/apps/v1/namespaces/a/deployments", ["apps", "a", "deployments", "", ""]),
            ("/apis/r.io/v1/clusterroles/x%3Ay", ["r.io", "", "clusterroles", "x:y", ""]),
        ] {
            let Attributes { group, namespace, resource, name, subresource, path: none, .. } =
                attributes(path).unwrap();
            assert_eq!([&*group, &*namespace, &*resource, &*name, &*subresource], expected, "{path}");
            assert_eq!(none, None);
        }
        for path in ["/", "/api", "/api/v1", "/apis/apps/v1", "/version"] {
            assert_eq!(attributes(path).unwrap().path.as_deref(), Some(path));
        }
        assert!(attributes("/api/v1/pods/%zz").is_err());
    }

    #[test]
    fn accept_header_chooses_the_form() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        for (accept, expected) in [
            ("", Form::Object),
            ("*/*", Form::Object),
            (table, Form::Table),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", Form::Object),
            ("application/vnd.kubernetes.protobuf,application/json", Form::Object),
            (OLD_SCHEMA_ASKED, Form::OldSchema),
            (OLD_SCHEMA, Form::OldSchema),
            ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", Form::Object),
        ] {
            assert_eq!(form(accept).unwrap(), expected, "{accept}");
        }
        assert_eq!(form("application/vnd.kubernetes.protobuf").unwrap_err().code(), 406);
    }
}
