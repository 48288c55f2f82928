//! A server on this machine that says what a test tells it to.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// A server that gives the same answer to everyone and keeps what it was asked.
pub struct CannedServer {
    pub url: String,
    requests: Receiver<String>,
}

impl CannedServer {
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::answering_when(answer, |_| ())
    }

    /// Runs `before` when a request has come, ahead of the answer.
    pub fn answering_when(
        answer: impl Into<Vec<u8>>,
        mut before: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        let answer = answer.into();
        Self::answering_each(move |request| {
            before(request);
            answer.clone()
        })
    }

    /// Each request has its own answer.
    pub fn answering_each(mut answer: impl FnMut(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "http://{}/v1/kubernetes/namespaces/0198/exec-credential",
            listener.local_addr().unwrap()
        );
        let (sender, requests): (Sender<String>, _) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let request = read_head(&mut stream);
                let answer = answer(&request);
                let _ = sender.send(request);
                let _ = stream.write_all(&answer);
            }
        });
        Self { url, requests }
    }

    pub fn with_status(status: u16, body: &str) -> Self {
        Self::answering(http(status, body.as_bytes()))
    }

    /// The server's address without a path.
    pub fn origin(&self) -> &str {
        self.url.split("/v1").next().unwrap()
    }

    pub fn request(&self) -> String {
        self.requests.recv_timeout(Duration::from_secs(5)).unwrap()
    }

    pub fn assert_unasked(&self) {
        assert!(self.requests.try_recv().is_err(), "the server was asked");
    }
}

pub fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

pub fn http(status: u16, body: &[u8]) -> Vec<u8> {
    http_with(status, "", body)
}

/// The same with more headers, each with its line end.
pub fn http_with(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} Word\r\ncontent-type: application/problem+json\r\n{headers}\
         location: /elsewhere\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
