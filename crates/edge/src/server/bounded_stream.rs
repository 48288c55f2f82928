//! A client's stream that ends by itself when the client keeps the server
//! waiting. actix times the first head of an HTTP/1.1 connection and nothing
//! after it: not a second head that trickles, not a client that reads no answers,
//! not what HTTP/2 leaves open.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_http::Protocol;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until, timeout},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{
    connection::Connection,
    goaway::{FrameTracker, GOAWAY},
    stopping::Stopping,
};

/// For so long a client may leave unread what the system's buffers do not hold.
const UNREAD: Duration = Duration::from_secs(20);
/// For so long what a client still sends is read after the server has said its
/// last word. Closing at once would make the system reset the connection, and the
/// client lose the last answer with it (RFC 9112, 9.6).
const LINGER: Duration = Duration::from_secs(1);
/// What actix lets a client know that waits for being asked for its body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// For a request whose body turned out to be no HTTP (contract C5).
const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A stream with deadlines.
pub(super) struct BoundedStream<Io: ClientStream> {
    io: Rc<RefCell<Io>>,
    protocol: Protocol,
    connection: Rc<Connection>,
    stopping: Arc<Stopping>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    is_closing: bool,
    read_timer: Pin<Box<Sleep>>,
    /// Runs while the client does not read.
    write_timer: Option<Pin<Box<Sleep>>>,
    /// The client has said its last word, or is taken to have.
    read_ended: bool,
    /// Runs once the server has said its own.
    linger_timer: Option<Pin<Box<Sleep>>>,
    has_shut_down: bool,
    farewell: Option<Farewell>,
}

/// What a client is reached by.
pub(super) trait ClientStream: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<Io: AsyncRead + AsyncWrite + Unpin + 'static> ClientStream for Io {}

/// GOAWAY on its way.
#[derive(Default)]
struct Farewell {
    frames: FrameTracker,
    sent: usize,
}

impl<Io: ClientStream> BoundedStream<Io> {
    pub(super) fn new(
        io: Io,
        protocol: Protocol,
        connection: Rc<Connection>,
        stopping: Arc<Stopping>,
    ) -> Self {
        Self {
            io: Rc::new(RefCell::new(io)),
            protocol,
            closing: Box::pin(stopping.closing()),
            is_closing: false,
            read_timer: Box::pin(sleep_until(connection.deadline())),
            connection,
            stopping,
            write_timer: None,
            read_ended: false,
            linger_timer: None,
            has_shut_down: false,
            farewell: (protocol == Protocol::Http2).then(Farewell::default),
        }
    }

    pub(super) fn connection(&self) -> Rc<Connection> {
        Rc::clone(&self.connection)
    }

    /// Waits until the server closes or the client's time is over; the latter is
    /// told as the client's own end, which every protocol above can handle.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let unknown = self.connection.wait(cx.waker());
        let closing = self.stopping.is_closing()
            || unknown && !self.is_closing && self.closing.as_mut().poll(cx).is_ready();
        if closing && !self.is_closing {
            self.is_closing = true;
            self.connection.close(Instant::now());
        }
        // Most deadlines are met, and every request has two: the timer is put back
        // only when it has run out.
        loop {
            let deadline = self.connection.deadline();
            if deadline < self.read_timer.deadline() {
                self.read_timer.as_mut().reset(deadline);
            }
            self.connection.wakes_at(self.read_timer.deadline());
            ready!(self.read_timer.as_mut().poll(cx));
            let deadline = self.connection.deadline();
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            self.read_timer.as_mut().reset(deadline);
        }
    }

    /// Fails once the client has left its answers unread for too long.
    fn poll_unread<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let timer = self
            .write_timer
            .get_or_insert_with(|| Box::pin(sleep(UNREAD)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends what is left of GOAWAY, if it is time for it.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(farewell) = &mut self.farewell else {
            return Poll::Ready(Ok(()));
        };
        let due = self.stopping.is_draining() && farewell.frames.between_frames();
        if farewell.sent == 0 && !due {
            return Poll::Ready(Ok(()));
        }
        while farewell.sent < GOAWAY.len() {
            let rest = &GOAWAY[farewell.sent..];
            match ready!(Pin::new(&mut *self.io.borrow_mut()).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => farewell.sent += count,
            }
        }
        self.farewell = None;
        Poll::Ready(Ok(()))
    }

    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.poll_unread(cx),
            done @ Poll::Ready(_) => done,
        }
    }

    /// Reads what nobody wants any more, until the client ends or the time does.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.read_ended {
            ready!(poll_to_the_end(&mut *self.io.borrow_mut(), cx));
            self.read_ended = true;
        }
        Poll::Ready(())
    }

    /// Whether this is dropped while the client still listens: actix has found bytes
    /// that are no HTTP and goes without another word, or with one that the client
    /// would lose.
    fn is_given_up(&self) -> bool {
        self.protocol != Protocol::Http2
            && !self.read_ended
            && !self.has_shut_down
            && !self.stopping.is_closing()
            && !std::thread::panicking()
    }
}

