//! What no HTTP parser takes is everyday on an open port: it gets 400 or an end, and the
//! log of the server holds no error for it (contract C5).

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};

use crate::support::{Backend, Server, ServerOptions, connector, eventually};

/// A client hello as OpenSSL begins it; the rest is its own.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xd1\x7f\x00\x00";

fn inputs() -> Vec<Vec<u8>> {
    let mut inputs: Vec<Vec<u8>> = [
        &b""[..],
        b"\0",
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET /\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost",
        b"GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        b"POST /v1/auth/sign-in HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n{",
        b"POST /v1/auth/sign-in HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n\x80\x81\x82\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x04\x04\0\0\0\0\0\xff\xff\xff\xff",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n",
        b"\x05\x01\0",
        b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
        CLIENT_HELLO,
    ]
    .map(<[u8]>::to_vec)
    .into();
    inputs.push([CLIENT_HELLO, &[0xa5; 2000][..]].concat());
    inputs.push((0..4096_u32).map(|n| (n * 167 % 251) as u8).collect());
    inputs.push([&b"GET /"[..], &b"a".repeat(200_000), b" HTTP/1.1\r\n\r\n"].concat());
    inputs
}

/// How a client leaves.
#[derive(Clone, Copy)]
enum Leaves {
    /// It says that nothing more comes, and reads to the end.
    Politely,
    /// It resets the connection.
    Resets,
}

async fn connect(address: &str) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// The end of a stream is whatever comes: an answer, a reset, or nothing.
async fn leave(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let _ = stream.shutdown().await;
    let mut taken = Vec::new();
    let read = stream.read_to_end(&mut taken);
    let _ = timeout(Duration::from_secs(20), read).await.unwrap();
}

async fn plain(address: &str, input: &[u8], leaves: Leaves) {
    let mut stream = connect(address).await;
    let _ = stream.write_all(input).await;
    match leaves {
        Leaves::Politely => leave(stream).await,
        Leaves::Resets => reset(stream).await,
    }
}

async fn reset(stream: TcpStream) {
    // Late enough for the server to have read.
    tokio::time::sleep(Duration::from_millis(20)).await;
    stream.set_zero_linger().unwrap();
}

/// A client that finishes its handshake, and then sends this.
async fn encrypted(address: &str, alpn: &[&str], input: &[u8], leaves: Leaves) {
    let mut config = connector().config().as_ref().clone();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(name, connect(address).await)
        .await
        .unwrap();
    let _ = stream.write_all(input).await;
    match leaves {
        Leaves::Politely => leave(stream).await,
        Leaves::Resets => reset(stream.into_inner().0).await,
    }
}

/// A client that does not trust the server, and says so in TLS' own words.
async fn distrusts(address: &str) {
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let refused = connector.connect(name, connect(address).await).await;
    refused.unwrap_err();
}

/// Whoever asks for much and does not stay for the answer.
async fn asks_and_resets(address: &str) {
    for _ in 0..5 {
        let mut stream = connect(address).await;
        let ask = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
        for _ in 0..50 {
            let _ = stream.write_all(ask).await;
        }
        stream.set_zero_linger().unwrap();
    }
}

/// The server has taken notice of all that came before, and holds nothing against it.
#[track_caller]
fn check_log(server: &Server) {
    let log = server.log();
    for line in log.lines() {
        assert!(
            !line.contains("ERROR") && !line.contains("panicked"),
            "{line}\n{log}"
        );
    }
}

fn addresses(server: &Server) -> [String; 2] {
    [&server.url, &server.internal_url].map(|url| {
        let address = url.split_once("://").unwrap().1;
        address.to_owned()
    })
}

/// How many files and connections the server holds.
async fn held(server: &Server) -> u32 {
    let metrics = server.metrics().await;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("process_open_fds "));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// So that whatever there is to say of them is said.
async fn all_end(server: &Server, before: u32) {
    eventually("connections end", Duration::from_secs(30), async || {
        held(server).await <= before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_no_error_in_the_log() {
    // C5
    for log in ["text", "json"] {
        let options = ServerOptions::new(Backend::Sqlite).with("log-format", log);
        let server = Server::start_with(options).await;
        let before = held(&server).await;
        for address in addresses(&server) {
            for input in inputs() {
                plain(&address, &input, Leaves::Politely).await;
                plain(&address, &input, Leaves::Resets).await;
            }
            asks_and_resets(&address).await;
        }
        all_end(&server, before).await;
        check_log(&server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_and_no_http_in_tls_is_no_error_in_the_log() {
    // C5, A7
    let server = Server::start_with(ServerOptions::new(Backend::Sqlite).encrypted()).await;
    let before = held(&server).await;
    let [address, _] = addresses(&server);
    for input in inputs() {
        for leaves in [Leaves::Politely, Leaves::Resets] {
            plain(&address, &input, leaves).await;
            for alpn in [&[][..], &["http/1.1"], &["h2"], &["h2", "http/1.1"]] {
                encrypted(&address, alpn, &input, leaves).await;
            }
        }
    }
    distrusts(&address).await;
    asks_and_resets(&address).await;
    all_end(&server, before).await;
    check_log(&server);
}
