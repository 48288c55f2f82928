//! What an instance costs that has nothing to do: it looks for work and compares ten
//! thousand namespaces with their cluster.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::Effort;
use crate::{
    children::SlowCluster,
    dataset::{Accounts, Dataset},
    process::{cpu_seconds, memory},
    progress::say,
    report::{Bound, Report},
    server::Server,
    store::{Backend, Store},
};

const ACCOUNTS: usize = 100;
/// Three sweeps.
const WATCHED: Duration = Duration::from_secs(135);
/// Making what the namespaces hold takes this long at the most.
const MADE_WITHIN: Duration = Duration::from_mins(10);

pub fn measure(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    let cluster = SlowCluster::start(Duration::ZERO)?;
    let accounts = Accounts {
        count: ACCOUNTS,
        keys_each: 1,
    };
    let data = Dataset::generate_with_namespaces(&[accounts], effort.namespaces / ACCOUNTS)?;
    let store = Store::filled(backend, &data)?;
    let clusters = format!("bench={}", cluster.kubeconfig().display());
    let server = Server::start(&store, &[("clusters", clusters)])?;
    // The rows say that they are active; the first sweep makes them so.
    let started = Instant::now();
    loop {
        let made = server.metric("namespaces_repaired_total")?;
        if made >= effort.namespaces as u64 {
            break;
        }
        if started.elapsed() > MADE_WITHIN {
            bail!(
                "{made} of {} namespaces after {MADE_WITHIN:?}",
                effort.namespaces
            );
        }
        say(format_args!("{backend}, idle: {made} namespaces stand"));
        thread::sleep(Duration::from_secs(5));
    }
    server.settle(Duration::from_secs(30))?;
    let watched = if effort.quick { WATCHED / 3 } else { WATCHED };
    say(format_args!("{backend}, idle: watching for {watched:?}"));
    let (before, begun) = (cpu_seconds(server.pid())?, Instant::now());
    thread::sleep(watched);
    let used = (cpu_seconds(server.pid())? - before) / begun.elapsed().as_secs_f64();
    let held = memory(server.pid())?;
    let again = server.metric("namespaces_repaired_total")?;
    if again != effort.namespaces as u64 {
        let fault = format!("{} were put right twice", again - effort.namespaces as u64);
        report.note_faults("idle", &backend.to_string(), &[fault]);
    }
    report.promise(
        format!(
            "{backend}: processor of an idle instance with {} namespaces",
            effort.namespaces
        ),
        Bound::AtMost(5.0),
        " %",
        vec![used * 100.0],
    );
    report.remark(format!(
        "{backend}, idle with {} namespaces: {:.0} MB, {:.0} MB at the most.",
        effort.namespaces, held.now, held.peak
    ));
    server.stop().context("the idle server")
}
