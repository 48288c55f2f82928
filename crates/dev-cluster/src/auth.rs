//! Who a request comes from.

use serde_json::json;

use crate::cluster::Cluster;
use crate::error::{ApiError, ApiResult};
use crate::meta::{text, unix_now};
use crate::rbac::{MASTERS, User};
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
    let claims = token::verify(
        cluster.identity.token_key.verifying_key(),
        bearer,
        unix_now(),
    )?;
    let Claims {
        namespace,
        name,
        uid,
        id,
        audiences,
    } = claims;
    let account = cluster
        .store
        .with(|objects| objects.find("serviceaccounts", &namespace, &name))?;
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
    let bearer = bearer
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let found = bearer.and_then(|bearer| user_of_token(cluster, bearer));
    let found =
        found.filter(|(_, audiences)| audiences.iter().any(|audience| audience == token::ISSUER));
    found
        .map(|(user, _)| user)
        .ok_or_else(ApiError::unauthorized)
}

/// Compares in a time that does not tell how much of the secret was right.
fn same(left: &str, right: &str) -> bool {
    left.len() == right.len()
        && left
            .bytes()
            .zip(right.bytes())
            .fold(0, |seen, (a, b)| seen | (a ^ b))
            == 0
}
