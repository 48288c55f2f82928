//! What an instance costs that has nothing to do: it looks for work and compares ten
//! thousand namespaces, or a hundred thousand identities and more, with their cluster.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::Effort;
use crate::{
    children::{ListServer, SlowCluster},
    dataset::{Accounts, Dataset, Extent},
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
    let extent = Extent {
        namespaces: effort.namespaces / ACCOUNTS,
        ..Extent::default()
    };
    let data = Dataset::generate_with(&[accounts], extent)?;
    let store = Store::filled(backend, &data)?;
    let clusters = format!("bench={}", cluster.kubeconfig().display());
    let server = Server::start(&store, &[("clusters", clusters)])?;
    // The rows say that they are active; the first sweep makes them so.
    let started = Instant::now();
    loop {
        let made = server.metric("remotegpu_namespaces_repaired_total")?;
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
    let again = server.metric("remotegpu_namespaces_repaired_total")?;
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

/// So many namespaces each account has that has identities.
const NAMESPACES: usize = 10;
/// A sweep over everything takes this long at the most.
const SWEPT_WITHIN: Duration = Duration::from_mins(10);
/// So much more memory may be held at the most than with a tenth of the identities, in
/// MB for each hundred thousand: what is kept of them is seventeen bytes each, and as
/// much again while it grows.
const GROWTH: f64 = 5.0;

/// What the identities of a cluster cost: with two instances, and when there are ten
/// times as many.
pub fn measure_identities(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    let few = sweep_identities(backend, effort, report, effort.identities, 2)?;
    let many = sweep_identities(backend, effort, report, effort.most_identities, 1)?;
    let more = u32::try_from(effort.most_identities - effort.identities)?;
    let more = f64::from(more) / 100_000.0;
    report.promise(
        format!(
            "{backend}: memory of an instance with {} identities beyond that with {}",
            effort.most_identities, effort.identities
        ),
        Bound::AtMost((GROWTH * more).max(10.0)),
        " MB",
        vec![many - few],
    );
    Ok(())
}

/// Watches so many idle instances beside a cluster that has nothing but identities, all
/// of which are known; answers how much memory one held at the most, in MB.
fn sweep_identities(
    backend: Backend,
    effort: Effort,
    report: &mut Report,
    identities: usize,
    instances: usize,
) -> Result<f64> {
    let cluster = ListServer::start(identities)?;
    let accounts = Accounts {
        count: ACCOUNTS,
        keys_each: identities / ACCOUNTS / NAMESPACES,
    };
    let extent = Extent {
        namespaces: NAMESPACES,
        // Nobody makes them where only identities are looked at.
        cluster: "elsewhere",
        with_identities: true,
    };
    let data = Dataset::generate_with(&[accounts], extent)?;
    let store = Store::filled(backend, &data)?;
    let clusters = || format!("bench={}", cluster.kubeconfig().display());
    let mut servers = Vec::new();
    for _ in 0..instances {
        servers.push(Server::start(&store, &[("clusters", clusters())])?);
    }
    let wait_for_sweep = |more: u64| -> Result<Duration> {
        let (before, started) = (cluster.sweeps()?, Instant::now());
        loop {
            let seen = cluster.sweeps()?;
            if seen.count >= before.count + more {
                return Ok(seen.took);
            }
            if started.elapsed() > SWEPT_WITHIN {
                bail!("{identities} identities are not swept after {SWEPT_WITHIN:?}");
            }
            thread::sleep(Duration::from_millis(200));
        }
    };
    wait_for_sweep(1)?;
    say(format_args!(
        "{backend}, idle: {identities} identities are swept"
    ));
    let watched = if effort.quick { WATCHED / 3 } else { WATCHED };
    let begun = Instant::now();
    let of_each = |servers: &[Server]| -> Result<Vec<f64>> {
        servers
            .iter()
            .map(|server| cpu_seconds(server.pid()))
            .collect()
    };
    let before = of_each(&servers)?;
    thread::sleep(watched);
    let took = wait_for_sweep(1)?;
    let after = of_each(&servers)?;
    let seconds = begun.elapsed().as_secs_f64();
    let used = after
        .iter()
        .zip(&before)
        .map(|(after, before)| (after - before) / seconds);
    let used: Vec<f64> = used.map(|share| share * 100.0).collect();
    let most = used.iter().copied().fold(0.0, f64::max);
    let mut held: f64 = 0.0;
    for server in &servers {
        held = held.max(memory(server.pid())?.peak);
        let removed = server.metric("remotegpu_identities_unknown_removed_total")?;
        if removed > 0 {
            let fault = format!("{removed} living identities were removed");
            report.note_faults("idle", &backend.to_string(), &[fault]);
        }
    }
    if instances > 1 {
        report.promise(
            format!("{backend}: processor of an idle instance of {instances} with {identities} identities"),
            Bound::AtMost(5.0),
            " %",
            vec![most],
        );
    }
    report.remark(format!(
        "{backend}, idle with {identities} identities and {instances} instance(s): a sweep took {:.1} s; \
         the busiest took {most:.1} % of a core and held {held:.0} MB at the most.",
        took.as_secs_f64()
    ));
    for server in servers {
        server.stop().context("an idle server")?;
    }
    Ok(held)
}
