//! The body of an answer to HEAD.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    body::{BodySize, MessageBody},
    web::Bytes,
};

/// Has the size of the body that GET would have, and nothing in it. On HTTP/1 actix would
/// read the body to its end and write none of it: of a stream that has no end, it would do
/// so for ever, and never learn that the client is gone.
pub(super) struct HeadOnly(pub(super) BodySize);

impl MessageBody for HeadOnly {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
