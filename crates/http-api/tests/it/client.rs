//! An HTTP client that sends what it is told, so that odd requests can be sent.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Status, code and detail of a problem document.
    pub fn problem(&self) -> (u16, String, String) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let document = self.json();
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(document["status"], self.status);
        assert_eq!(
            document["type"],
            format!("urn:remotegpu:error:{}", text("code"))
        );
        assert_eq!(
            Some(text("request_id").as_str()),
            self.header("x-request-id")
        );
        (self.status, text("code"), text("detail"))
    }

    /// Everything but what differs between any two answers.
    pub fn comparable(&self) -> (u16, Vec<(String, String)>, Value) {
        let varies = ["x-request-id", "x-remotegpu-time", "date"];
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| !varies.contains(&name.as_str()));
        headers.sort();
        let mut body = self.json();
        body["request_id"] = Value::Null;
        (self.status, headers, body)
    }
}

/// A request that is being written.
#[derive(Debug, Clone)]
pub struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        Self {
            address,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub fn key(self, key: &str) -> Self {
        self.header("x-api-key", key)
    }

    pub fn json(self, body: impl ToString) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        if !self.headers.iter().any(|(name, _)| name == "host") {
            bytes.extend(format!("host: {}\r\n", self.address).bytes());
        }
        for (name, value) in &self.headers {
            bytes.extend(
                name.bytes()
                    .chain(": ".bytes())
                    .chain(value.iter().copied()),
            );
            bytes.extend(b"\r\n");
        }
        if let Some(body) = &self.body {
            bytes.extend(format!("content-length: {}\r\n", body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(self.body.iter().flatten());
        bytes
    }

    pub async fn send(self) -> Answer {
        let closing = self.header("connection", "close");
        let method = closing.method.clone();
        let (address, bytes) = (closing.address, closing.bytes());
        let raw = tokio::task::spawn_blocking(move || exchange(address, &bytes))
            .await
            .unwrap();
        parse(&raw, &method)
    }
}

/// Sends bytes and reads until the server closes.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // The server may close before all is sent; it has answered then.
    let _ = stream.write_all(bytes);
    let mut raw = Vec::new();
    let _ = stream.read_to_end(&mut raw);
    raw
}

pub fn parse(raw: &[u8], method: &str) -> Answer {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(raw)));
    let head = String::from_utf8(raw[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            (name.to_ascii_lowercase(), value.to_owned())
        })
        .collect();
    let body = &raw[end + 4..];
    let answer = Answer {
        status,
        headers,
        body: String::from_utf8_lossy(body).into_owned(),
    };
    let length: Option<usize> = answer
        .header("content-length")
        .and_then(|length| length.parse().ok());
    if method == "HEAD" {
        assert_eq!(body.len(), 0, "a HEAD has no body");
    } else if let Some(length) = length {
        assert_eq!(body.len(), length, "{answer:?}");
    }
    answer
}
