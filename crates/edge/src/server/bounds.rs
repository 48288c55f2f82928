//! From an accepted connection to a stream with deadlines.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use actix_http::{Protocol, error::DispatchError};
use actix_web::rt::net::TcpStream;
use rustls::server::Acceptor;
use tokio::{
    sync::Mutex,
    task::yield_now,
    time::{Instant, sleep, timeout_at},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tokio_util::either::Either;

use super::{
    ServerLimits,
    bounded_stream::BoundedStream,
    connection::{CLOSING_QUIET, Connection, FIRST_REQUEST},
    stopping::Stopping,
};
use crate::edge::Edge;

/// A connection, encrypted or not.
pub(super) type ClientIo = Either<TcpStream, TlsStream<TcpStream>>;

/// What holds for the connections of one listener.
#[derive(Clone)]
pub(super) struct Bounds {
    pub(super) stopping: Arc<Stopping>,
    pub(super) workers: usize,
    max_connections: usize,
    keep_alive: Duration,
    tls: Option<Arc<rustls::ServerConfig>>,
    turn: Arc<Mutex<()>>,
}

impl Bounds {
    pub(super) fn new(
        edge: Arc<Edge>,
        tls: Option<rustls::ServerConfig>,
        limits: ServerLimits,
    ) -> Self {
        let tls = tls.map(|mut config| {
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Arc::new(config)
        });
        Self {
            stopping: Stopping::new(edge),
            workers: limits.workers,
            max_connections: limits.max_connections,
            keep_alive: limits.keep_alive,
            tls,
            turn: Arc::default(),
        }
    }

    /// The same for another thread, whose handshakes wait for no other's.
    pub(super) fn for_thread(&self) -> Self {
        Self {
            turn: Arc::default(),
            ..self.clone()
        }
    }

    /// actix counts for each worker by itself.
    pub(super) fn connections_per_worker(&self) -> usize {
        self.max_connections.div_ceil(self.workers).max(1)
    }

    /// Waits for the client's first byte and the handshake. Nothing is made for a
    /// client that says nothing: thousands of them cost a socket each and little
    /// memory.
    pub(super) async fn open(
        self,
        client: TcpStream,
    ) -> Result<(BoundedStream<ClientIo>, Protocol, Option<SocketAddr>), DispatchError> {
        let opened = Instant::now();
        let deadline = opened + FIRST_REQUEST;
        let address = client.peer_addr().ok();
        // An answer is written at once, and waits for no acknowledgement.
        client.set_nodelay(true)?;
        self.first_byte(&client, deadline).await?;
        let (io, protocol) = match &self.tls {
            None => (Either::Left(client), Protocol::Http1),
            Some(tls) => {
                let encrypted = timeout_at(deadline, self.handshake(tls, client)).await;
                let encrypted = encrypted.map_err(|_| timed_out())??;
                let protocol = match encrypted.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                (Either::Right(encrypted), protocol)
            }
        };
        let connection = Connection::new(protocol, self.keep_alive, opened);
        let stream = BoundedStream::new(io, protocol, connection, self.stopping);
        Ok((stream, protocol, address))
    }

    /// To answer a client's hello is by far the dearest thing that a stranger can ask
    /// for. Each thread answers one, whole as it is by then, and then looks what else
    /// there is to do: however many come at once, who is connected waits for one.
    async fn handshake(
        &self,
        tls: &Arc<rustls::ServerConfig>,
        client: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), client).await?;
        let mut handshake = pin!(hello.into_stream(Arc::clone(tls)));
        {
            let _turn = self.turn.lock().await;
            let step = poll_fn(|cx| Poll::Ready(handshake.as_mut().poll(cx))).await;
            if let Poll::Ready(done) = step {
                return done;
            }
            yield_now().await;
        }
        handshake.await
    }

    async fn first_byte(&self, client: &TcpStream, deadline: Instant) -> io::Result<()> {
        let first_byte = client.readable();
        let ended = async {
            self.stopping.closing().await;
            // What the client has sent may still be on its way.
            sleep(CLOSING_QUIET).await;
        };
        let read = async {
            tokio::select! {
                biased;
                readable = first_byte => readable,
                () = ended => Err(timed_out()),
            }
        };
        timeout_at(deadline, read).await.map_err(|_| timed_out())?
    }
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}
