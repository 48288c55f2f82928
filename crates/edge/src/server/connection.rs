//! How long a connection may stay as it is. The stream asks before it waits, and
//! the edge of every request says when one begins and when its answer is gone.
//! Nothing here reads or writes.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use actix_http::Protocol;
use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::ConnectionType,
    web::Bytes,
};
use remotegpu_control_plane::Place;
use tokio::time::{Instant, Sleep, sleep};

use crate::policy::Deadline;

/// From the accepted connection to its first whole head: first byte, TLS
/// handshake and all. Two seconds under the ten that the outside is promised.
pub(super) const FIRST_REQUEST: Duration = Duration::from_secs(8);
/// From a head's first byte to its end.
pub(super) const HEAD: Duration = Duration::from_secs(7);
/// For so long the rest of a body is read that nobody wants, after its answer.
pub(super) const UNREAD_BODY: Duration = Duration::from_secs(2);
/// So much later than a silent stream ends by itself its connection would, which on
/// HTTP/2 carries others too that must not end with it.
const AFTER_STREAM: Duration = Duration::from_secs(1);
/// A client that has so many requests without an answer reads none of them.
const EXCHANGES: usize = 1000;
/// When the server ends: a connection on which nothing happens for so long has
/// no request on its way.
pub(super) const CLOSING_QUIET: Duration = Duration::from_millis(500);

/// One connection, shared by its stream and the requests on it.
#[derive(Debug)]
pub(crate) struct Connection {
    protocol: Protocol,
    keep_alive: Duration,
    opened: Instant,
    times: RefCell<Times>,
    /// Whom to wake when the deadline comes before the one it knows of.
    waiting: RefCell<Option<Waker>>,
    wakes_at: Cell<Instant>,
    exchanges: Cell<u64>,
    /// Whether the client has been told that there is no further request.
    is_over: Cell<bool>,
    /// Whether the latest request has had no byte of an answer.
    awaits_answer: Cell<bool>,
}

#[derive(Debug)]
struct Times {
    /// When each answer has to be gone that is not yet.
    under_way: BTreeMap<u64, Instant>,
    quiet_since: Instant,
    /// When the first byte after the last answer came.
    head_since: Option<Instant>,
    closing_since: Option<Instant>,
}

impl Connection {
    pub(super) fn new(protocol: Protocol, keep_alive: Duration, opened: Instant) -> Rc<Self> {
        Rc::new(Self {
            protocol,
            keep_alive,
            opened,
            times: RefCell::new(Times {
                under_way: BTreeMap::new(),
                quiet_since: opened,
                head_since: None,
                closing_since: None,
            }),
            waiting: RefCell::new(None),
            wakes_at: Cell::new(opened),
            exchanges: Cell::new(0),
            is_over: Cell::new(false),
            awaits_answer: Cell::new(false),
        })
    }

    /// When the client has to have sent something else than it has so far.
    pub(super) fn deadline(&self) -> Instant {
        let times = self.times.borrow();
        if let Some(first) = times.under_way.values().min() {
            let few = times.under_way.len() <= EXCHANGES;
            return if few { *first } else { self.opened };
        }
        if self.is_over.get() {
            return times.quiet_since + UNREAD_BODY;
        }
        let fresh = self.exchanges.get() == 0;
        // HTTP/2 talks between requests too: bytes mean no request there.
        let head = times
            .head_since
            .filter(|_| self.protocol != Protocol::Http2);
        match (head, times.closing_since) {
            (Some(_), _) | (None, None) if fresh => self.opened + FIRST_REQUEST,
            (Some(since), _) => since + HEAD,
            (None, Some(closing)) => closing.max(times.quiet_since) + CLOSING_QUIET,
            (None, None) => times.quiet_since + self.keep_alive,
        }
    }

    /// Some bytes came.
    pub(super) fn received(&self, now: Instant) {
        let mut times = self.times.borrow_mut();
        if times.under_way.is_empty() {
            times.head_since.get_or_insert(now);
        }
    }

    /// The server ends: an idle connection is not waited for any more.
    pub(super) fn close(&self, now: Instant) {
        self.times.borrow_mut().closing_since.get_or_insert(now);
    }

