//! Thousands of clients that keep the server waiting, all at once, and what a good one
//! feels of them. None of them reaches the database, so that one is enough.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use reqwest::Client;
use tokio::{
    runtime::{Builder, Handle},
    time::sleep,
};

use super::Effort;
use crate::{
    dataset::{Accounts, Dataset},
    load::Sample,
    process::{memory, open_files},
    progress::say,
    report::{Bound, Report},
    rounds::KEY_PATH,
    server::Server,
    store::{Backend, Store},
};
use clients::{Dropped, Slow, Target, keep_waiting};

#[allow(
    clippy::expect_used,
    reason = "it is shared with the tests, which fail by panicking"
)]
#[path = "../../../tests/it/support/slow_clients.rs"]
mod clients;

/// What a server on the open Internet may meet at once, and how soon it gets rid of
/// each, in seconds.
const CROWD: [(Slow, usize, f64); 4] = [
    (Slow::Silent, 4_000, 10.0),
    (Slow::Handshake, 1_000, 10.0),
    (Slow::Head, 1_000, 10.0),
    (Slow::Body, 500, 30.0),
];
/// The good client asks about two hundred times in a second.
const PAUSE: Duration = Duration::from_millis(5);
/// How long after the last of them the server has for putting things away.
const AFTERWARDS: Duration = Duration::from_secs(10);

pub fn measure(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    let data = Dataset::generate(&[Accounts::for_keys(effort.few_keys)])?;
    let store = Store::filled(backend, &data)?;
    let certificate = tempfile::tempdir()?;
    let server = Server::start(&store, &tls_settings(certificate.path())?)?;
    // The good client has a thread of its own, and the crowd, which would be on other
    // machines, gets what is left of the processor: the good client is to feel the
    // server, not the crowd's own handshakes.
    let crowd = Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(|| {
            // Where it is refused, the figures are worse than they need be.
            let _ = rustix::process::nice(19);
        })
        .enable_all()
        .build()?;
    let good = Builder::new_current_thread().enable_all().build()?;
    let seen = good.block_on(attack(&server, data.keys.get(0), effort, crowd.handle()))?;
    tell(&seen, report)?;
    server.stop()
}

/// A certificate of this run's own.
fn tls_settings(folder: &Path) -> Result<[(&'static str, String); 2]> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        Ok::<_, anyhow::Error>(path.display().to_string())
    };
    Ok([
        ("tls-cert", write("tls.crt", made.cert.pem())?),
        (
            "tls-key",
            write("tls.key", made.signing_key.serialize_pem())?,
        ),
    ])
}

/// What the server held and the good client felt.
struct Seen {
    quiet: Sample,
    meanwhile: Sample,
    dropped: [Dropped; 4],
    before: Held,
    most: Held,
    after: Held,
    with_slowhttptest: bool,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    files: f64,
    memory: f64,
}

impl Held {
    fn by(server: &Server) -> Result<Self> {
        Ok(Self {
            files: open_files(server.pid())?,
            memory: memory(server.pid())?.now,
        })
    }
}

async fn attack(server: &Server, key: &str, effort: Effort, crowd: &Handle) -> Result<Seen> {
    let client = Client::builder()
        .no_proxy()
        .http1_only()
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    let good = Good {
        client,
        url: format!("https://{}{KEY_PATH}", server.address),
        key,
    };
    good.ask(effort.slice).await?;
    let before = Held::by(server)?;
    say("slow clients: quiet");
    let quiet = good.ask(effort.slice * 5).await?;

    say("slow clients: all at once");
    let mut others = if effort.slowhttptest {
        slowhttptest(&good.url)?
    } else {
        Vec::new()
    };
    let target = Target {
        address: server.address,
        encrypted: true,
    };
    let [silent, handshakes, heads, bodies] =
        CROWD.map(|(slow, clients, _)| keep_waiting(target, slow, effort.crowd(clients)));
    let crowd = crowd.spawn(async { tokio::join!(silent, handshakes, heads, bodies) });
    let (mut meanwhile, mut most) = (Sample::default(), before);
    while !crowd.is_finished() {
        let part = good.ask(Duration::from_millis(200)).await?;
        let seconds = meanwhile.seconds + part.seconds;
        meanwhile.merge(&part);
        meanwhile.seconds = seconds;
        let held = Held::by(server)?;
        most.files = most.files.max(held.files);
        most.memory = most.memory.max(held.memory);
    }
    let (silent, handshakes, heads, bodies) = crowd.await?;
    for other in &mut others {
        other.kill()?;
        other.wait()?;
    }
    sleep(AFTERWARDS).await;
    Ok(Seen {
        quiet,
        meanwhile,
        dropped: [silent, handshakes, heads, bodies],
        before,
        most,
        after: Held::by(server)?,
        with_slowhttptest: effort.slowhttptest,
    })
}

