//! Three times what there is room for of one dear class of work: the class goes on at its
//! best, the rest is refused at once, and everything else is answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{Effort, credentials::active_namespace};
use crate::{
    children::SlowCluster,
    dataset::{Accounts, Dataset, Keys, PASSWORD, email},
    load::{KeyedRequest, Pace, Plan, Requests, SignInRequest, as_float, run, start},
    process::memory,
    progress::say,
    report::{Bound, Report},
    rounds::{Ask, Subject},
    server::{Server, Setting},
    store::{Backend, Store},
};

/// How many times its capacity a class of work is offered.
const TIMES: f64 = 3.0;
/// As many connections as an open loop may make: what is not refused piles up there.
const MOST_CONNECTIONS: usize = 8_000;
/// How much later the slowed cluster answers.
const CLUSTER_DELAY: Duration = Duration::from_millis(50);
/// A step of more connections that brings less than this has found the peak.
const GAIN: f64 = 1.03;
const MOST_AT_ONCE: usize = 256;
/// What memory may grow by.
const GROWTH: f64 = 100.0;
/// How long the probe is counted, quiet and overloaded.
const PROBED: Duration = Duration::from_secs(10);
const PROBES: Pace = Pace::Closed {
    connections: 2,
    patient: false,
};

/// One class of work on a server.
struct Class {
    name: &'static str,
    backend: Backend,
    server: Server,
    keys: Arc<Keys>,
    /// Draws requests of this class from a seed.
    requests: Box<dyn Fn(u64) -> Box<dyn Requests>>,
}

pub fn sign_ins(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    // Enough users that no two sign-ins wait for the same row.
    let few = Accounts {
        count: 1_000,
        keys_each: 1,
    };
    let data = Dataset::generate(&[few])?;
    let store = Store::filled(backend, &data)?;
    let server = Server::start(&store, &[("trusted-proxies", "127.0.0.1/32".to_owned())])?;
    let address = server.address;
    let class = Class {
        name: "sign-ins",
        backend,
        server,
        keys: data.keys,
        requests: Box::new(move |seed| {
            Box::new(SignInRequest::new(address, few.count, PASSWORD, seed))
        }),
    };
    class.overload(effort, report)?;
    class.server.stop()
}

pub fn mints(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    let cluster = SlowCluster::start(CLUSTER_DELAY)?;
    // Of one account, which the namespace belongs to.
    let owner = Accounts {
        count: 1,
        keys_each: 200,
    };
    let data = Dataset::generate(&[owner])?;
    let store = Store::filled(backend, &data)?;
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let unlimited = |key| -> Setting { (key, "1000000".to_owned()) };
    let settings = [
        ("clusters", format!("slow={kubeconfig}")),
        unlimited("mint-rate"),
        unlimited("mint-burst"),
    ];
    let server = Server::start(&store, &settings)?;
    let path = namespace_path(&server)?;
    make_identities(&server, &path, &data.keys)?;
    let (address, keys) = (server.address, Arc::clone(&data.keys));
    let class = Class {
        name: "mints",
        backend,
        server,
        keys: data.keys,
        requests: Box::new(move |seed| {
            Box::new(KeyedRequest::drawn("POST", address, &path, &keys, seed))
        }),
    };
    class.overload(effort, report)?;
    class.server.stop()
}

/// Makes a namespace, and answers where its credentials are minted.
fn namespace_path(server: &Server) -> Result<String> {
    let session = server.sign_in(&email(0), PASSWORD)?;
    let namespace = active_namespace(server, &session)?;
    let id = namespace["id"].as_str().context("a namespace without id")?;
    Ok(format!("/v1/kubernetes/namespaces/{id}/exec-credential"))
}

/// A key's first credential makes its identity in the cluster; later ones are what is
/// measured.
fn make_identities(server: &Server, path: &str, keys: &Arc<Keys>) -> Result<()> {
    say(format_args!("making the identities of {} keys", keys.len()));
    let plan = Plan {
        address: server.address,
        pace: Pace::closed(8),
        warm_up: Duration::ZERO,
        measure: None,
        server: None,
    };
    let sample = run(
        &plan,
        KeyedRequest::once("POST", server.address, path, keys, 1),
    )?;
    let faults = sample.faults(&[200]);
    if !faults.is_empty() {
        bail!("identities could not be made: {}", faults.join(", "));
    }
    Ok(())
}