    /// Whom to wake; whether it was somebody else before.
    pub(super) fn wait(&self, waker: &Waker) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let known = waiting.as_ref().is_some_and(|known| known.will_wake(waker));
        if !known {
            *waiting = Some(waker.clone());
        }
        !known
    }

    /// When whoever waits looks again by itself.
    pub(super) fn wakes_at(&self, time: Instant) {
        self.wakes_at.set(time);
    }

    /// Whether a request has come whose answer has not begun.
    pub(super) fn awaits_answer(&self) -> bool {
        self.awaits_answer.get()
    }

    /// An answer goes out.
    pub(super) fn answers(&self) {
        self.awaits_answer.set(false);
    }

    fn begin(&self, now: Instant, time: Duration) -> u64 {
        self.awaits_answer.set(true);
        let number = self.exchanges.get() + 1;
        self.exchanges.set(number);
        {
            let mut times = self.times.borrow_mut();
            times.under_way.insert(number, now + time);
            times.head_since = None;
        }
        self.wake_if_earlier();
        number
    }

    /// A stream begins, or a part of it has come, and the next one has as long.
    fn go_on(&self, number: u64, now: Instant, time: Duration) {
        let deadline = now + time + AFTER_STREAM;
        self.times.borrow_mut().under_way.insert(number, deadline);
        self.wake_if_earlier();
    }

    fn end(&self, number: u64, now: Instant) {
        {
            let mut times = self.times.borrow_mut();
            times.under_way.remove(&number);
            if times.under_way.is_empty() {
                times.quiet_since = now;
            }
        }
        self.wake_if_earlier();
    }

    /// Whoever waits set its timer by an older deadline, and would look too late.
    fn wake_if_earlier(&self) {
        if self.deadline() < self.wakes_at.get()
            && let Some(waker) = &*self.waiting.borrow()
        {
            waker.wake_by_ref();
        }
    }
}

/// One request and its answer: from the head that came to the last byte of the
/// body that was handed on, or given up.
#[derive(Debug)]
pub(crate) struct Exchange {
    of: Option<(Rc<Connection>, u64)>,
    deadline: Deadline,
}

impl Exchange {
    /// Begins with a request. In a test without connections it means nothing.
    pub(crate) fn begin(request: &ServiceRequest, deadline: Deadline) -> Self {
        let connection = request.conn_data::<Rc<Connection>>().cloned();
        let (Deadline::Whole(time) | Deadline::Idle(time)) = deadline;
        let of = connection.map(|connection| {
            let number = connection.begin(Instant::now(), time);
            (connection, number)
        });
        Self { of, deadline }
    }

    /// Goes with the answer until it is gone, and the place with it that the answer
    /// holds, if it is one that does. The `last` one on its connection
    /// says so, because the server ends or nobody reads the rest of the request.
    /// HTTP/2 has other ways for both: GOAWAY, and a stream's own end.
    pub(crate) fn accompany(
        self,
        response: ServiceResponse<BoxBody>,
        last: bool,
        place: Option<Place>,
    ) -> ServiceResponse<BoxBody> {
        if let (true, Some((connection, _))) = (last, &self.of) {
            connection
                .is_over
                .set(connection.protocol != Protocol::Http2);
        }
        let mut response = response.map_body(|_, body| {
            let idle = match self.deadline {
                Deadline::Whole(_) => None,
                Deadline::Idle(time) => {
                    // The connection's time has run since the head, the stream's runs
                    // from here.
                    self.go_on(Instant::now(), time);
                    Some((time, Box::pin(sleep(time))))
                }
            };
            BoxBody::new(AccompaniedBody {
                body,
                exchange: self,
                idle,
                _place: place,
            })
        });
        if last {
            let head = response.response_mut().head_mut();
            head.set_connection_type(ConnectionType::Close);
        }
        response
    }

