//! Thousands of slow clients at once against one release server, and what a good
//! client feels of them:
//!
//! ```sh
//! cargo bench --bench slow-clients
//! cargo bench --bench slow-clients -- --slowhttptest
//! ```
//!
//! The second form lets Debian's `slowhttptest` join in. It takes a minute, and
//! 7 000 open files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "A measurement fails by panicking and tells its figures to whoever waits."
)]

mod server;
#[path = "../../tests/it/support/slow_clients.rs"]
mod slow_clients;

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::Client;
use server::{Held, Server};
use slow_clients::{Slow, keep_waiting};
use tokio::time::sleep;

/// What a server on the open Internet may meet at once.
const SILENT: usize = 4000;
const HANDSHAKES: usize = 1000;
const HEADS: usize = 1000;
const BODIES: usize = 500;

const QUIET: Duration = Duration::from_secs(15);
/// The good client asks about two hundred times in a second.
const PAUSE: Duration = Duration::from_millis(5);

#[tokio::main]
async fn main() {
    let with_slowhttptest = std::env::args().any(|argument| argument == "--slowhttptest");
    let server = Server::start().await;
    let key = server.key().await;
    let good = server::client();
    let asking = Asking {
        server: &server,
        key: &key,
    };
    asking.latencies(&good, Duration::from_secs(3)).await;
    let before = server.held();
    let quiet = asking.latencies(&good, QUIET).await;

    let others = with_slowhttptest.then(|| slowhttptest(&server));
    let begun = Instant::now();
    let (mut meanwhile, mut most) = (Vec::new(), before);
    let target = server.target();
    let attack = tokio::spawn(async move {
        tokio::join!(
            keep_waiting(target, Slow::Silent, SILENT),
            keep_waiting(target, Slow::Handshake, HANDSHAKES),
            keep_waiting(target, Slow::Head, HEADS),
            keep_waiting(target, Slow::Body, BODIES),
        )
    });
    while !attack.is_finished() {
        meanwhile.extend(asking.latencies(&good, Duration::from_millis(200)).await);
        most = most.max(server.held());
    }
    let dropped = attack.await.expect("the slow clients come to their end");
    let took = begun.elapsed();
    for mut other in others.into_iter().flatten() {
        let _ = other.kill();
        other.wait().unwrap();
    }
    sleep(Duration::from_secs(10)).await;
    let after = server.held();
    let quiet_again = asking.latencies(&good, QUIET).await;

    println!("slow clients, all at once, over TLS: {took:.1?} until the last was gone");
    let (silent, handshakes, heads, bodies) = dropped;
    for all in [silent, handshakes, heads, bodies] {
        println!(
            "{:>12}: {} of {} closed, the last after {:.1?}",
            format!("{:?}", all.slow),
            all.closed,
            all.clients,
            all.longest
        );
    }
    println!("a good client's GET /v1/auth/key, on a connection that it keeps");
    show("quiet", quiet);
    show("meanwhile", meanwhile);
    show("afterwards", quiet_again);
    let Held {
        files,
        resident_kib,
    } = before;
    println!(
        "open files:   {files} before, {} at most, {} after",
        most.files, after.files
    );
    println!(
        "resident MiB: {} before, {} at most, {} after",
        resident_kib / 1024,
        most.resident_kib / 1024,
        after.resident_kib / 1024
    );
    server.stop();
}

struct Asking<'a> {
    server: &'a Server,
    key: &'a str,
}

impl Asking<'_> {
    /// How long each answer takes, for so long.
    async fn latencies(&self, client: &Client, time: Duration) -> Vec<Duration> {
        let url = format!("{}/v1/auth/key", self.server.url);
        let (mut all, end) = (Vec::new(), Instant::now() + time);
        while Instant::now() < end {
            let asked = Instant::now();
            let answer = client.get(&url).header("x-api-key", self.key).send().await;
            let answer = answer.expect("the good client is answered");
            assert_eq!(answer.status(), 200);
            answer.bytes().await.expect("wholly");
            all.push(asked.elapsed());
            sleep(PAUSE).await;
        }
        all
    }
}

fn show(when: &str, mut latencies: Vec<Duration>) {
    latencies.sort();
    let at = |share: f64| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "Some thousands, times a share below one."
        )]
        let index = (latencies.len() as f64 * share) as usize;
        latencies[index]
    };
    println!(
        "{when:>12}: {} answers, p50 {:.2?}, p99 {:.2?}, slowest {:.2?}",
        latencies.len(),
        at(0.5),
        at(0.99),
        latencies[latencies.len() - 1]
    );
}

/// Slow heads, slow bodies and slow reading by a program that is not ours.
fn slowhttptest(server: &Server) -> Vec<Child> {
    let target = format!("{}/v1/auth/key", server.url);
    [
        &["-H", "-c", "500", "-r", "250", "-i", "2"][..],
        &["-B", "-c", "250", "-r", "250", "-i", "2", "-s", "8192"],
        &[
            "-X", "-c", "250", "-r", "250", "-w", "512", "-y", "1024", "-n", "5", "-z", "32",
        ],
    ]
    .into_iter()
    .map(|mode| {
        Command::new("slowhttptest")
            .args(mode)
            .args(["-l", "40", "-u", &target])
            .stdout(Stdio::null())
            .spawn()
            .expect("slowhttptest is installed")
    })
    .collect()
}
