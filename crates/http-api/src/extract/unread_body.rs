//! A request's body, from its head to its answer. Whoever answers without having
//! read it must not drop it before: HTTP/2 would reset the stream, and the
//! client may lose the answer over it.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest,
    dev::{Payload, ServiceRequest},
};
use futures_util::StreamExt;

/// How much of a body that nobody wants is read, and for how long.
const DRAINED_BYTES: usize = 1024 * 1024;
const DRAINED_FOR: Duration = Duration::from_secs(1);

/// The body of one request, which the edge keeps and a handler may borrow.
#[derive(Clone)]
pub(crate) struct UnreadBody(Rc<RefCell<Payload>>);

impl UnreadBody {
    /// Takes the body out of a request and leaves itself for the handler.
    pub(crate) fn keep(request: &mut ServiceRequest) -> Self {
        let kept = Self(Rc::new(RefCell::new(request.take_payload())));
        request.extensions_mut().insert(kept.clone());
        kept
    }

    /// What the edge kept; in a test without an edge, the body itself.
    pub(crate) fn of(request: &HttpRequest, payload: &mut Payload) -> Self {
        let kept = request.extensions().get::<Self>().cloned();
        kept.unwrap_or_else(|| Self(Rc::new(RefCell::new(payload.take()))))
    }

    /// Lends the body. It is given back by [`UnreadBody::give_back`], unless it
    /// turned out to be broken: of such a body nothing more would ever come.
    pub(crate) fn borrow(&self) -> Payload {
        Payload::take(&mut self.0.borrow_mut())
    }

    /// Keeps what is left until the answer is on its way.
    pub(crate) fn give_back(&self, payload: Payload) {
        *self.0.borrow_mut() = payload;
    }

    /// Reads what nobody has read, within bounds; whether that was all of it.
    pub(crate) async fn drain(&self) -> bool {
        let mut payload = self.borrow();
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
