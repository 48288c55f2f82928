//! Processes that this one starts, and what Linux tells of them.

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// `/proc/PID/stat` counts in these, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a process that was told to end may take.
const END_WITHIN: Duration = Duration::from_secs(40);

/// A child that ends with this value, and with this process however it ends.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Runs a program with nothing in its environment.
    pub fn spawn(name: &str, program: &str, arguments: &[String]) -> Result<Self> {
        Self::spawn_with(name, program, arguments, Stdio::null())
    }

    /// The same, with a place for what it writes to stderr.
    pub fn spawn_with(
        name: &str,
        program: &str,
        arguments: &[String],
        stderr: Stdio,
    ) -> Result<Self> {
        // util-linux's program becomes the one that it is given: the kernel kills it
        // when this process dies, even by `kill -9`.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", program])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("starting {name} by setpriv"))?;
        Ok(Self {
            child,
            name: name.to_owned(),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it ended with, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Everything it has written to the stderr it was given, once it has ended.
    pub fn read_stderr(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
        }
        text.trim().to_owned()
    }

    /// SIGTERM, and an error unless it ends well.
    pub fn terminate(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status()?;
        if !told.success() {
            bail!("{} cannot be told to end", self.name);
        }
        let deadline = Instant::now() + END_WITHIN;
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{} ended with {status}", self.name),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        bail!("{} does not end", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time that a process has taken so far, in seconds.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    cpu_of(&format!("/proc/{pid}/stat"))
}

/// The same for the calling thread alone.
pub fn own_thread_cpu_seconds() -> Result<f64> {
    cpu_of("/proc/thread-self/stat")
}

fn cpu_of(path: &str) -> Result<f64> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    // The name in parentheses may hold anything.
    let (_, fields) = text
        .rsplit_once(')')
        .context("no name in a process's stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: Vec<f64> = ticks.map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// How much memory a process holds now, and has held at the most.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// `VmRSS` in MB.
    pub now: f64,
    /// `VmHWM` in MB.
    pub peak: f64,
}

pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        // The kernel says kB and means 1024; a MB is a million bytes.
        kib.map(|kib| kib * 1024.0 / 1e6)
            .with_context(|| format!("{path} has no {name}"))
    };
    Ok(Memory {
        now: field("VmRSS:")?,
        peak: field("VmHWM:")?,
    })
}

/// How many files and connections a process has open.
#[allow(
    clippy::cast_precision_loss,
    reason = "there are thousands at the most"
)]
pub fn open_files(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/fd");
    let files = std::fs::read_dir(&path).with_context(|| format!("reading {path}"))?;
    Ok(files.count() as f64)
}

/// Waits until a process is quiet: what it does after its requests must not be counted
/// against the next subject. Gives up after `limit`, and says how long it waited.
pub fn settle(pid: u32, limit: Duration) -> Result<Duration> {
    const LOOK: Duration = Duration::from_millis(200);
    let started = Instant::now();
    let mut before = cpu_seconds(pid)?;
    loop {
        std::thread::sleep(LOOK);
        let now = cpu_seconds(pid)?;
        // One tick of the counter in this time: a reconciler that looks for work.
        if now - before <= 0.015 || started.elapsed() >= limit {
            return Ok(started.elapsed());
        }
        before = now;
    }
}
