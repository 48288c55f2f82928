//! What a key check costs: beside a route that asks nothing, with and without the cache,
//! at a thousand and at a million keys; what it takes to remember a million; and how
//! soon a server with a million is ready.

use std::{sync::Arc, time::Duration};

use anyhow::Result;

use super::Effort;
use crate::{
    children::EmptyRoute,
    dataset::{Accounts, Dataset, Keys},
    load::{KeyedRequest, Pace, Plan, Sample, as_float, run as run_load},
    process::memory,
    progress::say,
    report::{Bound, Report},
    rounds::{Ask, KEY_PATH, Subject, interleave, rate_ratios},
    server::{Server, Setting, is_known},
    store::{Backend, Store},
};

/// How long a server may go on writing after each key was used.
const FLUSHED_WITHIN: Duration = Duration::from_mins(3);

fn cache(size: usize) -> Setting {
    ("key-cache-size", size.to_string())
}

fn no_last_use() -> Setting {
    ("record-last-use", "false".to_owned())
}

pub fn run(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    for setting in ["key-cache-size", "record-last-use"] {
        if !is_known(setting) {
            report.remark(format!(
                "This server has no setting `{setting}`: it was measured without."
            ));
        }
    }
    let few = Dataset::generate(&[Accounts::for_keys(effort.few_keys)])?;
    let many = Dataset::generate(&[Accounts::for_keys(effort.many_keys)])?;
    let small = Store::filled(backend, &few)?;
    let large = Store::filled(backend, &many)?;

    // It has used all its keys, and its cache holds them.
    let warm = footprint(backend, effort, &large, &many.keys, report)?;
    let servers = Servers {
        few: Server::start(&small, &[])?,
        few_cold: Server::start(&small, &[cache(0)])?,
        few_unrecorded: Server::start(&small, &[no_last_use()])?,
        many: warm,
        many_cold: Server::start(&large, &[cache(0)])?,
    };
    for server in [&servers.few, &servers.few_unrecorded] {
        use_every_key(server, &few.keys, effort, report)?;
    }
    let held = servers.many.resident()?;
    report.remark(format!(
        "{backend}: the server whose cache has room for all of {} keys holds {held:.0} MB when \
         the rounds begin.",
        many.keys.len()
    ));
    speed(backend, effort, &servers, (&few.keys, &many.keys), report)?;
    for server in servers.all() {
        server.stop()?;
    }
    Ok(())
}

/// All that are compared, running at the same time.
struct Servers {
    few: Server,
    few_cold: Server,
    few_unrecorded: Server,
    many: Server,
    many_cold: Server,
}

impl Servers {
    fn all(self) -> [Server; 5] {
        [
            self.few,
            self.few_cold,
            self.few_unrecorded,
            self.many,
            self.many_cold,
        ]
    }
}

