//! From an HTTP request to its answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::Stream;
use serde_json::{Value, json};

use crate::auth::{authenticate, impersonated};
use crate::cluster::{Cluster, DeleteOptions, Write, Written};
use crate::error::{ApiError, ApiResult};
use crate::kinds::{self, Family, Kind};
use crate::meta::text;
use crate::patch::PatchType;
use crate::rbac::{self, User};
use crate::request::{Form, OLD_SCHEMA, Request};
use crate::store::{Key, Objects};
use crate::table::table;
use crate::{discovery, protobuf, quota, reviews, scale, watching};

const JSON: &str = "application/json";

enum Answer {
    Object(u16, Arc<Value>),
    Written(u16, Written),
    /// A text and its media type.
    Text(&'static str, &'static str),
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>>>>),
}

/// Answers every request: the paths are data, so there is one handler.
pub(crate) async fn handle(http: HttpRequest, body: Bytes, cluster: Data<Cluster>) -> HttpResponse {
    let answer = respond(&http, &body, &cluster).await.unwrap_or_else(|error| {
        if error.code() == 501 {
            tracing::info!(method = %http.method(), path = http.path(), "the development cluster does not do this");
        }
        Answer::Object(error.code(), Arc::new(*error.0))
    });
    let status = |code| HttpResponse::build(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    match answer {
        Answer::Object(code, object) => status(code).content_type(JSON).body(object.to_string()),
        Answer::Written(code, Written { object, warnings }) => {
            let mut response = status(code);
            for warning in warnings {
                let quoted = warning.replace(['\r', '\n'], " ").replace('\\', "\\\\").replace('"', "\\\"");
                response.append_header((header::WARNING, format!("299 - \"{quoted}\"")));
            }
            response.content_type(JSON).body(object.to_string())
        }
        Answer::Text(media, text) => status(200).content_type(media).body(text),
        Answer::Stream(stream) => status(200).content_type(JSON).streaming(stream),
    }
}

async fn respond(http: &HttpRequest, body: &Bytes, cluster: &Arc<Cluster>) -> ApiResult<Answer> {
    let request = Request::read(http)?;
    let asked = &request.asked;
    match asked.path.as_deref() {
        Some("/livez" | "/readyz" | "/healthz") => {
            return Ok(Answer::Text("text/plain; charset=utf-8", "ok"));
        }
        Some("/version" | "/version/") => {
            return Ok(Answer::Object(200, document("/version")?));
        }
        _ => {}
    }
    let authorization = http.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let user = authenticate(cluster, authorization).await?;
    let user = impersonated(cluster, user, http.headers())?;
    if !cluster.store.with(|objects| rbac::allowed(objects, &user, asked)) {
        return Err(asked.forbidden(&user));
    }
    if let Some(path) = &asked.path {
        if asked.verb != "get" {
            return Err(ApiError::method_not_allowed());
        }
        // Older `kubectl apply` wants a schema of this form before it works without one; no bytes are an empty one.
        if request.form == Form::OldSchema && path == "/openapi/v2" {
            return Ok(Answer::Text(OLD_SCHEMA, ""));
        }
        return Ok(Answer::Object(200, document(path)?));
    }
    let kind = kinds::find(&asked.group, &asked.resource).ok_or_else(ApiError::not_supported)?;
    let one_namespace = !asked.namespace.is_empty() && kind.plural != "namespaces";
    if one_namespace && !kind.namespaced {
        return Err(ApiError::no_such_route());
    }
    if kind.namespaced && !one_namespace && !matches!(asked.verb.as_str(), "list" | "watch") {
        return Err(ApiError::method_not_allowed());
    }
    let of_one = matches!(asked.verb.as_str(), "update" | "patch");
    if of_one && asked.name.is_empty() {
        return Err(ApiError::method_not_allowed());
    }
    let call = Call { cluster, kind, request: &request, user: &user, body };
    match asked.subresource.as_str() {
        "" if kind.verbs().contains(&asked.verb.as_str()) => call.resource().await,
        "" if kind.family == Family::ReadOnly => Err(ApiError::not_supported()),
        "" => Err(ApiError::method_not_allowed()),
        "status" if kind.has_status() => call.resource().await,
        "scale" if kind.subresources.contains(&"scale") => call.scale(),
        "token" if kind.plural == "serviceaccounts" && asked.verb == "create" => {
            let token = reviews::token_request(cluster, &asked.namespace, &asked.name, &call.object()?)?;
            Ok(Answer::Object(201, Arc::new(token)))
        }
        _ => Err(ApiError::not_supported()),
    }
}

fn document(path: &str) -> ApiResult<Arc<Value>> {
    if let Some(document) = discovery::document(path) {
        return Ok(Arc::new(document));
    }
    // Clients look for groups and schemas that a server need not have; 404 tells them so.
    let optional = ["/api/", "/apis/", "/openapi/"].iter().any(|prefix| path.starts_with(prefix));
    Err(if optional { ApiError::no_such_route() } else { ApiError::not_supported() })
}

/// A request for a kind of the table, by a user who may make it.
struct Call<'a> {
    cluster: &'a Arc<Cluster>,
    kind: &'static Kind,
    request: &'a Request,
    user: &'a User,
    body: &'a [u8],
}

