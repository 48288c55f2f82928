//! One connection: a request goes out, an answer comes in.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Interest, Registry, Token, net::TcpStream};

const MOST_HEADERS: usize = 48;

/// What a look at a connection has shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is complete yet.
    Waiting,
    /// The request is answered.
    Answered {
        status: u16,
        closes: bool,
        /// When the client is asked to come again, for whom it was too much.
        retry_after: Option<Duration>,
    },
    /// The server has closed it where nothing was asked.
    Closed,
    /// It is of no more use; why.
    Failed(String),
}

#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    connected: bool,
    /// When the request that is under way began; absent when none is.
    began: Option<Instant>,
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    filled: usize,
}

impl Connection {
    pub fn open(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            connected: false,
            began: None,
            out: Vec::with_capacity(512),
            written: 0,
            input: vec![0; 4096],
            filled: 0,
        })
    }

    pub fn began(&self) -> Option<Instant> {
        self.began
    }

    /// Where the next request is to be written before [`Connection::ask`].
    pub fn request_buffer(&mut self) -> &mut Vec<u8> {
        self.out.clear();
        &mut self.out
    }

    /// Sends what the buffer holds. `began` is when it should have been sent.
    pub fn ask(&mut self, began: Instant) -> Progress {
        self.began = Some(began);
        self.written = 0;
        self.filled = 0;
        self.write()
    }

    /// Goes on after an event.
    pub fn go_on(&mut self) -> Progress {
        if !self.connected {
            match self.connect() {
                Ok(true) => {}
                Ok(false) => return Progress::Waiting,
                Err(error) => return Progress::Failed(format!("no connection: {}", error.kind())),
            }
        }
        match self.write() {
            Progress::Waiting => self.read(),
            failed => failed,
        }
    }

    fn connect(&mut self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.connected = true;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self) -> Progress {
        while self.connected && self.began.is_some() && self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Progress::Failed(format!("while asking: {}", error.kind())),
            }
        }
        Progress::Waiting
    }

    fn read(&mut self) -> Progress {
        loop {
            if self.filled == self.input.len() {
                self.input.resize(self.filled * 2, 0);
            }
            match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) if self.began.is_none() => return Progress::Closed,
                Ok(0) => return Progress::Failed("closed before the answer".to_owned()),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waiting,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Progress::Failed(format!("before the answer: {}", error.kind()));
                }
            }
            match judge(&self.input[..self.filled]) {
                // An answer that is whole is followed by nothing: the next readiness is
                // the next answer's, and no read is wasted on finding nothing.
                answered @ Progress::Answered { .. } if self.began.take().is_some() => {
                    return answered;
                }
                Progress::Answered { .. } => {
                    return Progress::Failed("an answer to nothing".to_owned());
                }
                Progress::Waiting => {}
                other => return other,
            }
        }
    }
}

/// Whether these bytes are a whole answer.
fn judge(bytes: &[u8]) -> Progress {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let head = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Progress::Waiting,
        Err(error) => return Progress::Failed(format!("an answer that is none: {error}")),
    };
    let status = answer.code.unwrap_or_default();
    let find = |name: &str| {
        let mut headers = answer.headers.iter();
        let found = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let length = match find("content-length").map(str::parse::<usize>) {
        Some(Ok(length)) => length,
        None if matches!(status, 204 | 304) => 0,
        _ => return Progress::Failed("an answer without content-length".to_owned()),
    };
    let closes = find("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let retry_after = find("retry-after").filter(|_| status >= 400);
    let retry_after = retry_after.and_then(|seconds| seconds.parse().ok());
    match bytes.len().cmp(&(head + length)) {
        std::cmp::Ordering::Less => Progress::Waiting,
        std::cmp::Ordering::Equal => Progress::Answered {
            status,
            closes,
            retry_after: retry_after.map(Duration::from_secs),
        },
        std::cmp::Ordering::Greater => Progress::Failed("more than the answer".to_owned()),
    }
}
