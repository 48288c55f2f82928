//! Clients that keep the server waiting: each is dropped, and nobody else waits.

use std::{
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::support::{
    Backend, Server, ServerOptions, Slow, Stopwatch, Target, client, connector, eventually,
    free_port, keep_waiting,
};

/// What is promised: heads and handshakes, and bodies.
const SOON: Duration = Duration::from_secs(10);
const BODIES: Duration = Duration::from_secs(30);

fn target(server: &Server) -> Target {
    let (scheme, address) = server.url.split_once("://").unwrap();
    Target {
        address: address.parse().unwrap(),
        encrypted: scheme == "https",
    }
}

#[derive(Debug, Clone, Copy)]
struct Held {
    files: usize,
    resident_kib: usize,
}

/// What the process holds, as the system counts it.
fn held(server: &Server) -> Held {
    let folder = format!("/proc/{}", server.pid());
    let status = std::fs::read_to_string(format!("{folder}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.unwrap().trim().trim_end_matches(" kB");
    Held {
        files: std::fs::read_dir(format!("{folder}/fd")).unwrap().count(),
        resident_kib: resident.parse().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_slow_clients_are_dropped_while_a_good_one_is_served() {
    let server = Server::start_with(ServerOptions::new(Backend::Sqlite).encrypted()).await;
    let target = target(&server);
    let good = client();
    let livez = format!("{}/livez", server.url);
    for _ in 0..50 {
        assert_eq!(good.get(&livez).send().await.unwrap().status(), 200);
    }
    let before = held(&server);
    let attack = async {
        tokio::join!(
            keep_waiting(target, Slow::Silent, 400),
            keep_waiting(target, Slow::Handshake, 100),
            keep_waiting(target, Slow::Head, 100),
            keep_waiting(target, Slow::Body, 50),
        )
    };
    let mut attack = std::pin::pin!(attack);
    let (mut answered, mut most) = (0, before);
    let dropped = loop {
        tokio::select! {
            dropped = &mut attack => break dropped,
            () = sleep(Duration::from_millis(20)) => {}
        }
        // On a connection that is kept, and on a new one.
        let new = client();
        for client in [&good, &new] {
            let asked = Stopwatch::start();
            assert_eq!(client.get(&livez).send().await.unwrap().status(), 200);
            assert!(
                !asked.is_over(Duration::from_secs(3)),
                "{:?}",
                asked.elapsed()
            );
            answered += 1;
        }
        let now = held(&server);
        most.files = most.files.max(now.files);
        most.resident_kib = most.resident_kib.max(now.resident_kib);
    };
    assert!(answered >= 100, "{answered} answers");
    assert!(most.files >= before.files + 600, "{before:?} {most:?}");
    let (silent, handshake, head, body) = dropped;
    for dropped in [silent, handshake, head, body] {
        let within = if dropped.slow == Slow::Body {
            BODIES
        } else {
            SOON
        };
        assert_eq!(dropped.closed, dropped.clients, "{dropped:?}");
        assert!(dropped.longest <= within, "{dropped:?}");
    }
    let grown = most.resident_kib.saturating_sub(before.resident_kib);
    assert!(grown < 100 * 1024, "{before:?} {most:?}");
    eventually("every descriptor is given back", SOON, async || {
        // The good client's own connections stay.
        held(&server).files <= before.files + 1
    })
    .await;
}

/// How long the server leaves this connection open, from now on.
async fn until_closed(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Duration {
    let begun = Instant::now();
    let mut buffer = vec![0; 64 * 1024];
    let read = async { while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
    timeout(Duration::from_mins(1), read)
        .await
        .expect("the server does not close");
    begun.elapsed()
}

/// Sends all of it, one byte after the other, while the server may close.
async fn trickled(address: SocketAddr, first: &str, rest: &str) -> Duration {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    writing.write_all(first.as_bytes()).await.unwrap();
    let rest = rest.as_bytes().to_vec();
    let sending = tokio::spawn(async move {
        for byte in rest {
            sleep(Duration::from_millis(300)).await;
            if writing.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        sleep(Duration::from_mins(1)).await;
    });
    let begun = Instant::now();
    let mut buffer = [0; 4096];
    let read = async { while reading.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
    timeout(Duration::from_mins(1), read)
        .await
        .expect("the server does not close");
    sending.abort();
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_request_has_no_more_time_than_the_first() {
    let options = ServerOptions::new(Backend::Sqlite).with("keep-alive-seconds", "3");
    let server = Server::start_with(options).await;
    let address = target(&server).address;
    let get = format!("GET /livez HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let chunked =
        format!("POST /nowhere HTTP/1.1\r\nhost: {address}\r\ntransfer-encoding: chunked\r\n\r\n");
    let sized = format!("POST /nowhere HTTP/1.1\r\nhost: {address}\r\ncontent-length: 900\r\n\r\n");
    let waited_for = format!(
        "POST /v1/auth/sign-in HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n1\r\n{{\r\n"
    );
    let padding = "x-padding: ".repeat(20);
    let many_chunks = "1\r\nx\r\n".repeat(40);
    let (idle, second_head, chunks, unread, awaited, pipelined) = tokio::join!(
        trickled(address, &get, ""),
        trickled(address, &get, &padding),
        // What is refused before its body is read.
        trickled(address, &chunked, &many_chunks),
        trickled(address, &sized, &padding),
        trickled(address, &waited_for, ""),
        never_reads(address, &get),
    );
    assert!((Duration::from_secs(2)..SOON).contains(&idle), "{idle:?}");
    assert!(second_head < SOON, "{second_head:?}");
    for body in [chunks, unread, awaited] {
        assert!(body < BODIES, "{chunks:?} {unread:?} {awaited:?}");
    }
    assert!(pipelined < BODIES, "{pipelined:?}");
}

/// Asks on and on and reads no answer, until the server has had enough.
async fn never_reads(address: SocketAddr, request: &str) -> Duration {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let begun = Instant::now();
    let requests = request.repeat(100);
    let write = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
    timeout(Duration::from_mins(1), write)
        .await
        .expect("the server does not close");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_has_the_same_bounds() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // HEADERS without END_HEADERS for stream 1: it waits for the rest.
    const HALF_A_HEAD: [u8; 10] = [0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82];
    let server = Server::start_with(ServerOptions::new(Backend::Sqlite).encrypted()).await;
    let address = target(&server).address;
    let waits = async |said: &[u8]| {
        let mut config = (**connector().config()).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = connector
            .connect(address.ip().into(), stream)
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream.write_all(said).await.unwrap();
        stream.flush().await.unwrap();
        until_closed(&mut stream).await
    };
    let hello = [PREFACE, &SETTINGS].concat();
    let half_a_head = [PREFACE, &SETTINGS, &HALF_A_HEAD].concat();
    let (nothing, half, settled, head) = tokio::join!(
        waits(b""),
        waits(&PREFACE[..7]),
        waits(&hello),
        waits(&half_a_head),
    );
    for waited in [nothing, half, settled, head] {
        assert!(waited < SOON, "{waited:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    let options = ServerOptions::new(Backend::Sqlite)
        .with("max-connections", "1")
        .with("keep-alive-seconds", "1");
    let server = Server::start_with(options).await;
    let address = target(&server).address;
    // Each of the server's threads takes one.
    let threads = std::thread::available_parallelism().unwrap().get();
    let mut silent = Vec::new();
    for _ in 0..threads {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    sleep(Duration::from_millis(200)).await;
    let asked = Instant::now();
    let livez = client().get(format!("{}/livez", server.url));
    let answer = timeout(Duration::from_secs(20), livez.send()).await;
    assert_eq!(answer.unwrap().unwrap().status(), 200);
    assert!(
        asked.elapsed() > Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_do_not_fit_the_open_files_stop_the_start_if_they_were_asked_for() {
    // R3
    let folder = tempfile::tempdir().unwrap();
    let start = |flags: &str| {
        let (port, internal, dev) = (free_port(), free_port(), free_port());
        let script = format!(
            "ulimit -n 400; exec {} {flags} --listen=127.0.0.1:{port} \
             --internal-listen=127.0.0.1:{internal} --dev-cluster-listen=127.0.0.1:{dev} \
             --data-dir={}",
            env!("CARGO_BIN_EXE_remotegpu-api"),
            folder.path().join("data").display(),
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).env_clear();
        (command, format!("http://127.0.0.1:{port}/livez"))
    };
    let refused = start("--max-connections=1000").0.output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("max_connections: 1000 connections do not fit"),
        "{said}"
    );
    let (mut command, livez) = start("");
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    eventually(
        "the default is lowered",
        Duration::from_secs(20),
        async || {
            client()
                .get(&livez)
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
        },
    )
    .await;
    crate::support::terminate(child.id());
    assert!(child.wait().unwrap().success());
}
