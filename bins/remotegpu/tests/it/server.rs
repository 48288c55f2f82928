//! A server that answers what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Request {
    /// Method and target, such as `GET /v1/auth/session`.
    pub line: String,
    head: String,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub struct Server {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// The clock of every such server, which is none of this machine's.
const DATE: &str = "Sat, 21 Nov 2026 08:00:00 GMT";

/// Status and body.
pub type Answer = (u16, String);

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_raw(move |request| {
            let (status, body) = answer(request);
            let head = format!(
                "HTTP/1.1 {status} Word\r\ncontent-type: application/json\r\ndate: {DATE}\r\n\
                 location: /elsewhere\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            (head + &body).into_bytes()
        })
    }

    pub fn start_raw(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if let Some(request) = read_request(&stream) {
                    log.lock().unwrap().push(request.clone());
                    let _ = (&stream).write_all(&answer(&request));
                }
            }
        });
        Self { url, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The one request that was made.
    pub fn request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && head != "\r\n" {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut request = Request {
        line: line.rsplit_once(' ')?.0.to_owned(),
        head,
        body: String::new(),
    };
    let length = request
        .header("content-length")
        .map_or(Some(0), |text| text.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

pub fn problem(status: u16, code: &str, detail: &str) -> Answer {
    let body = serde_json::json!({
        "type": format!("urn:remotegpu:error:{code}"), "title": "Title", "status": status,
        "detail": detail, "code": code, "request_id": "request-1",
    });
    (status, body.to_string())
}
