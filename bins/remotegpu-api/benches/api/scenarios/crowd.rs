//! Many `kubectl` at once with one key, more than it may mint: the plugins wait for their turns.
//! (Raw HTTP would not tell: `kubectl` runs a plugin that fails five times.)

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{Effort, credentials::active_namespace};
use crate::{
    children::SlowCluster,
    dataset::{Accounts, Dataset, PASSWORD, email},
    progress::say,
    report::{Bound, Report},
    server::{BINARY, Server},
    store::{Backend, Store},
};

const RUNS: usize = 150;
const AT_ONCE: usize = 32;

pub fn measure(backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
    let cluster = SlowCluster::start(Duration::ZERO)?;
    let owner = Accounts {
        count: 1,
        keys_each: 1,
    };
    let data = Dataset::generate(&[owner])?;
    let store = Store::filled(backend, &data)?;
    let clusters = format!("slow={}", cluster.kubeconfig().display());
    let server = Server::start(&store, &[("clusters", clusters)])?;
    let session = server.sign_in(&email(0), PASSWORD)?;
    let namespace = active_namespace(&server, &session)?;
    let id = namespace["id"].as_str().context("a namespace without id")?;
    let home = tempfile::tempdir()?;
    for plugin in ["shell", "remotegpu"] {
        let path = format!("/v1/kubernetes/namespaces/{id}/kubeconfig?plugin={plugin}");
        let answer = server.get(&path, &session)?;
        let text = answer["kubeconfig"].as_str().context("no kubeconfig")?;
        fs::write(home.path().join(plugin), text)?;
        let (mut failed, mut seconds) = (Vec::new(), Vec::new());
        for round in 0..effort.rounds {
            say(format_args!(
                "{backend}, {RUNS} kubectl, plugin {plugin}: round {} of {}",
                round + 1,
                effort.rounds
            ));
            let begun = Instant::now();
            let failures = crowd(home.path(), plugin, data.keys.get(0));
            seconds.push(begun.elapsed().as_secs_f64());
            #[allow(clippy::cast_precision_loss, reason = "at most 150")]
            failed.push(failures.len() as f64);
            report.note_faults(&backend.to_string(), plugin, &failures);
        }
        let what = format!("{backend}: of {RUNS} `kubectl`, {AT_ONCE} at once with one key,");
        report.promise(
            format!("{what} so many fail (plugin `{plugin}`)"),
            Bound::AtMost(0.0),
            "",
            failed,
        );
        report.shown(
            format!("{what} all are done after (plugin `{plugin}`)"),
            " s",
            seconds,
        );
    }
    server.stop()
}

/// What those said that failed.
fn crowd(home: &Path, kubeconfig: &str, key: &str) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let one = || {
        let mut failures = Vec::new();
        while next.fetch_add(1, Ordering::Relaxed) < RUNS {
            failures.extend(kubectl(home, kubeconfig, key).err());
        }
        failures
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one)).collect();
        let ended = all.into_iter().filter_map(|one| one.join().ok());
        ended.flatten().collect()
    })
}

fn kubectl(home: &Path, kubeconfig: &str, key: &str) -> Result<(), String> {
    let beside = Path::new(BINARY).parent().unwrap_or(home);
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("kubectl")
        .args(["get", "--raw", "/version", "--kubeconfig", kubeconfig])
        .env("PATH", format!("{}:{path}", beside.display()))
        .env("HOME", home)
        .env("REMOTEGPU_API_KEY", key)
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