/// A client that keeps its connection and takes its answers.
struct Good<'a> {
    client: Client,
    url: String,
    key: &'a str,
}

impl Good<'_> {
    async fn ask(&self, time: Duration) -> Result<Sample> {
        let (mut sample, begun) = (Sample::default(), Instant::now());
        while begun.elapsed() < time {
            let asked = Instant::now();
            let request = self.client.get(&self.url).header("x-api-key", self.key);
            match request.send().await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    answer.bytes().await?;
                    sample.answered(status, asked.elapsed());
                }
                Err(_) => sample.failed("the good client was not answered"),
            }
            sleep(PAUSE).await;
        }
        sample.seconds = begun.elapsed().as_secs_f64();
        Ok(sample)
    }
}

fn tell(seen: &Seen, report: &mut Report) -> Result<()> {
    const WHAT: &str = "Slow clients";
    for (dropped, (_, _, bound)) in seen.dropped.iter().zip(CROWD) {
        let (slow, closed, clients) = (dropped.slow, dropped.closed, dropped.clients);
        report.promise(
            format!("{WHAT}: {clients} of the kind `{slow:?}`, until the last one is gone"),
            Bound::AtMost(bound),
            " s",
            vec![dropped.longest.as_secs_f64()],
        );
        if closed != clients {
            let fault = format!("{} of {clients} were not closed", clients - closed);
            report.note_faults(WHAT, &format!("{slow:?}"), &[fault]);
        }
    }
    let p99 = |sample: &Sample| sample.quantile(200, 0.99).context("no answers");
    report.promise(
        format!("{WHAT}: p99 of a good client meanwhile / quiet"),
        Bound::AtMost(2.0),
        "",
        vec![p99(&seen.meanwhile)? / p99(&seen.quiet)?],
    );
    report.promise(
        format!("{WHAT}: growth of memory"),
        Bound::AtMost(100.0),
        " MB",
        vec![seen.most.memory - seen.before.memory],
    );
    report.promise(
        format!("{WHAT}: open files afterwards, beyond those before"),
        Bound::AtMost(0.0),
        "",
        vec![seen.after.files - seen.before.files],
    );
    for (name, sample) in [("quiet", &seen.quiet), ("meanwhile", &seen.meanwhile)] {
        let name = format!("a good client over TLS, {name}");
        report.figures(WHAT, &name, 200, std::slice::from_ref(sample));
        report.note_faults(WHAT, &name, &sample.faults(&[200]));
    }
    let Held { files, memory } = seen.most;
    let others = if seen.with_slowhttptest {
        ", `slowhttptest` among them"
    } else {
        ""
    };
    report.remark(format!(
        "{WHAT}{others}: at the most {files:.0} open files and {memory:.0} MB; {:.0} MB before, \
         {:.0} MB afterwards.",
        seen.before.memory, seen.after.memory
    ));
    Ok(())
}

/// Slow heads, slow bodies and slow reading by a program that is not ours.
fn slowhttptest(url: &str) -> Result<Vec<Child>> {
    let modes = [
        &["-H", "-c", "500", "-r", "250", "-i", "2"][..],
        &["-B", "-c", "250", "-r", "250", "-i", "2", "-s", "8192"],
        &[
            "-X", "-c", "250", "-r", "250", "-w", "512", "-y", "1024", "-n", "5", "-z", "32",
        ],
    ];
    let start = |mode: &&[&str]| {
        Command::new("slowhttptest")
            .args(*mode)
            .args(["-l", "40", "-u", url])
            .stdout(Stdio::null())
            .spawn()
            .context("slowhttptest, Debian's package of that name")
    };
    modes.iter().map(start).collect()
}
