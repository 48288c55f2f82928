//! How requests travel: over connections that are driven where they are used.

use std::{
    error::Error,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{Config, client::ConfigExt};
use tokio::{
    runtime::{Handle, Id},
    time::timeout,
};
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};

use crate::token_file::TokenFile;

/// What goes wrong on the way, the credential's renewal included.
pub(crate) type TransportError = Box<dyn Error + Send + Sync>;

/// How long a connection may be idle. API servers close theirs after 90 seconds, and one
/// that is closed at the very time of a request fails it.
const IDLE: Duration = Duration::from_secs(75);
/// How much of an answer that nobody looks at is read.
const WARM_LIMIT: usize = 64 * 1024;

type Sender = BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, TransportError>;

/// Sends requests to one API server as one user. Clones share all, what replaces it
/// later ([`Transport::replace`]) too.
///
/// The layers are kube's: base URL, credential, impersonation. The client below them
/// is not: each runtime has one of its own, so that an HTTP worker writes a request and
/// reads its answer by itself. Over one client for all, an answer goes from thread to
/// thread four times, which is dearer than all that is done with it. What is dear to
/// make is made once for all: the TLS sessions, and the user's credential.
#[derive(Clone)]
pub(crate) struct Transport {
    shared: Arc<RwLock<Shared>>,
}

struct Shared {
    make: Arc<dyn Fn() -> Sender + Send + Sync>,
    /// One for each runtime that has asked. A few, so that a list is the fastest.
    senders: Vec<Local>,
}

struct Local {
    runtime: Handle,
    sender: Sender,
}

impl Transport {
    /// Reads what the configuration names: certificates, keys, and the user's
    /// credential. Nothing is connected yet.
    pub(crate) fn new(config: &Config, connect_within: Duration) -> Result<Self, kube::Error> {
        let mut config = config.clone();
        let token_file = TokenFile::take(&mut config.auth_info).map_err(kube::Error::Auth)?;
        let credential = config.auth_layer()?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let https = config.rustls_https_connector_with_connector(http)?;
        let mut connector = TimeoutConnector::new(https);
        // The other times are bounded by whoever asks.
        connector.set_connect_timeout(Some(connect_within));
        let (base, headers) = (config.base_uri_layer(), config.extra_headers_layer()?);
        let make = move || {
            let client = Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .build(connector.clone());
            let token_file = token_file.clone();
            let stack = ServiceBuilder::new()
                .layer(&base)
                .option_layer(credential.as_ref())
                .map_request(move |request| match &token_file {
                    Some(file) => file.sign(request),
                    None => request,
                })
                .layer(&headers)
                .map_err(TransportError::from)
                .service(client);
            BoxCloneSyncService::new(stack)
        };
        Ok(Self {
            shared: Arc::new(RwLock::new(Shared {
                make: Arc::new(make),
                senders: Vec::new(),
            })),
        })
    }

    /// Sends whatever comes from now on as `other` does. Requests that are under way end
    /// on their own connections.
    pub(crate) fn replace(&self, other: &Self) {
        let make = Arc::clone(&other.read().make);
        *self.write() = Shared {
            make,
            senders: Vec::new(),
        };
    }

