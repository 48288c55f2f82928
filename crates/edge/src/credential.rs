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
    extract::{cluster_credential_in, cookie_name, key_in, session_cookies, token_in},
};

/// Something that proves who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A session, in its cookie or as a Bearer (contract A1, A6).
    Session,
    /// A session in its cookie alone, as browsers send it: the pages' (contract H3).
    SessionCookie,
    /// An API key, in a header of its own or as a Bearer (contract A2, A3).
    ApiKey,
    /// A cluster's own, as a Bearer (contract T6).
    Cluster,
    /// Nothing, after all else: a page says itself what it has for whoever is not signed
    /// in ([`Visitor`](crate::Visitor)), and a session that does not count is none.
    Nothing,
}

impl Credential {
    /// The ways to send it, by the names that a description of an API has for them.
    pub fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Session => &["session_cookie", "access_token"],
            Self::SessionCookie => &["session_cookie"],
            Self::ApiKey => &["api_key", "api_key_bearer"],
            Self::Cluster => &["cluster_credential"],
            Self::Nothing => &[],
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
            Err(error) if is_missing(&error, wanted) => missing = missing.and(Err(error)),
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
        Credential::Session | Credential::SessionCookie => {
            let headers = request.headers();
            let name = cookie_name(edge.public_url().is_https());
            if credential == Credential::SessionCookie
                && session_cookies(headers, name).next().is_none()
            {
                return Err(ErrorCode::MissingAccessToken.into());
            }
            // A page that looks again by itself is no use of the session (contract A6).
            let is_use = credential == Credential::Session || !headers.contains_key("hx-request");
            let context = session(edge, headers, is_use).await?;
            request.extensions_mut().insert(context);
        }
        Credential::ApiKey => {
            let presented = api_key(edge, request.headers()).await?;
            request.extensions_mut().insert(presented);
        }
        Credential::Cluster => {
            let text = cluster_credential_in(request.headers())?;
            let known = edge.ports.cluster_credentials.recognize(text, edge.now())?;
            let cluster = known.ok_or(ErrorCode::InvalidAccessToken)?;
            request.extensions_mut().insert(cluster);
        }
        Credential::Nothing => {}
    }
    Ok(())
}

fn is_missing(error: &ApiError, wanted: &[Credential]) -> bool {
    match error.code() {
        ErrorCode::MissingAccessToken | ErrorCode::MissingApiKey => true,
        ErrorCode::InvalidAccessToken => wanted.contains(&Credential::Nothing),
        _ => false,
    }
}

async fn session(
    edge: &Edge,
    headers: &HeaderMap,
    is_use: bool,
) -> Result<SessionContext, ApiError> {
    let token = token_in(headers, edge.public_url().is_https())?;
    let (sessions, policy) = (&*edge.ports.sessions, edge.session_policy());
    Ok(authenticate_session(sessions, policy, token, is_use, edge.now()).await?)
}

async fn api_key(edge: &Edge, headers: &HeaderMap) -> Result<PresentedKey, ApiError> {
    let (text, now) = (key_in(headers)?, edge.now());
    let (keys, uses) = (&*edge.ports.keys, &*edge.ports.uses);
    match recall_api_key(&edge.ports.key_cache, uses, text, now)? {
        RecalledApiKey::Known(presented) => Ok(presented),
        RecalledApiKey::NotKnown(hash) => Ok(authenticate_api_key(keys, uses, &hash, now).await?),
    }
}
