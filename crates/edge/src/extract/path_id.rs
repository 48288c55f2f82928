//! An identifier in a path.

use std::{
    future::{Ready, ready},
    str::FromStr,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};

/// The one identifier that a path holds; a malformed one is an unknown one
/// (contract C5).
#[derive(Debug)]
pub struct PathId<T>(Option<T>);

impl<T> PathId<T> {
    /// The identifier, unless it can be nobody's.
    pub fn known(self) -> Option<T> {
        self.0
    }
}

impl<T: FromStr> FromRequest for PathId<T> {
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request
            .match_info()
            .iter()
            .next()
            .and_then(|(_, text)| text.parse().ok());
        ready(Ok(Self(id)))
    }
}
