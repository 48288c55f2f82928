//! Questions that are answered and not stored, and the tokens of service accounts.

use serde_json::{Value, json};

use crate::auth::user_of_token;
use crate::cluster::Cluster;
use crate::error::{ApiError, ApiResult};
use crate::kinds::{self, Kind};
use crate::meta::{now, text, timestamp, unix_now};
use crate::rbac::{self, Attributes, User};
use crate::token::{self, Subject};

/// Answers a review of any of the kinds.
pub(crate) async fn answer(
    cluster: &Cluster,
    kind: &Kind,
    user: &User,
    namespace: &str,
    review: &Value,
) -> ApiResult<Value> {
    let spec = &review["spec"];
    let status = match kind.name {
        "SelfSubjectReview" => json!({"userInfo": user.to_json()}),
        "TokenReview" => token_review(cluster, spec).await,
        "SelfSubjectAccessReview" => access(cluster, kind, user, spec)?,
        "SelfSubjectRulesReview" => rules(cluster, user, text(spec, "/namespace"))?,
        "LocalSubjectAccessReview" if text(spec, "/resourceAttributes/namespace") != namespace => {
            let message = "Invalid value: must match metadata.namespace".to_owned();
            let cause = ("FieldValueInvalid", "spec.resourceAttributes.namespace", message);
            return Err(ApiError::invalid(kind, "", &[cause]));
        }
        _ => access(cluster, kind, &other_user(kind, spec)?, spec)?,
    };
    let mut answer = json!({
        "kind": kind.name, "apiVersion": kind.api_version(), "metadata": {"creationTimestamp": null}, "status": status,
    });
    if kind.name == "SelfSubjectReview" {
        answer["metadata"]["creationTimestamp"] = json!(now());
    } else {
        answer["spec"] = spec.clone();
    }
    Ok(answer)
}

pub(crate) fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

async fn token_review(cluster: &Cluster, spec: &Value) -> Value {
    let asked = strings(&spec["audiences"]);
    let asked = if asked.is_empty() { vec![token::ISSUER.to_owned()] } else { asked };
    match user_of_token(cluster, text(spec, "/token"), &asked).await {
        Ok(Some((user, audiences))) => {
            json!({"authenticated": true, "user": user.to_json(), "audiences": audiences})
        }
        Ok(None) => json!({"user": {}, "error": "[invalid bearer token, unknown]"}),
        Err(error) => json!({"user": {}, "error": error}),
    }
}

fn other_user(kind: &Kind, spec: &Value) -> ApiResult<User> {
    let user = User { name: text(spec, "/user").to_owned(), groups: strings(&spec["groups"]), ..User::default() };
    if user.name.is_empty() && user.groups.is_empty() {
        let message = "Required value: at least one of user or group must be specified".to_owned();
        return Err(ApiError::invalid(kind, "", &[("FieldValueRequired", "spec.user", message)]));
    }
    Ok(user)
}

fn access(cluster: &Cluster, kind: &Kind, user: &User, spec: &Value) -> ApiResult<Value> {
    let resource = &spec["resourceAttributes"];
    let path = &spec["nonResourceAttributes"];
    let field = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
    let asked = match (resource.is_object(), path.is_object()) {
        (true, false) => Attributes {
            verb: field("verb"),
            group: field("group"),
            resource: field("resource"),
            subresource: field("subresource"),
            namespace: field("namespace"),
            name: field("name"),
            path: None,
        },
        (false, true) => Attributes {
            verb: text(path, "/verb").to_owned(),
            path: Some(text(path, "/path").to_owned()),
            ..Attributes::default()
        },
        _ => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            let cause = ("FieldValueInvalid", "spec.resourceAttributes", format!("Invalid value: null: {why}"));
            return Err(ApiError::invalid(kind, "", &[cause]));
        }
    };
    Ok(json!({"allowed": cluster.store.with(|objects| rbac::allowed(objects, user, &asked))}))
}

fn rules(cluster: &Cluster, user: &User, namespace: &str) -> ApiResult<Value> {
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let rules = cluster.store.with(|objects| rbac::rules_for(objects, user, namespace));
    let (paths, resources): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| rule["nonResourceURLs"].is_array());
    Ok(json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false}))
}

/// Makes a token for a service account.
pub(crate) fn token_request(cluster: &Cluster, namespace: &str, name: &str, request: &Value) -> ApiResult<Value> {
    const SHORTEST: i64 = 600;
    let spec = &request["spec"];
    let account = cluster.store.with(|objects| objects.find("serviceaccounts", namespace, name));
    let account = account.ok_or_else(|| ApiError::not_found(kinds::by_plural("serviceaccounts"), name))?;
    if spec["boundObjectRef"].is_object() {
        return Err(ApiError::not_supported());
    }
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(3600);
    let wrong = |why: &str| {
        let message = format!("Invalid value: {seconds}: {why}");
        Err(ApiError::invalid(&kinds::TOKEN_REQUEST, "", &[("FieldValueInvalid", "spec.expirationSeconds", message)]))
    };
    if seconds < SHORTEST {
        return wrong("may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        return wrong("may not specify a duration larger than 2^32 seconds");
    }
    let mut audiences = strings(&spec["audiences"]);
    if audiences.is_empty() {
        audiences.push(token::ISSUER.to_owned());
    }
    let subject = Subject { namespace, name, uid: text(&account, "/metadata/uid") };
    let now = unix_now();
    let token = token::sign(&cluster.identity.token_key, &subject, &audiences, now, seconds);
    Ok(json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": timestamp(now)},
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": null},
        "status": {"token": token, "expirationTimestamp": timestamp(now + seconds)},
    }))
}
