//! How long something took, on a machine that others use as well.

use std::{
    collections::{HashMap, HashSet},
    fs, process,
    time::{Duration, Instant},
};

/// A watch for what a contract bounds in real time. It leaves out for how long threads of
/// this test, or of the programs that it started, were ready and the machine ran somebody
/// else: that is the machine's, not the code's. Several that wait at once count each for
/// itself, because each may have waited for the one before, so at least a tenth of the
/// time always counts. Where the kernel does not tell, all of it does.
#[derive(Debug)]
pub struct Stopwatch {
    began: Instant,
    before: HashMap<String, Duration>,
}

impl Stopwatch {
    /// Begins to measure.
    pub fn start() -> Self {
        Self {
            before: kept_waiting(),
            began: Instant::now(),
        }
    }

    /// How long it took so far.
    pub fn elapsed(&self) -> Duration {
        let all = self.began.elapsed();
        let mut waited = Duration::ZERO;
        for (thread, now) in kept_waiting() {
            let before = self.before.get(&thread).copied().unwrap_or_default();
            waited += now.saturating_sub(before);
        }
        all.saturating_sub(waited).max(all / 10)
    }

    /// Whether it took longer than that. Costs nothing before that time is over.
    pub fn is_over(&self, within: Duration) -> bool {
        self.began.elapsed() > within && self.elapsed() > within
    }
}

/// Asks until it holds, and answers how long that took.
///
/// # Panics
/// It did not hold within that time.
pub async fn eventually(
    what: &str,
    within: Duration,
    mut holds: impl AsyncFnMut() -> bool,
) -> Duration {
    let watch = Stopwatch::start();
    while !holds().await {
        assert!(!watch.is_over(within), "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watch.elapsed()
}

/// For how long each thread of ours was ready to run in all, and did not.
fn kept_waiting() -> HashMap<String, Duration> {
    let mut waited = HashMap::new();
    for process in family() {
        // Processes and threads that end meanwhile have nothing more to tell.
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
            continue;
        };
        for thread in threads.flatten() {
            let told = fs::read_to_string(thread.path().join("schedstat"));
            let nanos = told.ok().and_then(|told| {
                let second = told.split_whitespace().nth(1)?;
                second.parse().ok()
            });
            if let Some(nanos) = nanos {
                let path = thread.path().display().to_string();
                waited.insert(path, Duration::from_nanos(nanos));
            }
        }
    }
    waited
}

/// This process, and all that descend from it.
fn family() -> HashSet<u32> {
    let mut family = HashSet::from([process::id()]);
    let Ok(entries) = fs::read_dir("/proc") else {
        return family;
    };
    let numbers = entries.flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut parents: Vec<(u32, u32)> = numbers
        .filter_map(|process| Some((process, parent_of(process)?)))
        .collect();
    loop {
        let before = family.len();
        parents.retain(|(process, parent)| {
            let is_ours = family.contains(parent);
            if is_ours {
                family.insert(*process);
            }
            !is_ours
        });
        if family.len() == before {
            return family;
        }
    }
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in parentheses, and may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        hint,
        process::{Command, Stdio},
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn time_that_passes_counts_where_nobody_is_kept_waiting() {
        let watch = Stopwatch::start();
        thread::sleep(Duration::from_millis(200));
        // Asleep is not ready.
        assert!(watch.elapsed() > Duration::from_millis(100), "{watch:?}");
        assert!(watch.is_over(Duration::from_millis(15)));
        assert!(!watch.is_over(Duration::from_mins(1)));
    }

    #[test]
    fn programs_that_a_test_starts_are_its_own() {
        // Waits for us to close its input.
        let mut child = Command::new("cat");
        let child = child.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = child.spawn().unwrap();
        let ours = family();
        assert!(ours.contains(&child.id()) && ours.contains(&process::id()));
        assert!(!ours.contains(&std::os::unix::process::parent_id()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn time_in_which_others_had_the_processor_does_not_count() {
        // Twice as many at work as there are processors.
        let processors = thread::available_parallelism().unwrap().get();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = Stopwatch::start();
            for _ in 0..2 * processors {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        hint::spin_loop();
                    }
                });
            }
            thread::sleep(Duration::from_millis(300));
            let (took, all) = (watch.elapsed(), watch.began.elapsed());
            done.store(true, Ordering::Relaxed);
            assert!(took < all / 2, "{took:?} of {all:?}");
        });
    }
}