impl Call<'_> {
    /// The namespace of the objects; `None` for all, and for kinds that are in none.
    fn namespace(&self) -> Option<&str> {
        Some(self.request.asked.namespace.as_str()).filter(|name| self.kind.namespaced && !name.is_empty())
    }

    fn key(&self) -> Key {
        Key::new(self.kind.plural, self.namespace().unwrap_or_default(), &self.request.asked.name)
    }

    fn write(&self) -> ApiResult<Write<'_>> {
        let subresource = self.request.asked.subresource.as_str();
        Ok(Write { user: self.user, dry_run: self.request.dry_run()?, subresource })
    }

    /// The body, which is JSON or, where the client says so, YAML or Protobuf.
    fn object(&self) -> ApiResult<Value> {
        let content_type = self.request.content_type.split(';').next().unwrap_or_default().trim();
        let read = match content_type {
            "application/vnd.kubernetes.protobuf" => return protobuf::decode(self.body),
            kind if kind.ends_with("yaml") => serde_saphyr::from_slice(self.body).map_err(|error| error.to_string()),
            kind if kind.is_empty() || kind.ends_with("json") => {
                serde_json::from_slice(self.body).map_err(|error| error.to_string())
            }
            other => {
                let message = format!("the body of the request was in an unknown format - {other:?}");
                return Err(ApiError::new(415, "UnsupportedMediaType", message));
            }
        };
        read.map_err(|error| {
            let kind = self.kind.name;
            ApiError::bad_request(format!("the object provided is unrecognized (must be of type {kind}): {error}"))
        })
    }

    async fn resource(&self) -> ApiResult<Answer> {
        let (cluster, kind, asked) = (self.cluster, self.kind, &self.request.asked);
        let namespace = self.namespace().unwrap_or_default();
        match asked.verb.as_str() {
            "create" if !asked.name.is_empty() => Err(ApiError::method_not_allowed()),
            "create" if kind.family == Family::Review => {
                let answer = reviews::answer(cluster, kind, self.user, namespace, &self.object()?).await?;
                Ok(Answer::Object(201, Arc::new(answer)))
            }
            "create" => {
                let written = cluster.create(kind, namespace, self.object()?, &self.write()?)?;
                Ok(Answer::Written(201, written))
            }
            "get" => self.get(),
            "list" => self.list(),
            "watch" => {
                let namespace = self.namespace().map(str::to_owned);
                Ok(Answer::Stream(Box::pin(watching::start(cluster, kind, namespace, self.request)?)))
            }
            "update" => {
                let object = self.object()?;
                let written = cluster.update(kind, &self.key(), &self.write()?, |_| Ok(object.clone()))?;
                Ok(Answer::Written(200, written))
            }
            "patch" => self.patch(),
            "delete" => self.delete(),
            _ => self.delete_collection(),
        }
    }

    /// The object as it is read: what a quota counts is counted then.
    fn counted(&self, objects: &Objects, object: Arc<Value>) -> Arc<Value> {
        if self.kind.plural == "resourcequotas" { quota::counted(objects, &object) } else { object }
    }

    fn get(&self) -> ApiResult<Answer> {
        let key = self.key();
        let found = self.cluster.store.with(|objects| objects.get(&key).map(|found| self.counted(objects, found)));
        let found = found.ok_or_else(|| ApiError::not_found(self.kind, &key.name))?;
        if self.request.form != Form::Table {
            return Ok(Answer::Object(200, found));
        }
        let version = text(&found, "/metadata/resourceVersion");
        let include = self.request.option("includeObject");
        Ok(Answer::Object(200, Arc::new(table(self.kind, std::iter::once(&*found), include, version, true))))
    }

    fn list(&self) -> ApiResult<Answer> {
        let selector = self.request.selector()?;
        let (found, version) = self.cluster.store.with(|objects| {
            let all = objects.list(self.kind.plural, self.namespace());
            let found = all.map(|(_, object)| Arc::clone(object)).filter(|object| selector.matches(object));
            let found = found.map(|object| self.counted(objects, object));
            (found.collect::<Vec<_>>(), objects.version().to_string())
        });
        if self.request.form == Form::Table {
            let include = self.request.option("includeObject");
            let rows = table(self.kind, found.iter().map(Arc::as_ref), include, &version, true);
            return Ok(Answer::Object(200, Arc::new(rows)));
        }
        Ok(Answer::Object(200, Arc::new(self.list_of(&found, &version))))
    }

    /// Items of a list do not repeat the kind that the list names.
    fn list_of(&self, objects: &[Arc<Value>], version: &str) -> Value {
        let items = objects.iter().map(|object| {
            let fields = object.as_object().into_iter().flatten();
            let fields = fields.filter(|(field, _)| !matches!(field.as_str(), "kind" | "apiVersion"));
            Value::Object(fields.map(|(field, value)| (field.clone(), value.clone())).collect())
        });
        json!({
            "kind": format!("{}List", self.kind.name), "apiVersion": self.kind.api_version(),
            "metadata": {"resourceVersion": version}, "items": items.collect::<Vec<_>>(),
        })
    }

    fn patch(&self) -> ApiResult<Answer> {
        let patch_type = PatchType::from_content_type(&self.request.content_type)?;
        let patch = self.object()?;
        let (key, write) = (self.key(), self.write()?);
        if patch_type == PatchType::Apply {
            self.check_apply(&patch)?;
            let absent = self.cluster.store.with(|objects| objects.get(&key).is_none());
            if absent && write.subresource.is_empty() {
                // A role that may only change objects must not make them by applying.
                let asked = rbac::Attributes { verb: "create".to_owned(), ..self.request.asked.clone() };
                if !self.cluster.store.with(|objects| rbac::allowed(objects, self.user, &asked)) {
                    return Err(asked.forbidden(self.user));
                }
                let mut object = Value::Null;
                patch_type.apply(&mut object, &patch)?;
                let written = self.cluster.create(self.kind, &key.namespace, object, &write)?;
                return Ok(Answer::Written(201, written));
            }
        }
        let written = self.cluster.update(self.kind, &key, &write, |current| {
            let mut object = current.clone();
            patch_type.apply(&mut object, &patch)?;
            Ok(object)
        })?;
        Ok(Answer::Written(200, written))
    }

    fn check_apply(&self, patch: &Value) -> ApiResult<()> {
        if self.request.option("fieldManager").is_empty() {
            let message =
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
            return Err(ApiError::new(422, "Invalid", message));
        }
        let (named, asked) = (text(patch, "/metadata/name"), &self.request.asked.name);
        if named != asked || text(patch, "/apiVersion").is_empty() || text(patch, "/kind").is_empty() {
            let message = format!("the name of the object ({named}) does not match the name on the URL ({asked})");
            return Err(ApiError::bad_request(message));
        }
        Ok(())
    }

    fn delete_options(&self) -> ApiResult<DeleteOptions> {
        let body = if self.body.is_empty() { Value::Null } else { self.object()? };
        let field = |pointer: &str| Some(text(&body, pointer).to_owned()).filter(|text| !text.is_empty());
        let policy = field("/propagationPolicy");
        let policy = policy.as_deref().unwrap_or_else(|| self.request.option("propagationPolicy"));
        if !matches!(policy, "" | "Background" | "Foreground" | "Orphan") {
            return Err(ApiError::bad_request(format!("invalid propagationPolicy {policy:?}")));
        }
        Ok(DeleteOptions {
            uid: field("/preconditions/uid"),
            version: field("/preconditions/resourceVersion"),
            orphan: policy == "Orphan" || body["orphanDependents"] == true,
            dry_run: self.request.dry_run()? || body["dryRun"] == json!(["All"]),
        })
    }

    fn delete(&self) -> ApiResult<Answer> {
        let kind = self.kind;
        let key = self.key();
        let deleted = self.cluster.delete(kind, &key, &self.delete_options()?)?;
        let waits = !text(&deleted, "/metadata/deletionTimestamp").is_empty();
        let answers_object = matches!(
            kind.plural,
            "pods" | "services" | "serviceaccounts" | "resourcequotas" | "persistentvolumeclaims"
        );
        if waits || answers_object {
            return Ok(Answer::Object(200, deleted));
        }
        let mut details = json!({"name": key.name, "kind": kind.plural, "uid": deleted["metadata"]["uid"]});
        if !kind.group.is_empty() {
            details["group"] = json!(kind.group);
        }
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
        });
        Ok(Answer::Object(200, Arc::new(status)))
    }

    fn delete_collection(&self) -> ApiResult<Answer> {
        if self.kind.plural == "namespaces" {
            return Err(ApiError::method_not_allowed());
        }
        let (selector, options) = (self.request.selector()?, self.delete_options()?);
        let keys = self.cluster.store.with(|objects| {
            let all = objects.list(self.kind.plural, self.namespace());
            all.filter(|(_, object)| selector.matches(object)).map(|(key, _)| key.clone()).collect::<Vec<_>>()
        });
        // What another request deletes in the meantime is deleted as well.
        let deleted = keys.iter().filter_map(|key| self.cluster.delete(self.kind, key, &options).ok());
        let deleted = deleted.collect::<Vec<_>>();
        let version = self.cluster.store.with(|objects| objects.version().to_string());
        Ok(Answer::Object(200, Arc::new(self.list_of(&deleted, &version))))
    }

    fn scale(&self) -> ApiResult<Answer> {
        let (cluster, key, write) = (self.cluster, self.key(), self.write()?);
        if self.request.asked.verb == "get" {
            let found = cluster.store.with(|objects| objects.get(&key));
            let found = found.ok_or_else(|| ApiError::not_found(self.kind, &key.name))?;
            return Ok(Answer::Object(200, Arc::new(scale::of(&found))));
        }
        let body = self.object()?;
        let patch_type = match self.request.asked.verb.as_str() {
            "update" => None,
            "patch" => Some(PatchType::from_content_type(&self.request.content_type)?),
            _ => return Err(ApiError::method_not_allowed()),
        };
        let write = Write { subresource: "", ..write };
        let written = cluster.update(self.kind, &key, &write, |current| {
            let mut wanted = scale::of(current);
            match patch_type {
                Some(patch_type) => patch_type.apply(&mut wanted, &body)?,
                None => wanted.clone_from(&body),
            }
            scale::apply(current, &wanted)
        })?;
        Ok(Answer::Object(200, Arc::new(scale::of(&written.object))))
    }
}