/// actix takes chunks that are none for the client's end and drops the request at once,
/// whose answer may still have been on its way.
impl<Io: ClientStream> Drop for BoundedStream<Io> {
    fn drop(&mut self) {
        if self.is_given_up() {
            let words = if self.connection.awaits_answer() {
                BAD_REQUEST
            } else {
                &[]
            };
            tokio::task::spawn_local(part(Rc::clone(&self.io), words));
        }
    }
}

/// The last words to a client, and the time to hear them.
async fn part<Io: ClientStream>(io: Rc<RefCell<Io>>, mut words: &'static [u8]) {
    let parting = poll_fn(|cx| {
        let io = &mut *io.borrow_mut();
        while !words.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(cx, words)) {
                Ok(count) if count > 0 => words = &words[count..],
                _ => return Poll::Ready(()),
            }
        }
        // Whether it still can be told or not: there is nothing else to do.
        let _ = ready!(Pin::new(&mut *io).poll_shutdown(cx));
        poll_to_the_end(io, cx)
    });
    let _ = timeout(LINGER, parting).await;
}

fn poll_to_the_end(io: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<()> {
    let mut unwanted = [0; 2048];
    loop {
        let mut buffer = ReadBuf::new(&mut unwanted);
        match ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {}
            _ => return Poll::Ready(()),
        }
    }
}

impl<Io: ClientStream> AsyncRead for BoundedStream<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read_ended {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut *this.io.borrow_mut()).poll_read(cx, buffer);
        if let Poll::Ready(read) = read {
            if buffer.filled().len() > before {
                this.connection.received(Instant::now());
            } else {
                this.read_ended = true;
            }
            return Poll::Ready(read);
        }
        let over = this.poll_deadline(cx);
        if this.is_closing
            && let Poll::Ready(sent) = this.poll_farewell(cx)
        {
            sent?;
            let flushed = Pin::new(&mut *this.io.borrow_mut()).poll_flush(cx);
            if let Poll::Ready(flushed) = flushed {
                flushed?;
            }
        }
        ready!(over);
        this.read_ended = true;
        Poll::Ready(Ok(()))
    }
}

impl<Io: ClientStream> AsyncWrite for BoundedStream<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.poll_farewell(cx) {
            Poll::Pending => return this.poll_unread(cx),
            Poll::Ready(sent) => sent?,
        }
        if bytes != CONTINUE {
            this.connection.answers();
        }
        let written = Pin::new(&mut *this.io.borrow_mut()).poll_write(cx, bytes);
        if let (Some(farewell), Poll::Ready(Ok(count))) = (&mut this.farewell, &written) {
            farewell.frames.written(&bytes[..*count]);
        }
        this.poll_written(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.poll_farewell(cx) {
            Poll::Pending => return this.poll_unread(cx),
            Poll::Ready(sent) => sent?,
        }
        this.connection.answers();
        let written = Pin::new(&mut *this.io.borrow_mut()).poll_write_vectored(cx, slices);
        if let (Some(farewell), Poll::Ready(Ok(count))) = (&mut this.farewell, &written) {
            farewell.frames.written_vectored(slices, *count);
        }
        this.poll_written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut *this.io.borrow_mut()).poll_flush(cx);
        match flushed {
            Poll::Pending => this.poll_unread(cx),
            done @ Poll::Ready(_) => {
                // Whoever flushes has written everything before.
                this.write_timer = None;
                done
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let timer = this
            .linger_timer
            .get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if !this.has_shut_down {
            ready!(Pin::new(&mut *this.io.borrow_mut()).poll_shutdown(cx))?;
            this.has_shut_down = true;
            // The client's end may have been declared here: it may still send.
            this.read_ended = false;
        }
        this.poll_linger(cx).map(Ok)
    }
}
