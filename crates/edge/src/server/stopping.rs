//! How a listener ends without losing anybody: what is under way, what was
//! accepted, what waits to be.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::dev::ServerHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::edge::Edge;

/// For so long the last connections come in that were begun before the listener
/// refused new ones: a round trip, and a turn of the thread that accepts.
const LAST_CONNECTIONS: Duration = Duration::from_millis(200);

/// What every stream knows about the end.
pub(super) struct Stopping {
    edge: Arc<Edge>,
    closing: CancellationToken,
    is_closing: AtomicBool,
}

impl Stopping {
    pub(super) fn new(edge: Arc<Edge>) -> Arc<Self> {
        let closing = CancellationToken::new();
        Arc::new(Self {
            edge,
            closing,
            is_closing: AtomicBool::new(false),
        })
    }

    /// Whether clients are to go elsewhere with what they have not begun yet.
    pub(super) fn is_draining(&self) -> bool {
        self.edge.is_draining()
    }

    /// Whether idle connections are closed. Every wait asks; the token would have
    /// all threads queue for its lock.
    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.closing.cancel();
    }

    /// Waits until idle connections are closed.
    pub(super) fn closing(&self) -> WaitForCancellationFutureOwned {
        self.closing.clone().cancelled_owned()
    }
}

/// Ends a listener.
pub struct ServerStopper {
    pub(super) handle: ServerHandle,
    pub(super) listener: TcpListener,
    pub(super) stopping: Arc<Stopping>,
}

impl ServerStopper {
    /// Takes no new connection, lets requests finish, for half a minute at the
    /// most, and closes each connection when nothing is on its way there. None is
    /// reset.
    pub async fn stop(self) {
        // The system completes connections by itself and resets those that nobody
        // has accepted when the listener closes. So none may come in any more a
        // moment before that.
        if let Err(error) = refuse_connections(&self.listener) {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, "new connections cannot be held off");
        }
        tokio::time::sleep(LAST_CONNECTIONS).await;
        drop(self.listener);
        self.stopping.close();
        self.handle.stop(true).await;
    }

    /// Ends it at once.
    pub async fn stop_now(self) {
        drop(self.listener);
        self.handle.stop(false).await;
    }
}

/// Lets the system ignore whoever wants to connect from now on. Their next try, a
/// second later, is refused by then. What is connected already is not touched.
#[cfg(target_os = "linux")]
fn refuse_connections(listener: &TcpListener) -> std::io::Result<()> {
    use socket2::{SockFilter, SockRef};
    // In classic BPF, over the TCP header: a segment whose flags are SYN without
    // ACK is dropped, every other one is kept whole.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const FLAGS_AT: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_AT),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
fn refuse_connections(_: &TcpListener) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
