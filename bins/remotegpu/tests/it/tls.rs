use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::{ServerConnection, StreamOwned};

use crate::self_signed::self_signed;
use crate::user::User;

const SESSION: &str = r#"{"user":{"email":"me@example.com"},"role":"admin"}"#;

/// A server behind a certificate that no public authority has signed.
pub fn start() -> (String, String) {
    start_answering("")
}

/// The same, which answers a POST with this.
pub fn start_answering(credential: &'static str) -> (String, String) {
    let (config, ca) = self_signed(["127.0.0.1", "server.test"]);
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let mut head = [0; 4096];
            if stream.read(&mut head).unwrap_or(0) > 0 {
                let is_post = head.starts_with(b"POST");
                let body = if is_post { credential } else { SESSION };
                let length = body.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                let _ = stream.write_all((head + body).as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (url, ca)
}

/// An `https://` proxy, at which every server has another certificate that nobody trusts.
pub fn start_proxy() -> (String, String) {
    let (config, ca) = self_signed(["127.0.0.1"]);
    let (of_servers, _) = self_signed(["server.test"]);
    let (config, of_servers) = (Arc::new(config), Arc::new(of_servers));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let head = BufReader::new(&mut stream).lines();
            if head.map_while(Result::ok).any(|line| line.is_empty()) {
                let _ = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
                let connection = ServerConnection::new(Arc::clone(&of_servers)).unwrap();
                let _ = StreamOwned::new(connection, stream).read(&mut [0; 4096]);
            }
        }
    });
    (url, ca)
}

#[test]
fn only_a_certificate_of_a_trusted_authority_is_believed() {
    let (url, pem) = start();
    let user = User::signed_in(&url);
    fs::write(user.home.path().join("ca.pem"), pem).unwrap();
    fs::write(user.home.path().join("empty.pem"), "").unwrap();

    let trusted = user.run(&url, "whoami -o name --ca-file ca.pem");
    assert_eq!(trusted.stdout, "me@example.com\n", "{trusted:?}");

    let refused = user.run(&url, "whoami -o name");
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("certificate"), "{refused:?}");

    let empty = user.run(&url, "whoami --ca-file empty.pem");
    assert_eq!(
        empty.stderr,
        "error: empty.pem holds no certificate; REMOTEGPU_CA_FILE or --ca-file names it\n"
    );
    let missing = user.run(&url, "whoami --ca-file missing.pem");
    assert!(
        missing.stderr.starts_with(
            "error: cannot read missing.pem, which REMOTEGPU_CA_FILE or --ca-file names: "
        ),
        "{missing:?}"
    );
}
