//! Clients that keep a server waiting, as many as one wants. The module stands
//! alone, so that a benchmark can include it.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

/// Nobody waits longer than this for the server to close.
const PATIENCE: Duration = Duration::from_secs(45);
/// In this time all of them come: they are there together, and it is not their
/// arrival that is felt.
const ARRIVAL: Duration = Duration::from_secs(3);
/// How often a slow client sends one more byte.
const PACE: Duration = Duration::from_millis(700);

/// How a client keeps a server waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// It connects and says nothing.
    Silent,
    /// It says hello, wholly or in part, and leaves it at that.
    Handshake,
    /// Its head never ends.
    Head,
    /// Its body never ends.
    Body,
}

/// What became of the clients of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Dropped {
    pub slow: Slow,
    pub clients: usize,
    /// Those that the server has closed or reset.
    pub closed: usize,
    /// From the connection to its end, for the one that stayed longest.
    pub longest: Duration,
}

/// Where the server listens, and whether it speaks TLS there.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub address: SocketAddr,
    pub encrypted: bool,
}

/// Connects so many clients, all of them within [`ARRIVAL`], and waits until the
/// server has got rid of each.
pub async fn keep_waiting(target: Target, slow: Slow, clients: usize) -> Dropped {
    let connector = connector();
    let pause = ARRIVAL / u32::try_from(clients.max(1)).unwrap_or(u32::MAX);
    let mut all = JoinSet::new();
    for number in 0..clients {
        let connector = connector.clone();
        all.spawn(async move {
            sleep(pause * u32::try_from(number).unwrap_or(u32::MAX)).await;
            let begun = Instant::now();
            let one = one(target, slow, number, connector);
            let closed = timeout(PATIENCE, one).await.is_ok();
            (closed, begun.elapsed())
        });
    }
    let ended = all.join_all().await;
    Dropped {
        slow,
        clients,
        closed: ended.iter().filter(|(closed, _)| *closed).count(),
        longest: ended
            .iter()
            .map(|(_, after)| *after)
            .max()
            .unwrap_or_default(),
    }
}

/// One client, until its connection has ended in whatever way.
async fn one(target: Target, slow: Slow, number: usize, connector: TlsConnector) -> io::Result<()> {
    let mut stream = TcpStream::connect(target.address).await?;
    match slow {
        Slow::Silent => trickle(stream, b"", b"").await,
        Slow::Handshake => {
            let hello = client_hello(connector.config())?;
            let said = if number.is_multiple_of(2) {
                &hello[..]
            } else {
                &hello[..hello.len() / 2]
            };
            stream.write_all(said).await?;
            trickle(stream, b"", b"").await
        }
        Slow::Head | Slow::Body => {
            let (first, rest) = request(slow, target.address);
            if target.encrypted {
                let name = ServerName::from(target.address.ip());
                let stream = connector.connect(name, stream).await?;
                trickle(stream, &first, &rest).await
            } else {
                trickle(stream, &first, &rest).await
            }
        }
    }
}

/// What such a client sends at once, and what it sends byte for byte.
fn request(slow: Slow, address: SocketAddr) -> (Vec<u8>, Vec<u8>) {
    let head = format!("POST /v1/auth/sign-in HTTP/1.1\r\nhost: {address}\r\n");
    if slow == Slow::Head {
        return (head.into_bytes(), b"x-padding: ".repeat(10));
    }
    let head = format!("{head}content-type: application/json\r\ncontent-length: 2000\r\n\r\n{{");
    (head.into_bytes(), b" ".repeat(100))
}

/// Sends the first bytes, then one after the other, and reads until the end.
async fn trickle(stream: impl AsyncRead + AsyncWrite, first: &[u8], rest: &[u8]) -> io::Result<()> {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let send = async {
        writing.write_all(first).await?;
        writing.flush().await?;
        for byte in rest {
            sleep(PACE).await;
            writing.write_all(&[*byte]).await?;
            writing.flush().await?;
        }
        // Kept open: only the server's end counts.
        std::future::pending::<io::Result<()>>().await
    };
    let receive = async {
        let mut buffer = [0; 1024];
        while reading.read(&mut buffer).await? > 0 {}
        Ok(())
    };
    tokio::select! {
        // A failed write is no end: what the server said last is still to be read.
        Ok(()) = send => Ok(()),
        ended = receive => ended,
    }
}

fn client_hello(config: &Arc<ClientConfig>) -> io::Result<Vec<u8>> {
    let name = ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
    let mut connection =
        ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello)?;
    Ok(hello)
}

/// A connector that takes every certificate: these clients are no better than
/// their manners.
pub fn connector() -> TlsConnector {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
