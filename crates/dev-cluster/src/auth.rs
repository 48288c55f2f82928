//! Who a request comes from.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::cluster::Cluster;
use crate::error::{ApiError, ApiResult};
use crate::meta::{text, unix_now};
use crate::rbac::{self, Attributes, MASTERS, User};
use crate::reviews::strings;
use crate::token::{self, Claims};

const EVERYONE: &str = "system:authenticated";

/// The user behind a bearer token, and which of these audiences the token is for: at least one.
/// What the cluster itself does not know, the hook is asked about.
pub(crate) async fn user_of_token(
    cluster: &Cluster,
    bearer: &str,
    asked: &[String],
) -> Result<Option<(User, Vec<String>)>, String> {
    let mut found = own_user(cluster, bearer);
    if let (None, Some(hook)) = (&found, cluster.token_authentication.get()) {
        let spec = json!({"token": bearer, "audiences": asked});
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec});
        let status = hook(review).await["status"].take();
        if let Some(error) = status["error"].as_str() {
            return Err(error.to_owned());
        }
        found = (status["authenticated"] == true).then(|| {
            let user = &status["user"];
            let mut known = User::named(text(user, "/username"), &[]);
            known.groups = strings(&user["groups"]);
            known.groups.push(EVERYONE.to_owned());
            (known.uid, known.extra) = (text(user, "/uid").to_owned(), user["extra"].clone());
            (known, strings(&status["audiences"]))
        });
    }
    let found = found.map(|(user, mut audiences)| {
        audiences.retain(|one| asked.contains(one));
        (user, audiences)
    });
    Ok(found.filter(|(_, audiences)| !audiences.is_empty()))
}

/// The same of a token that the cluster has made.
///
/// A service account's token lives as long as the account with that uid does.
fn own_user(cluster: &Cluster, bearer: &str) -> Option<(User, Vec<String>)> {
    if same(bearer, &cluster.identity.admin_token) {
        let user = User::named("kubernetes-admin", &[MASTERS, EVERYONE]);
        return Some((user, vec![token::ISSUER.to_owned()]));
    }
    let claims = token::verify(cluster.identity.token_key.verifying_key(), bearer, unix_now())?;
    let Claims { namespace, name, uid, id, audiences } = claims;
    let account = cluster.store.with(|objects| objects.find("serviceaccounts", &namespace, &name))?;
    if text(&account, "/metadata/uid") != uid {
        return None;
    }
    let mut user = service_account(&namespace, &name);
    user.uid = uid;
    user.extra = json!({"authentication.kubernetes.io/credential-id": [format!("JTI={id}")]});
    Some((user, audiences))
}

pub(crate) fn service_account(namespace: &str, name: &str) -> User {
    let of_namespace = format!("system:serviceaccounts:{namespace}");
    User::named(
        &format!("system:serviceaccount:{namespace}:{name}"),
        &["system:serviceaccounts", &of_namespace, EVERYONE],
    )
}

/// The user of a request; the API itself is the only audience that counts here.
pub(crate) async fn authenticate(cluster: &Cluster, authorization: Option<&str>) -> ApiResult<User> {
    let bearer = authorization.and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let found = user_of_token(cluster, bearer.unwrap_or_default(), &[token::ISSUER.to_owned()]).await;
    let found = found.unwrap_or_else(|error| {
        tracing::warn!(error, "the development cluster could not learn who a token is");
        None
    });
    found.map(|(user, _)| user).ok_or_else(ApiError::unauthorized)
}

/// The user that a request asks to be taken for, if its own user may ask so.
pub(crate) fn impersonated(cluster: &Cluster, user: User, headers: &HeaderMap) -> ApiResult<User> {
    if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Ok(user);
    }
    let known = |name: &HeaderName| matches!(name.as_str(), "impersonate-user" | "impersonate-group");
    if headers.keys().any(|name| name.as_str().starts_with("impersonate-") && !known(name)) {
        return Err(ApiError::not_supported());
    }
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let name = headers.get("impersonate-user").map(text).unwrap_or_default();
    let mut groups = headers.get_all("impersonate-group").map(text).collect::<Vec<_>>();
    if name.is_empty() {
        return Err(ApiError::bad_request("requested impersonation without a user"));
    }
    let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let (kind, namespace, of) = account.map_or(("users", "", &*name), |(space, of)| ("serviceaccounts", space, of));
    let wanted = std::iter::once((kind, namespace, of)).chain(groups.iter().map(|group| ("groups", "", &**group)));
    for (resource, namespace, name) in wanted {
        let asked = Attributes {
            verb: "impersonate".to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        if !cluster.store.with(|objects| rbac::allowed(objects, &user, &asked)) {
            return Err(asked.forbidden(&user));
        }
    }
    if groups.is_empty()
        && let Some((namespace, of)) = account
    {
        return Ok(service_account(namespace, of));
    }
    if !groups.iter().any(|group| group == EVERYONE) {
        groups.push(EVERYONE.to_owned());
    }
    Ok(User { name, groups, ..User::default() })
}

/// Compares in a time that does not tell how much of the secret was right.
fn same(left: &str, right: &str) -> bool {
    left.len() == right.len() && left.bytes().zip(right.bytes()).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
}
