//! An identifier in a path.

use std::{
    future::{Ready, ready},
    str::FromStr,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use remotegpu_access_tokens::TokenHandle;
use remotegpu_primitives::{
    ApiKeyId, InvitationId, KubeconfigTokenId, MalformedId, NamespaceId, ServiceUserTokenId,
    SessionId, UserId,
};

/// What stands in paths under a name of its own, the same in every path.
pub trait PathParameter: FromStr {
    /// The name, as in `{key_id}`.
    const NAME: &'static str;
}

impl PathParameter for ApiKeyId {
    const NAME: &'static str = "key_id";
}

impl PathParameter for TokenHandle {
    const NAME: &'static str = "token_id";
}

impl PathParameter for KubeconfigTokenId {
    const NAME: &'static str = "token_id";
}

impl PathParameter for SessionId {
    const NAME: &'static str = "session_id";
}

impl PathParameter for InvitationId {
    const NAME: &'static str = "invitation_id";
}

impl PathParameter for UserId {
    const NAME: &'static str = "user_id";
}

/// The identifier of a service user, which paths name otherwise than those of people.
#[derive(Debug)]
pub struct ServiceUserId(pub UserId);

impl FromStr for ServiceUserId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        text.parse().map(Self)
    }
}

impl PathParameter for ServiceUserId {
    const NAME: &'static str = "service_user_id";
}

impl PathParameter for ServiceUserTokenId {
    const NAME: &'static str = "token_id";
}

impl PathParameter for NamespaceId {
    const NAME: &'static str = "namespace_id";
}

/// The identifier of this kind that a path holds, which may hold others; a malformed
/// one is an unknown one (contract C5).
#[derive(Debug)]
pub struct PathId<T>(Option<T>);

impl<T> PathId<T> {
    /// The identifier, unless it can be nobody's.
    pub fn known(self) -> Option<T> {
        self.0
    }
}

impl<T: PathParameter> FromRequest for PathId<T> {
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.match_info().get(T::NAME);
        ready(Ok(Self(text.and_then(|text| text.parse().ok()))))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[actix_web::test]
    async fn of_several_parameters_each_is_found_by_its_name() {
        let (key, namespace) = (
            "0198c0de-0000-7000-8000-00000000000a",
            "0198c0de-0000-7000-8000-00000000000b",
        );
        let request = TestRequest::get()
            .param("namespace_id", namespace)
            .param("key_id", key)
            .to_http_request();
        let found = PathId::<ApiKeyId>::extract(&request).await.unwrap();
        assert_eq!(found.known().map(|id| id.to_string()), Some(key.to_owned()));
        let found = PathId::<NamespaceId>::extract(&request).await.unwrap();
        let wanted = Some(namespace.to_owned());
        assert_eq!(found.known().map(|id| id.to_string()), wanted);
        let other = TestRequest::get().param("key_id", "x").to_http_request();
        let malformed = PathId::<ApiKeyId>::extract(&other).await.unwrap();
        assert!(malformed.known().is_none());
        let absent = PathId::<NamespaceId>::extract(&other).await.unwrap();
        assert!(absent.known().is_none());
    }
}
