//! A cluster that answers all but one question as it should.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::Value;

/// What becomes of the answers to requests for tokens. No twist changes a length, so
/// that the rest of the answer stays what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    Honest,
    NoExpiration,
    Expired,
    TooLong,
    Malformed,
}

/// Stands before a cluster that a kubeconfig names.
pub struct ClusterProxy {
    /// The way to the cluster that leads through here.
    pub kubeconfig: String,
    twist: Arc<Mutex<Twist>>,
}

impl ClusterProxy {
    pub fn start(kubeconfig: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut document: Value = serde_saphyr::from_str(kubeconfig).unwrap();
        let cluster = &mut document["clusters"][0]["cluster"];
        let upstream = cluster["server"]
            .as_str()
            .unwrap()
            .trim_start_matches("https://");
        let upstream: SocketAddr = upstream.parse().unwrap();
        let ca = cluster["certificate-authority-data"].as_str().unwrap();
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&STANDARD.decode(ca).unwrap()) {
            roots.add(root.unwrap()).unwrap();
        }
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        cluster["server"] = format!("https://{}", listener.local_addr().unwrap()).into();
        cluster["certificate-authority-data"] = STANDARD.encode(own.cert.pem()).into();
        let twist = Arc::new(Mutex::new(Twist::Honest));
        let (client, server, twisted) = (Arc::new(client), Arc::new(server), Arc::clone(&twist));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = ServerConnection::new(Arc::clone(&server)).unwrap();
                let client = Arc::clone(&client);
                let twist = Arc::clone(&twisted);
                std::thread::spawn(move || {
                    // Whoever hangs up in the middle asks again.
                    let _ = forward(StreamOwned::new(server, stream), client, upstream, &twist);
                });
            }
        });
        Self {
            kubeconfig: document.to_string(),
            twist,
        }
    }

    pub fn twist(&self, twist: Twist) {
        *self.twist.lock().unwrap() = twist;
    }
}

/// One request, and its answer.
fn forward(
    mut asking: StreamOwned<ServerConnection, TcpStream>,
    client: Arc<ClientConfig>,
    upstream: SocketAddr,
    twist: &Mutex<Twist>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        asking.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    asking.read_exact(&mut body)?;

    let name = ServerName::from(upstream.ip());
    let connection = ClientConnection::new(client, name).unwrap();
    let mut asked = StreamOwned::new(connection, TcpStream::connect(upstream)?);
    let kept = head
        .trim_end()
        .lines()
        .filter(|line| !line.to_lowercase().starts_with("connection"));
    let kept: Vec<&str> = kept.collect();
    write!(asked, "{}\r\nconnection: close\r\n\r\n", kept.join("\r\n"))?;
    asked.write_all(&body)?;
    let mut answer = Vec::new();
    if let Err(error) = asked.read_to_end(&mut answer)
        && error.kind() != std::io::ErrorKind::UnexpectedEof
    {
        return Err(error);
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    if path
        .split('?')
        .next()
        .is_some_and(|path| path.ends_with("/token"))
    {
        apply(*twist.lock().unwrap(), &mut answer);
    }
    asking.write_all(&answer)?;
    asking.conn.send_close_notify();
    asking.flush()
}

fn apply(twist: Twist, answer: &mut [u8]) {
    const NAME: &[u8] = b"\"expirationTimestamp\"";
    let Some(at) = answer.windows(NAME.len()).position(|part| part == NAME) else {
        return;
    };
    let value = at + NAME.len();
    let quote = answer[value..]
        .iter()
        .position(|byte| *byte == b'"')
        .unwrap();
    let year = value + quote + 1;
    let mut write = |year_text: &[u8; 4]| answer[year..year + 4].copy_from_slice(year_text);
    match twist {
        Twist::Honest => {}
        Twist::NoExpiration => answer[at + 1] = b'E',
        Twist::Expired => write(b"2001"),
        Twist::TooLong => write(b"2999"),
        Twist::Malformed => write(b"soon"),
    }
}
