//! An instance that ends takes nobody's request with it.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use crate::support::{Backend, PlainProxy, Server, ServerOptions, client, eventually, terminate};

/// Somebody who asks on one connection after the other, as long as each is kept.
struct Asking {
    address: String,
    request: String,
    answered: usize,
    /// What all together have got.
    total: Arc<AtomicUsize>,
    connections: usize,
    /// Answers that were the last on their connection.
    farewells: usize,
}

/// Why they stopped.
#[derive(Debug, PartialEq, Eq)]
enum Stopped {
    /// The server was told to end, and takes no connection any more.
    Refused,
    Told,
}

impl Asking {
    fn new(address: &str, key: &str, host: &str, total: &Arc<AtomicUsize>) -> Self {
        Self {
            address: address.to_owned(),
            request: format!(
                "GET /v1/auth/key HTTP/1.1\r\nhost: {host}\r\nx-api-key: {key}\r\n\r\n"
            ),
            answered: 0,
            total: Arc::clone(total),
            connections: 0,
            farewells: 0,
        }
    }

    /// Asks until told to stop. A connection that ends anywhere but after an
    /// answer is a request lost, and a failure.
    fn ask(&mut self, told: &AtomicBool) -> Stopped {
        loop {
            let mut stream = match TcpStream::connect(&self.address) {
                Ok(stream) => stream,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    return Stopped::Refused;
                }
                Err(error) => panic!("no connection: {error}"),
            };
            stream.set_nodelay(true).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            self.connections += 1;
            loop {
                stream
                    .write_all(self.request.as_bytes())
                    .expect("the request is taken");
                let answer = self.answer(&mut stream);
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                self.answered += 1;
                self.total.fetch_add(1, Ordering::Relaxed);
                let last = answer.contains("connection: close");
                self.farewells += usize::from(last);
                if last {
                    assert_eq!(
                        stream.read(&mut [0]).unwrap(),
                        0,
                        "it ends after the answer"
                    );
                    break;
                }
                if told.load(Ordering::Relaxed) {
                    return Stopped::Told;
                }
            }
        }
    }

    /// One answer, by its head in lower case.
    fn answer(&self, stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let read = stream.read(&mut chunk).unwrap_or_else(|error| {
                panic!("{error} after {} answers: {bytes:?}", self.answered)
            });
            assert_ne!(read, 0, "a request is lost after {} answers", self.answered);
            bytes.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let lower = head.to_lowercase();
                let length = lower
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                if body.len() == length.unwrap().parse::<usize>().unwrap() {
                    return lower.replace("http/1.1", "HTTP/1.1");
                }
            }
        }
    }
}

/// Waits until so many more answers have come.
async fn answers(total: &AtomicUsize, more: usize) {
    let before = total.load(Ordering::Relaxed);
    eventually("there are answers", Duration::from_secs(30), async || {
        total.load(Ordering::Relaxed) >= before + more
    })
    .await;
}

fn address(url: &str) -> String {
    url.split_once("://").unwrap().1.to_owned()
}

/// SIGTERM while many ask; `close` asks on a new connection every time.
async fn nobody_is_cut_off(drain_seconds: &str, close: bool) {
    let options = ServerOptions::new(Backend::Sqlite).with("drain-seconds", drain_seconds);
    let mut server = Server::start_with(options).await;
    let key = server.operator().await.key(json!({"all": true})).await;
    let own = address(&server.url);
    let (told, total) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (mut asking, told) = (Asking::new(&own, &key.key, &own, &total), Arc::clone(&told));
            if close {
                asking.request = asking
                    .request
                    .replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
            }
            std::thread::spawn(move || {
                let stopped = asking.ask(&told);
                (asking, stopped)
            })
        })
        .collect();
    // Idle connections end too, and keep nobody waiting.
    let mut idle = TcpStream::connect(&own).unwrap();
    let kept = Asking::new(&own, &key.key, &own, &total);
    let mut used = TcpStream::connect(&own).unwrap();
    used.write_all(kept.request.as_bytes()).unwrap();
    kept.answer(&mut used);
    answers(&total, 400).await;
    terminate(server.pid());
    let ended = tokio::task::spawn_blocking(move || {
        let ended: Vec<_> = asking
            .into_iter()
            .map(|asking| asking.join().unwrap())
            .collect();
        for stream in [&mut idle, &mut used] {
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            assert_eq!(
                stream.read(&mut [0]).unwrap(),
                0,
                "an idle connection ends cleanly"
            );
        }
        ended
    });
    for (asking, stopped) in ended.await.unwrap() {
        assert_eq!(stopped, Stopped::Refused);
        assert!(asking.farewells > 0);
        // Whoever drains takes new connections in the meantime.
        assert!(asking.connections > 1 || drain_seconds == "0");
    }
    assert!(server.wait().success(), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_resets_no_kept_connection() {
    nobody_is_cut_off("0", false).await;
    nobody_is_cut_off("1", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_resets_no_new_connection() {
    nobody_is_cut_off("0", true).await;
    nobody_is_cut_off("1", true).await;
}

/// The client chose a connection that was ending, and has sent nothing on it: by the
/// time that the request came to the connection, that had no place for it any more.
fn was_not_sent(error: &reqwest::Error) -> bool {
    let told = format!("{error:?}");
    told.contains("Canceled") || told.contains("ChannelClosed")
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_a_signal_loses_no_request() {
    for drain in ["0", "1"] {
        let options = ServerOptions::new(Backend::Sqlite).with("drain-seconds", drain);
        let mut server = Server::start_with(options.encrypted()).await;
        let total = Arc::new(AtomicUsize::new(0));
        let asking: Vec<_> = (0..4)
            .map(|_| {
                let total = Arc::clone(&total);
                let (http, livez) = (client(), format!("{}/livez", server.url));
                tokio::spawn(async move {
                    loop {
                        match http.get(&livez).send().await {
                            Ok(answer) => {
                                assert_eq!(answer.version(), reqwest::Version::HTTP_2);
                                assert_eq!(answer.status(), 200);
                                answer.bytes().await.unwrap();
                                total.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) if error.is_connect() => return,
                            Err(error) if was_not_sent(&error) => {}
                            Err(error) => panic!("a request is lost: {error:?}"),
                        }
                    }
                })
            })
            .collect();
        answers(&total, 100).await;
        terminate(server.pid());
        for asking in asking {
            asking.await.unwrap();
        }
        assert!(server.wait().success(), "{}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_each_instance_in_turn_loses_no_request() {
    let options = ServerOptions::new(Backend::Postgres)
        .with("drain-seconds", "1")
        .with("extra-hosts", "api.example.org");
    let mut first = Server::start_with(options).await;
    let mut second = first.second_instance().await;
    let key = first.operator().await.key(json!({"all": true})).await;
    let proxy = PlainProxy::start(vec![first.url.clone(), second.url.clone()]).await;
    let (told, total) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let mut asking = Asking::new(&address(&proxy.url), &key.key, "api.example.org", &total);
            let told = Arc::clone(&told);
            std::thread::spawn(move || {
                let stopped = asking.ask(&told);
                (asking, stopped)
            })
        })
        .collect();
    answers(&total, 50).await;
    for server in [&mut first, &mut second] {
        server.restart().await;
        answers(&total, 50).await;
    }
    told.store(true, Ordering::Relaxed);
    for asking in asking {
        let (asking, stopped) = asking.join().unwrap();
        assert_eq!(stopped, Stopped::Told);
        assert!(asking.connections > 1, "no restart was felt");
    }
}
