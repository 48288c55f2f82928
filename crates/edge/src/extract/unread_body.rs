//! A request's body, from its head to its answer. Whoever answers without having
//! read it must not drop it before: HTTP/2 would reset the stream, and the
//! client may lose the answer over it.
//!
//! With it goes the request's place among those that are worked on, which is left
//! while the client still sends: otherwise a few slow ones would shut the rest out.

use std::{
    cell::{Cell, OnceCell, RefCell},
    fmt,
    rc::Rc,
    time::Duration,
};

use actix_web::{
    HttpMessage, HttpRequest,
    dev::{Payload, ServiceRequest},
    web::BytesMut,
};
use futures_util::StreamExt;
use remotegpu_control_plane::{ConcurrencyLimit, Overloaded, Place};

use crate::{
    error::{ApiError, ErrorCode},
    policy::RoutePolicy,
};

/// A client that sends slower than this is not waited for.
const TIME: Duration = Duration::from_secs(10);

/// How much of a body that nobody wants is read, and for how long.
const DRAINED_BYTES: usize = 1024 * 1024;
const DRAINED_FOR: Duration = Duration::from_secs(1);

/// The body of one request, which the edge keeps and a handler may borrow.
#[derive(Clone)]
pub struct UnreadBody(Rc<Unread>);

struct Unread {
    max_bytes: usize,
    payload: RefCell<Payload>,
    limit: OnceCell<ConcurrencyLimit>,
    place: Cell<Option<Place>>,
}

impl UnreadBody {
    /// Takes the body out of a request and leaves itself for the handler.
    pub(crate) fn keep(request: &mut ServiceRequest, max_bytes: usize) -> Self {
        let kept = Self::new(request.take_payload(), max_bytes);
        request.extensions_mut().insert(kept.clone());
        kept
    }

    /// What the edge kept; in a test without an edge, the body itself.
    pub fn of(request: &HttpRequest, payload: &mut Payload) -> Self {
        let kept = request.extensions().get::<Self>().cloned();
        kept.unwrap_or_else(|| Self::new(payload.take(), RoutePolicy::BODY_LIMIT))
    }

    fn new(payload: Payload, max_bytes: usize) -> Self {
        Self(Rc::new(Unread {
            max_bytes,
            payload: RefCell::new(payload),
            limit: OnceCell::new(),
            place: Cell::new(None),
        }))
    }

    /// All of it, unless it is longer than its route allows or comes too slowly.
    pub async fn read(self) -> Result<BytesMut, ApiError> {
        let mut payload = self.borrow();
        let (broken, limit) = (Cell::new(false), self.0.max_bytes);
        let read = async {
            let mut bytes = BytesMut::new();
            while let Some(chunk) = payload.next().await {
                let chunk = chunk.map_err(|error| {
                    broken.set(true);
                    ApiError::new(ErrorCode::InvalidBody, "The body ended early").because(error)
                })?;
                if bytes.len() + chunk.len() > limit {
                    return Err(ApiError::body_too_large(limit));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        };
        let read = tokio::time::timeout(TIME, read).await;
        // A broken body is answered at once: HTTP/1.1 leaves no moment to wait for
        // the rest of it.
        if !broken.get() {
            self.give_back(payload);
        }
        self.retake_place()?;
        read.unwrap_or_else(|_| {
            let detail = "The body did not arrive in time";
            Err(ApiError::new(ErrorCode::InvalidBody, detail))
        })
    }

    /// Takes a place among the requests that are worked on.
    pub(crate) fn take_place(&self, limit: &ConcurrencyLimit) -> Result<(), Overloaded> {
        let limit = self.0.limit.get_or_init(|| limit.clone());
        self.0.place.set(Some(limit.enter()?));
        Ok(())
    }

    /// Takes a place again after the body was borrowed, if there was one before.
    fn retake_place(&self) -> Result<(), Overloaded> {
        self.0
            .limit
            .get()
            .map_or(Ok(()), |limit| self.take_place(limit))
    }

    /// Lends the body and leaves the request's place. It is given back by
    /// [`UnreadBody::give_back`], unless it turned out to be broken: of such a body
    /// nothing more would ever come.
    fn borrow(&self) -> Payload {
        self.0.place.take();
        Payload::take(&mut self.0.payload.borrow_mut())
    }

    /// Keeps what is left until the answer is on its way.
    fn give_back(&self, payload: Payload) {
        *self.0.payload.borrow_mut() = payload;
    }

    /// The place, for an answer that is still at work.
    pub(crate) fn hand_over_place(&self) -> Option<Place> {
        self.0.place.take()
    }

    /// Reads what nobody has read, within bounds; whether that was all of it.
    pub(crate) async fn drain(&self) -> bool {
        let mut payload = self.borrow();
        if matches!(payload, Payload::None) {
            return true;
        }
        let mut left = DRAINED_BYTES;
        let read = async {
            while let Some(chunk) = payload.next().await {
                let Ok(chunk) = chunk else { return false };
                left = left.saturating_sub(chunk.len());
                if left == 0 {
                    return false;
                }
            }
            true
        };
        // Whether it ended or the time did, the answer goes out now.
        let whole = tokio::time::timeout(DRAINED_FOR, read).await;
        self.give_back(payload);
        whole.unwrap_or(false)
    }
}

impl fmt::Debug for UnreadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnreadBody")
    }
}