    fn read(&self) -> RwLockReadGuard<'_, Shared> {
        // Every change of it is one step, which leaves no part of one behind.
        self.shared.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shared> {
        self.shared.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request, whose URI is a path, from within a runtime.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TransportError> {
        self.sender().oneshot(request).await
    }

    fn sender(&self) -> Sender {
        let runtime = Handle::current();
        let of_runtime = |senders: &[Local]| {
            let mut senders = senders.iter();
            let found = senders.find(|local| local.runtime.id() == runtime.id())?;
            Some(found.sender.clone())
        };
        let found = of_runtime(&self.read().senders);
        if let Some(sender) = found {
            return sender;
        }
        let mut shared = self.write();
        // Another thread of the same runtime may have been faster.
        of_runtime(&shared.senders).unwrap_or_else(|| {
            let sender = (shared.make)();
            shared.senders.push(Local {
                runtime: runtime.clone(),
                sender: sender.clone(),
            });
            sender
        })
    }

    /// Has each runtime that has asked before ask for `path`, so that it has a connection
    /// that is open, and forgets the runtimes that have ended. What comes of it is
    /// looked at by nobody.
    pub(crate) async fn keep_warm(&self, path: &'static str, within: Duration) {
        let asked = {
            let shared = self.read();
            let asked = shared.senders.iter().map(|local| {
                let sender = local.sender.clone();
                let asking = timeout(within, ask(sender, path));
                let asking = local.runtime.spawn(asking);
                let id = local.runtime.id();
                // A runtime that is busy is not waited for either.
                let asked = timeout(within, asking);
                async move { matches!(asked.await, Ok(Err(_))).then_some(id) }
            });
            join_all(asked.collect::<Vec<_>>())
        };
        let ended: Vec<Id> = asked.await.into_iter().flatten().collect();
        if !ended.is_empty() {
            let senders = &mut self.write().senders;
            senders.retain(|local| !ended.contains(&local.runtime.id()));
        }
    }
}

async fn ask(sender: Sender, path: &'static str) -> Result<(), TransportError> {
    let answer = sender
        .oneshot(Request::get(path).body(Full::default())?)
        .await?;
    // Read to its end, without which the connection is of no more use.
    Limited::new(answer.into_body(), WARM_LIMIT)
        .collect()
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::{SocketAddr, TcpListener, TcpStream},
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Counts connections and requests.
    #[derive(Default)]
    struct Seen {
        connections: AtomicUsize,
        requests: AtomicUsize,
    }

    impl Seen {
        fn counts(&self) -> (usize, usize) {
            let counts = [&self.connections, &self.requests];
            let [connections, requests] = counts.map(|count| count.load(Ordering::SeqCst));
            (connections, requests)
        }
    }

    /// Answers every request with an empty object, on connections that it keeps.
    fn server() -> (SocketAddr, Arc<Seen>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let counting = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                counting.connections.fetch_add(1, Ordering::SeqCst);
                let counting = Arc::clone(&counting);
                thread::spawn(move || serve(stream.unwrap(), &counting));
            }
        });
        (address, seen)
    }

    fn serve(mut stream: TcpStream, seen: &Seen) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while let Some(Ok(line)) = lines.next() {
            if line.is_empty() {
                seen.requests.fetch_add(1, Ordering::SeqCst);
                let answered = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
                answered.unwrap();
            }
        }
    }

    fn transport() -> (Transport, Arc<Seen>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (address, seen) = server();
        let config = Config::new(format!("http://{address}").parse().unwrap());
        (Transport::new(&config, SECOND).unwrap(), seen)
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    async fn get(transport: &Transport) {
        let request = Request::get("/version").body(Full::default()).unwrap();
        let answer = transport.send(request).await.unwrap();
        answer.into_body().collect().await.unwrap();
    }

    #[test]
    fn a_runtime_keeps_a_connection_of_its_own() {
        let (transport, seen) = transport();
        let runtimes = [runtime(), runtime()];
        for _ in 0..3 {
            for runtime in &runtimes {
                runtime.block_on(get(&transport));
            }
        }
        assert_eq!(seen.counts(), (2, 6));
    }

    #[test]
    fn connections_are_kept_warm_where_they_are_and_ended_runtimes_forgotten() {
        let (transport, seen) = transport();
        let ended = runtime();
        ended.block_on(get(&transport));
        drop(ended);
        let other = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        other.block_on(get(&transport));
        let here = runtime();
        here.block_on(async {
            get(&transport).await;
            transport.keep_warm("/version", SECOND).await;
            transport.keep_warm("/version", SECOND).await;
        });
        // Three first requests, and two for each of the two that live.
        assert_eq!(seen.counts(), (3, 7));
        assert_eq!(transport.read().senders.len(), 2);
    }

    #[test]
    fn what_replaces_it_is_used_from_then_on() {
        let ((transport, before), (other, after)) = (transport(), transport());
        let runtimes = [runtime(), runtime()];
        runtimes[0].block_on(get(&transport));
        transport.clone().replace(&other);
        for runtime in &runtimes {
            runtime.block_on(get(&transport));
        }
        assert_eq!((before.counts(), after.counts()), ((1, 1), (2, 2)));
    }
}
