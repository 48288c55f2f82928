//! Which cluster asks (contract T6).

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::HeaderMap};
use remotegpu_control_plane::AskingCluster;

use super::bearers;
use crate::error::{ApiError, ErrorCode};

/// The cluster whose credential came.
pub struct ClusterCaller(pub AskingCluster);

impl FromRequest for ClusterCaller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    /// Of a route that lists clusters' credentials; on any other nobody is let in.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let proven = request.extensions_mut().remove::<AskingCluster>();
        ready(proven.map(Self).ok_or(ErrorCode::Internal.into()))
    }
}

/// The one credential of a request.
pub(crate) fn cluster_credential_in(headers: &HeaderMap) -> Result<&str, ErrorCode> {
    let mut sent = bearers(headers);
    match (sent.next(), sent.next()) {
        (None, _) => Err(ErrorCode::MissingAccessToken),
        (Some(credential), None) => Ok(credential),
        (Some(_), Some(_)) => Err(ErrorCode::InvalidAccessToken),
    }
}
