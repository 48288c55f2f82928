//! A request's body, from its head to its answer. Whoever answers without having
//! read it must not drop it before: HTTP/2 would reset the stream, and the
//! client may lose the answer over it.
//!
//! With it goes the request's place among those that are worked on, which is left
//! while the client still sends: otherwise a few slow ones would shut the rest out.

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    time::Duration,
};

use actix_web::{
    HttpMessage, HttpRequest,
    dev::{Payload, ServiceRequest},
};
use futures_util::StreamExt;
use remotegpu_control_plane::{ConcurrencyLimit, Overloaded, Place};

/// How much of a body that nobody wants is read, and for how long.
const DRAINED_BYTES: usize = 1024 * 1024;
const DRAINED_FOR: Duration = Duration::from_secs(1);

/// The body of one request, which the edge keeps and a handler may borrow.
#[derive(Clone)]
pub(crate) struct UnreadBody(Rc<Unread>);

struct Unread {
    payload: RefCell<Payload>,
    limit: OnceCell<ConcurrencyLimit>,
    place: Cell<Option<Place>>,
}

impl UnreadBody {
    /// Takes the body out of a request and leaves itself for the handler.
    pub(crate) fn keep(request: &mut ServiceRequest) -> Self {
        let kept = Self::new(request.take_payload());
        request.extensions_mut().insert(kept.clone());
        kept
    }

    /// What the edge kept; in a test without an edge, the body itself.
    pub(crate) fn of(request: &HttpRequest, payload: &mut Payload) -> Self {
        let kept = request.extensions().get::<Self>().cloned();
        kept.unwrap_or_else(|| Self::new(payload.take()))
    }

    fn new(payload: Payload) -> Self {
        Self(Rc::new(Unread {
            payload: RefCell::new(payload),
            limit: OnceCell::new(),
            place: Cell::new(None),
        }))
    }

    /// Takes a place among the requests that are worked on.
    pub(crate) fn take_place(&self, limit: &ConcurrencyLimit) -> Result<(), Overloaded> {
        let limit = self.0.limit.get_or_init(|| limit.clone());
        self.0.place.set(Some(limit.enter()?));
        Ok(())
    }

    /// Takes a place again after the body was borrowed, if there was one before.
    pub(crate) fn retake_place(&self) -> Result<(), Overloaded> {
        self.0
            .limit
            .get()
            .map_or(Ok(()), |limit| self.take_place(limit))
    }

    /// Lends the body and leaves the request's place. It is given back by
    /// [`UnreadBody::give_back`], unless it turned out to be broken: of such a body
    /// nothing more would ever come.
    pub(crate) fn borrow(&self) -> Payload {
        self.0.place.take();
        Payload::take(&mut self.0.payload.borrow_mut())
    }

    /// Keeps what is left until the answer is on its way.
    pub(crate) fn give_back(&self, payload: Payload) {
        *self.0.payload.borrow_mut() = payload;
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
