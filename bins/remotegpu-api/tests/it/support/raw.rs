//! Bytes on a socket, for what no HTTP library would send.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// A connection that sends what it is told.
pub struct Raw(TcpStream);

impl Raw {
    pub fn connect(url: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Self(stream)
    }

    /// Sends; a server that has closed already is no fault of the sender's.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.0.write_all(bytes.as_ref());
        self
    }

    /// Says that nothing more is coming.
    pub fn finish(&mut self) -> &mut Self {
        let _ = self.0.shutdown(std::net::Shutdown::Write);
        self
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match self.0.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("the server does not close: {error}; {}", text(&bytes)),
            }
        }
        text(&bytes)
    }

    /// One answer with a body of the length that it declares.
    pub fn answer(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            assert_eq!(
                self.0.read(&mut byte).unwrap(),
                1,
                "cut off: {}",
                text(&bytes)
            );
            bytes.push(byte[0]);
        }
        let head = text(&bytes).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        bytes.extend_from_slice(&body);
        text(&bytes)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
