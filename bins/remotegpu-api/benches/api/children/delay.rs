//! A relay that holds back what a server answers. Connections pass through as they are,
//! encryption and all, so that nothing but the delay is added: the proxy of the tests,
//! which reads requests, would make a connection for each.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::mpsc,
    time::Instant,
};

/// How many pieces of an answer are held at the most.
const HELD: usize = 1024;

/// Relays connections for ever.
pub async fn relay(listener: TcpListener, to: SocketAddr, delay: Duration) -> Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(async move {
            // Whoever hangs up ends both ways; the other side sees it as it would without
            // the relay.
            let _ = both_ways(client, to, delay).await;
        });
    }
}

async fn both_ways(client: TcpStream, to: SocketAddr, delay: Duration) -> Result<()> {
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(hold_back(from_server, to_client, delay));
    tokio::io::copy(&mut from_client, &mut to_server).await?;
    to_server.shutdown().await?;
    back.await?
}

/// Each piece goes on `delay` after it came, however many come meanwhile.
async fn hold_back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) -> Result<()> {
    let (hold, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(HELD);
    let writing = tokio::spawn(async move {
        while let Some((due, piece)) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    });
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let piece = buffer[..read].to_vec();
        if read == 0 || hold.send((Instant::now() + delay, piece)).await.is_err() {
            break;
        }
    }
    drop(hold);
    Ok(writing.await??)
}