    fn go_on(&self, now: Instant, time: Duration) {
        if let Some((connection, number)) = &self.of {
            connection.go_on(*number, now, time);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some((connection, number)) = self.of.take() {
            connection.end(number, Instant::now());
        }
    }
}

struct AccompaniedBody {
    body: BoxBody,
    exchange: Exchange,
    /// Runs while a stream has nothing to say.
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
    _place: Option<Place>,
}

impl MessageBody for AccompaniedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_next(cx);
        let Some((time, timer)) = &mut this.idle else {
            return polled;
        };
        if polled.is_pending() {
            ready!(timer.as_mut().poll(cx));
            let silent = io::Error::from(io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(silent.into())));
        }
        let now = Instant::now();
        timer.as_mut().reset(now + *time);
        this.exchange.go_on(now, *time);
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const EXCHANGE: Duration = Duration::from_mins(1);
    const KEEP_ALIVE: Duration = Duration::from_secs(75);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_fresh_connection_has_one_deadline_for_its_first_head() {
        let opened = Instant::now();
        let connection = Connection::new(Protocol::Http1, KEEP_ALIVE, opened);
        assert_eq!(connection.deadline(), opened + FIRST_REQUEST);
        connection.received(opened + seconds(5));
        connection.received(opened + seconds(6));
        assert_eq!(connection.deadline(), opened + FIRST_REQUEST);
    }

    #[test]
    fn a_later_head_is_timed_from_its_first_byte() {
        let opened = Instant::now();
        let connection = Connection::new(Protocol::Http1, KEEP_ALIVE, opened);
        let number = connection.begin(opened, EXCHANGE);
        // These bytes are the request's own body.
        connection.received(opened + seconds(1));
        assert_eq!(connection.deadline(), opened + EXCHANGE);
        connection.end(number, opened + seconds(2));
        assert_eq!(connection.deadline(), opened + seconds(2) + KEEP_ALIVE);
        connection.received(opened + seconds(60));
        connection.received(opened + seconds(66));
        assert_eq!(connection.deadline(), opened + seconds(60) + HEAD);
        connection.begin(opened + seconds(66), EXCHANGE);
        assert_eq!(connection.deadline(), opened + seconds(66) + EXCHANGE);
    }

    #[test]
    fn between_requests_of_http_2_bytes_promise_nothing() {
        let opened = Instant::now();
        let connection = Connection::new(Protocol::Http2, KEEP_ALIVE, opened);
        let number = connection.begin(opened, EXCHANGE);
        connection.end(number, opened);
        connection.received(opened + seconds(70));
        assert_eq!(connection.deadline(), opened + KEEP_ALIVE);
    }

    #[test]
    fn the_first_deadline_counts() {
        let opened = Instant::now();
        let connection = Connection::new(Protocol::Http2, KEEP_ALIVE, opened);
        let first = connection.begin(opened, EXCHANGE);
        let second = connection.begin(opened + seconds(9), EXCHANGE);
        assert_eq!(connection.deadline(), opened + EXCHANGE);
        connection.end(first, opened + seconds(10));
        assert_eq!(connection.deadline(), opened + seconds(9) + EXCHANGE);
        connection.end(second, opened + seconds(11));
        assert_eq!(connection.deadline(), opened + seconds(11) + KEEP_ALIVE);
        for _ in 0..=EXCHANGES {
            connection.begin(opened + seconds(12), EXCHANGE);
        }
        assert_eq!(connection.deadline(), opened);
    }

    #[test]
    fn a_stream_has_as_long_again_with_each_part_and_ends_before_its_connection() {
        let opened = Instant::now();
        let connection = Connection::new(Protocol::Http2, KEEP_ALIVE, opened);
        let stream = connection.begin(opened, seconds(5));
        let other = connection.begin(opened, EXCHANGE);
        assert_eq!(connection.deadline(), opened + seconds(5));
        connection.go_on(stream, opened + seconds(4), seconds(5));
        assert_eq!(connection.deadline(), opened + seconds(9) + AFTER_STREAM);
        connection.go_on(stream, opened + seconds(80), seconds(5));
        assert_eq!(connection.deadline(), opened + EXCHANGE);
        connection.end(other, opened + seconds(81));
        assert_eq!(connection.deadline(), opened + seconds(85) + AFTER_STREAM);
    }

    #[test]
    fn whoever_waits_is_woken_for_an_earlier_deadline_only() {
        let opened = Instant::now();
        let connection = Connection::new(Protocol::Http2, KEEP_ALIVE, opened);
        let woken = Arc::<Woken>::default();
        connection.wait(&Arc::clone(&woken).into());
        connection.wakes_at(opened + seconds(20));
        connection.begin(opened, EXCHANGE);
        assert_eq!(woken.times(), 0, "it looks by itself before");
        let short = connection.begin(opened, seconds(5));
        assert_eq!(woken.times(), 1);
        connection.wakes_at(connection.deadline());
        connection.go_on(short, opened + seconds(1), seconds(5));
        assert_eq!(woken.times(), 1);
        connection.go_on(short, opened + seconds(1), seconds(1));
        assert_eq!(woken.times(), 2);
    }

    #[test]
    fn after_its_last_answer_a_connection_is_soon_over() {
        let opened = Instant::now();
        let connection = Connection::new(Protocol::Http1, KEEP_ALIVE, opened);
        let number = connection.begin(opened, EXCHANGE);
        connection.is_over.set(true);
        connection.end(number, opened + seconds(1));
        connection.received(opened + seconds(2));
        assert_eq!(connection.deadline(), opened + seconds(1) + UNREAD_BODY);
    }

    #[test]
    fn at_the_end_what_is_idle_goes_and_what_is_under_way_stays() {
        let opened = Instant::now();
        let connection = Connection::new(Protocol::Http1, KEEP_ALIVE, opened);
        let closing = opened + seconds(3);
        connection.close(closing);
        assert_eq!(connection.deadline(), closing + CLOSING_QUIET);
        let number = connection.begin(closing, EXCHANGE);
        assert_eq!(connection.deadline(), closing + EXCHANGE);
        connection.end(number, closing + seconds(4));
        assert_eq!(connection.deadline(), closing + seconds(4) + CLOSING_QUIET);
        // Half a request is under way too.
        connection.received(closing + seconds(4));
        assert_eq!(connection.deadline(), closing + seconds(4) + HEAD);
    }
}
