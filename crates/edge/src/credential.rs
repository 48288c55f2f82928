//! Who is calling: asked before a handler is, by what the route's policy lists, so that
//! no handler can forget it.

use actix_web::{HttpMessage, dev::ServiceRequest, http::header::HeaderMap};
use remotegpu_accounts::SessionContext;
use remotegpu_control_plane::{
    RecalledApiKey, authenticate_api_key, authenticate_session, recall_api_key,
};
use remotegpu_keys::PresentedKey;

use crate::{
    edge::Edge,
    error::{ApiError, ErrorCode},
    extract::{key_in, token_in},
};

/// Something that proves who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A session, in its cookie or as a Bearer (contract A1, A6).
    Session,
    /// An API key, in a header of its own or as a Bearer (contract A2, A3).
    ApiKey,
}

impl Credential {
    /// The ways to send it, by the names that a description of an API has for them.
    pub fn schemes(self) -> [&'static str; 2] {
        match self {
            Self::Session => ["session_cookie", "access_token"],
            Self::ApiKey => ["api_key", "api_key_bearer"],
        }
    }
}

/// Leaves with the request what it proves, for the extractors. Where a route takes
/// several credentials, the first one that was sent counts.
pub(crate) async fn prove(
    edge: &Edge,
    wanted: &[Credential],
    request: &ServiceRequest,
) -> Result<(), ApiError> {
    let mut missing = Ok(());
    for credential in wanted {
        match prove_one(edge, *credential, request).await {
            Err(error) if is_missing(&error) => missing = missing.and(Err(error)),
            done => return done,
        }
    }
    missing
}

async fn prove_one(
    edge: &Edge,
    credential: Credential,
    request: &ServiceRequest,
) -> Result<(), ApiError> {
    match credential {
        Credential::Session => {
            let context = session(edge, request.headers()).await?;
            request.extensions_mut().insert(context);
        }
        Credential::ApiKey => {
            let presented = api_key(edge, request.headers()).await?;
            request.extensions_mut().insert(presented);
        }
    }
    Ok(())
}

fn is_missing(error: &ApiError) -> bool {
    matches!(
        error.code(),
        ErrorCode::MissingAccessToken | ErrorCode::MissingApiKey
    )
}

async fn session(edge: &Edge, headers: &HeaderMap) -> Result<SessionContext, ApiError> {
    let token = token_in(headers, edge.public_url().is_https())?;
    let (sessions, policy) = (&*edge.ports.sessions, edge.session_policy());
    Ok(authenticate_session(sessions, policy, token, edge.now()).await?)
}

async fn api_key(edge: &Edge, headers: &HeaderMap) -> Result<PresentedKey, ApiError> {
    let (text, now) = (key_in(headers)?, edge.now());
    let (keys, uses) = (&*edge.ports.keys, &*edge.ports.uses);
    match recall_api_key(&edge.ports.key_cache, uses, text, now)? {
        RecalledApiKey::Known(presented) => Ok(presented),
        RecalledApiKey::NotKnown(hash) => Ok(authenticate_api_key(keys, uses, &hash, now).await?),
    }
}