impl Class {
    fn overload(&self, effort: Effort, report: &mut Report) -> Result<()> {
        let (name, place) = (self.name, self.backend.to_string());
        let (peak, at_once) = self.peak(effort, report)?;
        report.remark(format!(
            "{place}, {name}: the most that were done in a second were {peak:.1}, with {at_once} \
             at once; three times as many were offered."
        ));
        say(format_args!("{place}, {name}: key checks, quiet"));
        let quiet = run(&self.plan(PROBES, effort.warm_up, PROBED), self.probes())?;

        say(format_args!(
            "{place}, {name}: overloaded for {:?}",
            effort.overload
        ));
        let before = self.server.resident()?;
        let watch = MemoryWatch::start(self.server.pid());
        let times_three = Pace::Open {
            per_second: peak * TIMES,
            connections: MOST_CONNECTIONS,
        };
        let offer = |measure, seed| {
            let plan = self.plan(times_three, effort.warm_up, measure);
            start(&plan, vec![(self.requests)(seed)])
        };
        let offered = offer(effort.overload, 1).join()?;
        // The probe takes as much of the machine as it gets. So it comes afterwards, or
        // the class would be judged by what the probe has left.
        say(format_args!(
            "{place}, {name}: key checks, still overloaded"
        ));
        let beside_probe = offer(PROBED, 2);
        let meanwhile = run(&self.plan(PROBES, effort.warm_up, PROBED), self.probes())?;
        let beside_probe = beside_probe.join()?;
        let growth = watch.stop() - before;

        let what = format!("{place}, {name} at 3 times the capacity");
        report.promise(
            format!("{what}: done / peak"),
            Bound::AtLeast(0.9),
            "",
            vec![offered.rate(200) / peak],
        );
        report.promise(
            format!("{what}: time to be refused (p99)"),
            Bound::AtMost(50.0),
            " ms",
            offered.quantile(503, 0.99).into_iter().collect(),
        );
        report.promise(
            format!("{what}: key checks / quiet"),
            Bound::AtLeast(0.5),
            "",
            vec![meanwhile.rate(200) / quiet.rate(200)],
        );
        report.promise(
            format!("{what}: growth of memory"),
            Bound::AtMost(GROWTH),
            " MB",
            vec![growth],
        );
        for (part, sample) in [("", &offered), (" beside key checks", &beside_probe)] {
            let refused = as_float(sample.count(503)) / as_float(sample.all().max(1));
            report.shown(format!("{what}{part}: refused of all"), "", vec![refused]);
        }
        report.shown(
            format!("{what} beside key checks: done / peak"),
            "",
            vec![beside_probe.rate(200) / peak],
        );
        for (part, sample, statuses) in [
            ("key, 2 connections, quiet", &quiet, [200].as_slice()),
            ("key, 2 connections, overloaded", &meanwhile, &[200]),
            ("offered at 3 times the capacity", &offered, &[200, 503]),
            ("the same beside key checks", &beside_probe, &[200, 503]),
        ] {
            let part = format!("{name}: {part}");
            for status in statuses {
                report.figures(&place, &part, *status, std::slice::from_ref(sample));
            }
            report.note_faults(&place, &part, &sample.faults(statuses));
        }
        Ok(())
    }

    /// What is done in a second at the best number of connections, and that number.
    fn peak(&self, effort: Effort, report: &mut Report) -> Result<(f64, usize)> {
        let mut best = (0.0, 1);
        let mut at_once = 1;
        let mut worse = 0;
        // One step without gain may be noise; two are the end.
        while at_once <= MOST_AT_ONCE && worse < 2 {
            // Refusals that come back at once would take the processor from what is done.
            let pace = Pace::Closed {
                connections: at_once,
                patient: true,
            };
            let plan = self.plan(pace, effort.warm_up, effort.slice);
            let sample = run(&plan, vec![(self.requests)(at_once as u64)])?;
            let done = sample.rate(200);
            say(format_args!(
                "{}: {done:.1} a second with {at_once} at once",
                self.name
            ));
            let what = format!("{}, {} at once", self.name, at_once);
            report.note_faults(
                &self.backend.to_string(),
                &what,
                &sample.faults(&[200, 503]),
            );
            worse = if done > best.0 * GAIN { 0 } else { worse + 1 };
            if done > best.0 {
                best = (done, at_once);
            }
            at_once *= 2;
        }
        if best.0 == 0.0 {
            bail!("no {} were done at all", self.name);
        }
        Ok(best)
    }

    fn plan(&self, pace: Pace, warm_up: Duration, measure: Duration) -> Plan {
        Plan {
            address: self.server.address,
            pace,
            warm_up,
            measure: Some(measure),
            server: Some(self.server.pid()),
        }
    }

    fn probes(&self) -> Vec<Box<dyn Requests>> {
        let keys = Ask::Keys(Arc::clone(&self.keys));
        Subject::new("", &self.server, keys).requests(1, 7)
    }
}

/// Looks at a process's memory until it is stopped.
struct MemoryWatch {
    ends: Arc<AtomicBool>,
    thread: thread::JoinHandle<f64>,
}

impl MemoryWatch {
    fn start(pid: u32) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            let mut most = 0.0_f64;
            while !told.load(Ordering::Relaxed) {
                most = most.max(memory(pid).map_or(0.0, |memory| memory.now));
                thread::sleep(Duration::from_millis(100));
            }
            most
        });
        Self { ends, thread }
    }

    /// The most it held, in MB.
    fn stop(self) -> f64 {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(f64::NAN)
    }
}