fn speed(
    backend: Backend,
    effort: Effort,
    servers: &Servers,
    (few, many): (&Arc<Keys>, &Arc<Keys>),
    report: &mut Report,
) -> Result<()> {
    let empty = EmptyRoute::start()?;
    let fixed = |path| Ask::Fixed(path, Vec::new());
    let keys = |name: String, server, keys: &Arc<Keys>| {
        Subject::new(name, server, Ask::Keys(Arc::clone(keys)))
    };
    let (n, m) = (few.len(), many.len());
    let subjects = [
        Subject {
            name: "empty actix route".to_owned(),
            address: empty.address,
            pid: empty.pid(),
            ask: fixed("/"),
            expected: 200,
        },
        Subject::new("`/livez`", &servers.few, fixed("/livez")),
        keys(format!("key, warm, {n} stored"), &servers.few, few),
        Subject {
            expected: 401,
            ..keys(
                format!("malformed key, {n} stored"),
                &servers.few,
                &Arc::new(few.malformed()),
            )
        },
        keys(
            format!("key, last use not recorded, {n} stored"),
            &servers.few_unrecorded,
            few,
        ),
        keys(format!("key, cold, {n} stored"), &servers.few_cold, few),
        keys(format!("key, warm, {m} stored"), &servers.many, many),
        keys(format!("key, cold, {m} stored"), &servers.many_cold, many),
    ];
    let what = format!("{backend}, keys");
    let samples = interleave(&what, &subjects, effort.connections, effort, report)?;
    for (subject, samples) in subjects.iter().zip(&samples) {
        report.figures(
            &backend.to_string(),
            &subject.name,
            subject.expected,
            samples,
        );
    }
    let ratio = |of: usize, to: usize| {
        let side = |index: usize| (samples[index].as_slice(), subjects[index].expected);
        rate_ratios(side(of), side(to))
    };
    let [
        empty,
        livez,
        warm,
        malformed,
        unrecorded,
        cold,
        warm_many,
        cold_many,
    ] = std::array::from_fn(|index| index);
    for (what, of, to, bound) in [
        ("key, warm / `/livez`", warm, livez, 0.80),
        ("key, warm / empty actix route", warm, empty, 0.50),
        ("malformed key / valid key", malformed, warm, 0.95),
        ("last use recorded / not, few keys", warm, unrecorded, 0.97),
        ("warm, many keys / few keys", warm_many, warm, 0.80),
        ("cold, many keys / few keys", cold_many, cold, 0.50),
    ] {
        report.promise(
            format!("{backend}: {what}"),
            Bound::AtLeast(bound),
            "",
            ratio(of, to),
        );
    }
    for (what, of, to) in [
        ("cold / warm, few keys", cold, warm),
        ("cold / `/livez`", cold, livez),
    ] {
        report.shown(format!("{backend}: {what}"), "", ratio(of, to));
    }
    Ok(())
}

/// Memory after each key was used once, with the default cache and with one that has room
/// for all; and the time from start to ready. The server with all of them in its cache
/// is the answer.
fn footprint(
    backend: Backend,
    effort: Effort,
    store: &Store,
    keys: &Arc<Keys>,
    report: &mut Report,
) -> Result<Server> {
    let count = keys.len();
    let measure = |name, settings: &[Setting], bound, report: &mut Report| {
        let server = Server::start(store, settings)?;
        let before = server.resident()?;
        let pass = use_every_key(&server, keys, effort, report)?;
        let first = server.resident()?;
        let quiet = server.settle(FLUSHED_WITHIN)?;
        let held = memory(server.pid())?;
        report.promise(
            format!("{backend}: memory after all of {count} keys were used, {name}"),
            Bound::AtMost(bound),
            " MB",
            vec![first.max(held.now)],
        );
        report.remark(format!(
            "{backend}, {count} keys, {name}: {before:.0} MB at the start, {first:.0} MB when each \
             key had been used once ({:.0} a second), {:.0} MB when the server was quiet again \
             {:.0} s later, {:.0} MB at the most.",
            as_float(pass.all()) / pass.seconds,
            held.now,
            quiet.as_secs_f64(),
            held.peak,
        ));
        Ok::<_, anyhow::Error>(server)
    };
    let default = measure("the default cache", &[], 150.0, report)?;
    starts(backend, effort, default, count, report)?;
    measure("a cache for all of them", &[cache(count)], 400.0, report)
}

fn starts(
    backend: Backend,
    effort: Effort,
    server: Server,
    count: usize,
    report: &mut Report,
) -> Result<()> {
    let mut server = server;
    let mut seconds = Vec::new();
    for _ in 0..effort.starts {
        server = server.restart()?;
        seconds.push(server.ready_after.as_secs_f64());
    }
    report.promise(
        format!("{backend}: from start to ready at {count} keys"),
        Bound::AtMost(1.0),
        " s",
        seconds,
    );
    server.stop()
}

/// Each key once; its first use is the cold one, and what a cache keeps is warm
/// afterwards.
fn use_every_key(
    server: &Server,
    keys: &Arc<Keys>,
    effort: Effort,
    report: &mut Report,
) -> Result<Sample> {
    say(format_args!("using each of {} keys once", keys.len()));
    let plan = Plan {
        address: server.address,
        pace: Pace::closed(effort.connections),
        warm_up: Duration::ZERO,
        measure: None,
        server: None,
    };
    let requests = KeyedRequest::once("GET", server.address, KEY_PATH, keys, effort.load_threads);
    let sample = run_load(&plan, requests)?;
    report.note_faults("using every key", KEY_PATH, &sample.faults(&[200]));
    Ok(sample)
}
