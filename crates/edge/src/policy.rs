//! What holds for a route. A front says it once, where it lists the route; nothing
//! else asks for a route's path to know it.

use std::{fmt, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::header};

use crate::{credential::Credential, error::ApiError};

/// What holds for a route, or for all paths under a prefix that are none.
#[derive(Clone, Copy)]
pub struct RoutePolicy {
    /// What a request costs.
    pub class: WorkClass,
    /// Which requests must not come from a page of another site.
    pub csrf: Csrf,
    /// What a request must prove itself with, one of these; none where anybody may come.
    pub credentials: &'static [Credential],
    /// How many bytes a body may have.
    pub body_limit: usize,
    /// How long an answer may take.
    pub deadline: Deadline,
    /// Whether nobody may keep an answer, unless it says otherwise itself.
    pub no_store: bool,
    /// How an error is answered.
    pub errors: ErrorShape,
}

/// What a request costs, and so by which limit it is refused when there are too
/// many (contract C5, section 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkClass {
    /// A password is hashed: tens of milliseconds of a processor.
    Password,
    /// A cluster is asked for a token: several queries, and a cluster's patience.
    Mint,
    /// A cluster asks about somebody, who waits for the answer in the cluster. Whatever else
    /// comes, there is room for these.
    Review,
    /// All other requests.
    Other,
    /// What machines ask about this instance, by whatever name they know it, and must
    /// be told whatever its load.
    Probe,
}

impl WorkClass {
    /// How long it may take until the route itself is asked. `kubectl` waits for a mint, and
    /// its plugin for five seconds (contract X4).
    pub(crate) fn admitted_within(self) -> Option<Duration> {
        (self == Self::Mint).then_some(Duration::from_millis(3_700))
    }
}

/// Which requests that change something are judged by their origin (contract A9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Csrf {
    /// Those that carry the session's cookie.
    WithCookie,
    /// All: these make a session, so that another site could sign a visitor in as
    /// somebody else.
    Always,
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// From a request's head to the last byte of its answer, whatever happens between.
    Whole(Duration),
    /// An answer that comes in parts for as long as it likes: so long without one ends
    /// it. Until then it is at work, and holds its place among those that are.
    Idle(Duration),
}

/// Writes the answer to an error: the error, the request's id, and the request.
pub type ErrorShape = fn(&ApiError, &str, &HttpRequest) -> HttpResponse;

impl RoutePolicy {
    /// How long a body may be where nothing else was agreed on (contract C5).
    pub const BODY_LIMIT: usize = 64 * 1024;
    /// How long an answer may take where nothing else was agreed on.
    pub const DEADLINE: Deadline = Deadline::Whole(Duration::from_mins(1));

    /// Of paths that no front claims: one sentence.
    pub(crate) const NOWHERE: Self = Self {
        class: WorkClass::Other,
        csrf: Csrf::WithCookie,
        credentials: &[],
        body_limit: Self::BODY_LIMIT,
        deadline: Self::DEADLINE,
        no_store: true,
        errors: sentence,
    };
}

fn sentence(error: &ApiError, _: &str, _: &HttpRequest) -> HttpResponse {
    HttpResponse::build(error.code().status())
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .body(error.detail().to_owned())
}

impl fmt::Debug for RoutePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutePolicy")
            .field("class", &self.class)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
