//! Why a cluster does not answer, in the words that mend it.

use std::{error::Error, io, time::Duration};

use http::Uri;
use remotegpu_namespaces::ClusterError;
use rustls::CertificateError;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::{
    cluster::{CONNECT_WITHIN, KubeCluster},
    inspection::{Finding, chain, fault},
    request::Fault,
};

/// How long a name server may take.
const RESOLVE_WITHIN: Duration = Duration::from_secs(3);

/// What an error in place of an answer means.
pub(super) async fn diagnose(cluster: &KubeCluster, error: &ClusterError) -> Finding {
    let server = cluster.server();
    let sentence = match fault(error) {
        Some(Fault::Credential) => format!(
            "{server} does not accept the control plane's credential (401): it has ended, or the \
             account that it is of is gone; make a new one"
        ),
        Some(Fault::Renewal) => format!(
            "The control plane has no credential for {server}: the plugin that the kubeconfig \
             names does not bring one; run it as the user that the server runs as"
        ),
        Some(Fault::Status(status)) => {
            format!("{server} answers {}, and nothing else", status.as_u16())
        }
        Some(Fault::NotInKind) => format!(
            "What answers at {server} does not speak like a Kubernetes API server: look at the \
             kubeconfig's server"
        ),
        Some(Fault::Connection(source)) => match certificate(&**source) {
            Some(error) => untrusted(server, error),
            None => connect(server, error).await,
        },
        Some(Fault::Slow) => connect(server, error).await,
        _ => format!("{server} does not answer: {}", chain(error)),
    };
    Finding::wrong(sentence)
}

/// What TLS has found wrong, somewhere below an error of the connection.
fn certificate<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error hides what it was made of from the chain.
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| certificate(inner)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn untrusted(server: &str, error: &rustls::Error) -> String {
    use CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(
            C::NotValidForName | C::NotValidForNameContext { .. },
        ) => {
            format!(
                "The certificate of {server} is not for this name: use one of the names that it \
                 is for ({error})"
            )
        }
        rustls::Error::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => format!(
            "The certificate of {server} does not count at this time: renew it, or set the clocks \
             ({error})"
        ),
        rustls::Error::InvalidCertificate(_) => format!(
            "The certificate of {server} is not signed by the certificate authority that the \
             kubeconfig names: put the cluster's own authority there ({error})"
        ),
        _ => format!("With {server} no TLS connection comes about ({error})"),
    }
}

/// Goes the way to the server step by step, and says at which one it ends.
async fn connect(server: &str, error: &ClusterError) -> String {
    let url: Uri = server.parse().unwrap_or_default();
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(443);
    let addresses = match timeout(RESOLVE_WITHIN, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    if addresses.is_empty() {
        return format!("The name {host} of {server} has no address: look at the name server");
    }
    match timeout(CONNECT_WITHIN, TcpStream::connect(&*addresses)).await {
        Ok(Ok(_)) => format!(
            "{server} takes connections, and does not answer in them: {}",
            chain(error)
        ),
        Ok(Err(refused)) if refused.kind() == io::ErrorKind::ConnectionRefused => {
            format!("{server} refuses the connection: nothing listens there")
        }
        Ok(Err(other)) => format!("{server} cannot be connected to: {other}"),
        Err(_) => format!(
            "{server} does not take a connection within a second: something on the way, such as \
             a firewall, drops it"
        ),
    }
}
