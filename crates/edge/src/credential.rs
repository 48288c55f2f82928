//! Who is calling: asked before a handler is, by what the route's policy lists, so that
//! no handler can forget it.

use actix_web::{HttpMessage, dev::ServiceRequest, http::header::HeaderMap};
use remotegpu_access_tokens::AccessTokenSecret;
use remotegpu_accounts::{PlainSession, ServiceUserSecret};
use remotegpu_control_plane::{
    NotAllowed, Principal, RecalledApiKey, authenticate_api_key, authenticate_service_user,
    authenticate_session, recall_api_key,
};
use remotegpu_keys::{ApiKeySecret, PresentedKey, SecretKind};

use crate::{
    edge::Edge,
    error::{ApiError, ErrorCode},
    extract::{cluster_credential_in, cookie_name, key_in, session_cookies, token_in},
};

/// Something that proves who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A session, in its cookie or as a Bearer, or a service user's token as a Bearer
    /// (contract A1, A6, T8).
    Session,
    /// A session: a service user is known and refused (contract T8).
    PersonsSession,
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
    /// The ways to prove it.
    pub fn schemes(self) -> &'static [Scheme] {
        match self {
            Self::Session => &[
                Scheme::SessionCookie,
                Scheme::SessionBearer,
                Scheme::ServiceUserBearer,
            ],
            Self::PersonsSession => &[Scheme::SessionCookie, Scheme::SessionBearer],
            Self::SessionCookie => &[Scheme::SessionCookie],
            Self::ApiKey => &[Scheme::ApiKeyHeader, Scheme::ApiKeyBearer],
            // On a listener that no description tells of.
            Self::Cluster | Self::Nothing => &[],
        }
    }
}

/// A way to prove something: a kind of secret at a place where it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A session's secret in its cookie.
    SessionCookie,
    /// A session's secret as a Bearer.
    SessionBearer,
    /// A service user's token as a Bearer.
    ServiceUserBearer,
    /// An API key in a header of its own.
    ApiKeyHeader,
    /// An API key as a Bearer.
    ApiKeyBearer,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::SessionCookie,
        Self::SessionBearer,
        Self::ServiceUserBearer,
        Self::ApiKeyHeader,
        Self::ApiKeyBearer,
    ];

    /// What a description of an API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionCookie => "session_cookie",
            Self::SessionBearer => "access_token",
            Self::ServiceUserBearer => "service_user_token",
            Self::ApiKeyHeader => "api_key",
            Self::ApiKeyBearer => "api_key_bearer",
        }
    }
}

/// Where a request has a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the session's cookie.
    Cookie,
    /// Behind `Authorization: Bearer`.
    Bearer,
    /// In the header for API keys.
    KeyHeader,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cookie, Self::Bearer, Self::KeyHeader];
}

/// Every kind of secret that this product gives to somebody who comes back with it. Which
/// of them counts where is said here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// What a sign-in gives.
    Session,
    /// What a machine that manages comes with (contract T8).
    ServiceUserToken,
    /// What programs have.
    ApiKey,
    /// What opens clusters and nothing else (contract T5).
    AccessToken,
}

impl Secret {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Session,
        Self::ServiceUserToken,
        Self::ApiKey,
        Self::AccessToken,
    ];

    /// What all of the kind begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Session => PlainSession::PREFIX,
            Self::ServiceUserToken => ServiceUserSecret::PREFIX,
            Self::ApiKey => ApiKeySecret::PREFIX,
            Self::AccessToken => AccessTokenSecret::PREFIX,
        }
    }

    /// What a text can be, if it can be anything.
    pub fn of(text: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|secret| text.starts_with(secret.prefix()))
    }

    /// What it proves at this place (contract A1 to A5, T5, T8).
    pub fn scheme(self, place: Place) -> Option<Scheme> {
        match (self, place) {
            (Self::Session, Place::Cookie) => Some(Scheme::SessionCookie),
            (Self::Session, Place::Bearer) => Some(Scheme::SessionBearer),
            (Self::ServiceUserToken, Place::Bearer) => Some(Scheme::ServiceUserBearer),
            (Self::ApiKey, Place::Bearer) => Some(Scheme::ApiKeyBearer),
            (Self::ApiKey, Place::KeyHeader) => Some(Scheme::ApiKeyHeader),
            (Self::Session, Place::KeyHeader)
            | (Self::ServiceUserToken, Place::Cookie | Place::KeyHeader)
            | (Self::ApiKey, Place::Cookie)
            | (Self::AccessToken, _) => None,
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
        Credential::Session | Credential::PersonsSession | Credential::SessionCookie => {
            let headers = request.headers();
            let name = cookie_name(edge.public_url().is_https());
            if credential == Credential::SessionCookie
                && session_cookies(headers, name).next().is_none()
            {
                return Err(ErrorCode::MissingAccessToken.into());
            }
            // A page that looks again by itself is no use of the session (contract A6).
            let by_itself =
                credential == Credential::SessionCookie && headers.contains_key("hx-request");
            let principal = principal(edge, headers, !by_itself).await?;
            let is_person = matches!(principal, Principal::Person(_));
            if !is_person && credential != Credential::Session {
                return Err(NotAllowed::NotForServiceUsers.into());
            }
            request.extensions_mut().insert(principal);
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
        // Whoever looks at a page with a session that has ended is nobody; a program is told.
        ErrorCode::InvalidAccessToken => {
            wanted.contains(&Credential::SessionCookie) && wanted.contains(&Credential::Nothing)
        }
        _ => false,
    }
}

/// Whoever acts for an account. What is neither a session nor a service user's token, each
/// at a place where it counts, is a session that does not count.
async fn principal(edge: &Edge, headers: &HeaderMap, is_use: bool) -> Result<Principal, ApiError> {
    let (text, place) = token_in(headers, edge.public_url().is_https())?;
    let scheme = Secret::of(text).and_then(|secret| secret.scheme(place));
    if scheme == Some(Scheme::ServiceUserBearer) {
        let service_users = &*edge.ports.service_users;
        let context = authenticate_service_user(service_users, text, edge.now()).await?;
        return Ok(Principal::ServiceUser(context));
    }
    let (sessions, policy) = (&*edge.ports.sessions, edge.session_policy());
    let context = authenticate_session(sessions, policy, text, is_use, edge.now()).await?;
    Ok(Principal::Person(context))
}

async fn api_key(edge: &Edge, headers: &HeaderMap) -> Result<PresentedKey, ApiError> {
    let (text, now) = (key_in(headers)?, edge.now());
    let (keys, uses) = (&*edge.ports.keys, &*edge.ports.uses);
    match recall_api_key(&edge.ports.key_cache, uses, text, now)? {
        RecalledApiKey::Known(presented) => Ok(presented),
        RecalledApiKey::NotKnown(hash) => Ok(authenticate_api_key(keys, uses, &hash, now).await?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_is_of_one_secret_at_one_place() {
        // A1 to A5, T5, T8
        for scheme in Scheme::ALL {
            let secrets = Secret::ALL.into_iter();
            let pairs = secrets.flat_map(|secret| Place::ALL.map(|place| (secret, place)));
            let of_it = pairs.filter(|(secret, place)| secret.scheme(*place) == Some(scheme));
            assert_eq!(of_it.count(), 1, "{scheme:?}");
        }
    }

    #[test]
    fn a_secret_is_known_by_how_it_begins() {
        // A3
        for secret in Secret::ALL {
            assert_eq!(Secret::of(&format!("{}x", secret.prefix())), Some(secret));
        }
        assert_eq!(Secret::of("eyJhbGciOi"), None);
    }
}
