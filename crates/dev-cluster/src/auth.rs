//! Who a request comes from.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::cluster::Cluster;
use crate::error::{ApiError, ApiResult};
use crate::meta::{text, unix_now};
use crate::rbac::{self, Attributes, MASTERS, User};
use crate::token::{self, Claims};

const EVERYONE: &str = "system:authenticated";

/// The user behind a bearer token, and the audiences the token is for.
///
/// A service account's token lives as long as the account with that uid does.
pub(crate) fn user_of_token(cluster: &Cluster, bearer: &str) -> Option<(User, Vec<String>)> {
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
pub(crate) fn authenticate(cluster: &Cluster, authorization: Option<&str>) -> ApiResult<User> {
    let bearer = authorization.and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let found = bearer.and_then(|bearer| user_of_token(cluster, bearer));
    let found = found.filter(|(_, audiences)| audiences.iter().any(|audience| audience == token::ISSUER));
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
