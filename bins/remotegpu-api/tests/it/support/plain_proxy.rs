//! A proxy that knows TCP alone: each connection goes to the first server that
//! takes it, one that says it is ready if there is one; or to one after the other.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use super::client;

pub struct PlainProxy {
    pub url: String,
    accepting: JoinHandle<()>,
}

impl PlainProxy {
    /// In front of the servers with these URLs.
    pub async fn start(backends: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let backends: Arc<[String]> = backends.into();
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let backends = Arc::clone(&backends);
                tokio::spawn(async move {
                    if let Some(mut server) = connect(&backends).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { url, accepting }
    }
}

impl PlainProxy {
    /// On this port; each connection goes to the next of these servers in turn.
    pub async fn start_in_turn(port: u16, backends: Vec<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn(async move {
            for url in backends.iter().cycle() {
                let Ok((mut client, _)) = listener.accept().await else {
                    break;
                };
                let address = url.trim_start_matches("http://").to_owned();
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(address).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { url, accepting }
    }
}

impl Drop for PlainProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(backends: &[String]) -> Option<TcpStream> {
    let (mut ready, mut other) = (Vec::new(), Vec::new());
    for url in backends {
        let asked = client().get(format!("{url}/readyz")).send();
        match timeout(Duration::from_secs(2), asked).await {
            Ok(Ok(answer)) if answer.status() == 200 => ready.push(url),
            _ => other.push(url),
        }
    }
    for url in ready.into_iter().chain(other) {
        if let Ok(stream) = TcpStream::connect(url.trim_start_matches("http://")).await {
            return Some(stream);
        }
    }
    None
}
