//! A throwaway PostgreSQL server made from the installed programs.
//!
//! [`TestPostgres::shared`] is one server for all tests of a run, each with a database of its own;
//! [`TestPostgres::private`] is a server that a test may stop, kill and start again. Nothing outlives the
//! run: a watchdog ends the server and removes its folder even when the tests were killed.

mod restoring;

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, process};

use anyhow::{Context, Result, anyhow, bail};

use crate::ports::free_port;

/// Who runs the server when the tests run as root: `initdb` and `postgres` refuse root.
const SERVER_USER: &str = "postgres";
/// The database superuser, who connects from the loopback interface without a password.
const DATABASE_USER: &str = "postgres";
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// A running server that listens on a free port of 127.0.0.1.
///
/// The methods that end the server take `&mut self`, so that no test can end the shared one.
#[derive(Debug)]
pub struct TestPostgres {
    programs: Programs,
    folder: PathBuf,
    port: u16,
    is_private: bool,
}

/// A database of one test; dropped with this value, at best effort.
#[derive(Debug)]
pub struct TestDatabase {
    programs: Programs,
    port: u16,
    name: String,
}

impl TestPostgres {
    /// The server of this test run, started by whoever asks first.
    ///
    /// nextest runs each test in a process of its own: they share the server by nextest's run id. Other
    /// runners have one process, and the server is that process's own.
    ///
    /// # Errors
    /// The server's programs are missing, or it does not start; the error tells its log.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<TestPostgres, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::join().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    /// A server of this test alone, ended and removed when the value is dropped.
    ///
    /// # Errors
    /// As [`Self::shared`].
    pub fn private() -> Result<Self> {
        Self::new_private(None)
    }

    /// The same, which also speaks TLS, with this certificate and its key, as PEM.
    ///
    /// # Errors
    /// As [`Self::shared`].
    pub fn private_with_tls(certificate: &str, key: &str) -> Result<Self> {
        Self::new_private(Some([certificate, key]))
    }

    fn new_private(tls: Option<[&str; 2]>) -> Result<Self> {
        let programs = Programs::find()?;
        let folder = env::temp_dir().join(format!("remotegpu-postgres-{:016x}", random()));
        fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut server = Self {
            programs,
            folder,
            port: 0,
            is_private: true,
        };
        server.create(process::id(), tls)?;
        Ok(server)
    }

    fn join() -> Result<Self> {
        let (run, watched) = match env::var("NEXTEST_RUN_ID") {
            Ok(run) => (run, parent_id()),
            Err(_) => (process::id().to_string(), process::id()),
        };
        // Not in the target folder: the server's own user has to reach it.
        Self::join_in(
            env::temp_dir().join(format!("remotegpu-postgres-{run}")),
            watched,
        )
    }

    fn join_in(folder: PathBuf, watched: u32) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let lock = File::create(folder.join("lock")).context("creating the server's lock file")?;
        lock.lock().context("waiting for the server's lock")?;
        let mut server = Self {
            programs: Programs::find()?,
            folder,
            port: 0,
            is_private: false,
        };
        let port_file = server.folder.join("port");
        if let Ok(port) = fs::read_to_string(&port_file) {
            server.port = port.parse().context("reading the server's port")?;
        } else {
            // Whoever began before may have been killed on the way.
            server.clear();
            server.create(watched, None)?;
            fs::write(&port_file, server.port.to_string()).context("writing the server's port")?;
        }
        Ok(server)
    }

    /// The URL of the server's maintenance database.
    pub fn url(&self) -> String {
        database_url(self.port, "postgres")
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// The server does not answer; the error tells what `psql` said.
    pub fn create_database(&self) -> Result<TestDatabase> {
        let name = format!("t_{:016x}", random());
        let statement = format!("CREATE DATABASE {name} TEMPLATE template0");
        self.programs.query(&self.url(), &statement)?;
        Ok(TestDatabase {
            programs: self.programs.clone(),
            port: self.port,
            name,
        })
    }

    /// Ends the server in order, without waiting for its clients; they lose their connections.
    ///
    /// # Errors
    /// The server does not end, or had ended before.
    pub fn stop(&mut self) -> Result<()> {
        self.pg_ctl(&["stop", "--mode=fast"])
    }

    /// Ends the server at once, as a crash would; what was committed is there after [`Self::start`].
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn kill(&mut self) -> Result<()> {
        self.pg_ctl(&["stop", "--mode=immediate"])
    }

    /// Starts the server again, on the same port and with the same databases.
    ///
    /// # Errors
    /// The server does not start, or runs already; the error tells its log.
    pub fn start(&mut self) -> Result<()> {
        let log = self.folder.join("log");
        let port = format!("-p {}", self.port);
        let started = self.pg_ctl(&["start", "--log", &text(&log)?, "--options", &port]);
        started.with_context(|| last_lines(&log))
    }

    fn create(&mut self, watched: u32, tls: Option<[&str; 2]>) -> Result<()> {
        self.start_watchdog(watched)?;
        give_to_server_user(&self.folder)?;
        let data = text(&self.data())?;
        // The C locale and UTF-8 give the same order on every machine.
        let options = [
            "--no-sync",
            "--auth=trust",
            "--locale=C",
            "--encoding=UTF8",
            "--username",
            DATABASE_USER,
        ];
        run(self
            .programs
            .as_server_user("initdb")?
            .args(options)
            .args(["--pgdata", &data]))?;
        let configuration = self.data().join("postgresql.conf");
        let mut settings =
            fs::read_to_string(&configuration).context("reading postgresql.conf")? + SETTINGS;
        if let Some(pair) = tls {
            self.write_pair(pair)?;
            settings += "ssl = on\n";
        }
        fs::write(&configuration, settings).context("writing postgresql.conf")?;

        self.port = free_port();
        self.start().context("starting a PostgreSQL server")
    }

    /// Under the names that the server looks for; the key for its own user alone.
    fn write_pair(&self, pair: [&str; 2]) -> Result<()> {
        for (name, text) in ["server.crt", "server.key"].into_iter().zip(pair) {
            let path = self.data().join(name);
            fs::write(&path, text).with_context(|| format!("writing {name}"))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
                .with_context(|| format!("closing {name}"))?;
            give_to_server_user(&path)?;
        }
        Ok(())
    }

    /// Starts a process that ends the server and removes its folder once `watched` is gone.
    fn start_watchdog(&self, watched: u32) -> Result<()> {
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCHDOG, "sh", &watched.to_string()])
            .arg(&self.folder);
        // In a group of its own, it outlives a test that is ended with its whole group. The shell ends at
        // once and leaves the loop to the system, so that no child of the test stays behind.
        run(command
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::null()))
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result<()> {
        let data = text(&self.data())?;
        let mut command = self.programs.as_server_user("pg_ctl")?;
        run(command
            .args(arguments)
            .args(["--wait", "--silent", "--pgdata", &data]))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Ends and removes what is there; it is no error when nothing is.
    fn clear(&self) {
        if self.data().exists() {
            let _ = self.pg_ctl(&["stop", "--mode=immediate"]);
            let _ = fs::remove_dir_all(self.data());
        }
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        if self.is_private {
            self.clear();
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

impl TestDatabase {
    /// The database's URL, for clients that speak PostgreSQL.
    pub fn url(&self) -> String {
        database_url(self.port, &self.name)
    }

    /// Runs SQL with `psql`; a line for each row, columns separated by `|`.
    ///
    /// # Errors
    /// A statement failed, or the server does not answer; the error tells what `psql` said.
    pub fn query(&self, sql: &str) -> Result<String> {
        self.programs.query(&self.url(), sql)
    }

    /// Another database of the same server with all that is in this one; nobody may be
    /// connected to it.
    ///
    /// # Errors
    /// Somebody is connected, or the server does not answer.
    pub fn copy(&self) -> Result<Self> {
        let name = format!("t_{:016x}", random());
        let postgres = database_url(self.port, "postgres");
        let statement = format!("CREATE DATABASE {name} TEMPLATE {}", self.name);
        self.programs.query(&postgres, &statement)?;
        Ok(Self {
            programs: self.programs.clone(),
            port: self.port,
            name,
        })
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = self
            .programs
            .query(&database_url(self.port, "postgres"), &statement);
    }
}

/// The folder of the server's programs, and how to run them.
#[derive(Clone, Debug)]
struct Programs {
    folder: PathBuf,
}

impl Programs {
    fn find() -> Result<Self> {
        let named = env::var_os("REMOTEGPU_PG_BIN").map(PathBuf::from);
        let on_path = env::var_os("PATH")
            .into_iter()
            .flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
        // A folder of links to programs may hold some of them only; what they point to holds all.
        let on_path = on_path.filter_map(|folder| {
            folder
                .join("initdb")
                .canonicalize()
                .ok()?
                .parent()
                .map(Path::to_owned)
        });
        let candidates = named.into_iter().chain(on_path).chain(debian_folders());
        let mut complete =
            candidates.filter(|folder| PROGRAMS.iter().all(|name| folder.join(name).exists()));
        let folder = complete.next().context(
            "no PostgreSQL server programs found: `./x` installs them, or REMOTEGPU_PG_BIN names their folder",
        )?;
        Ok(Self { folder })
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn as_server_user(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(self.program(name));
        if is_root()? {
            command = Command::new("setpriv");
            command.args([
                "--reuid",
                SERVER_USER,
                "--regid",
                SERVER_USER,
                "--init-groups",
                "--",
            ]);
            command.arg(self.program(name));
        }
        without_settings(&mut command);
        // The server's user may not be allowed where the tests run.
        command.current_dir("/").stdin(Stdio::null());
        Ok(command)
    }

    fn query(&self, url: &str, sql: &str) -> Result<String> {
        let mut command = Command::new(self.program("psql"));
        without_settings(&mut command);
        command.env("PGCONNECT_TIMEOUT", "10").stdin(Stdio::null());
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set",
            "ON_ERROR_STOP=1",
        ]);
        let answer = output(command.args(["--dbname", url, "--command", sql]))?;
        Ok(answer.trim_end().to_owned())
    }
}

fn give_to_server_user(folder: &Path) -> Result<()> {
    if is_root()? {
        let id = |what| -> Result<u32> {
            let answer = output(Command::new("id").args([what, SERVER_USER]))?;
            answer
                .trim()
                .parse()
                .context("reading the server user's id")
        };
        chown(folder, Some(id("-u")?), Some(id("-g")?))
            .context("giving the folder to the server's user")?;
    }
    Ok(())
}

/// Debian's folders, the newest version first.
fn debian_folders() -> Vec<PathBuf> {
    let entries = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort_by(|one, other| other.cmp(one));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// Appended to `postgresql.conf`. Nothing here survives a power cut, so nothing waits for the disk; commits
/// stay synchronous, so that a killed server keeps them.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
fsync = off
full_page_writes = off
timezone = 'UTC'
log_timezone = 'UTC'
";

/// `$1` is the process to watch, `$2` the server's folder.
const WATCHDOG: &str = r#"(
    while kill -0 "$1" && [ -d "$2" ]; do sleep 0.5; done
    if read -r server < "$2/data/postmaster.pid"; then
        kill -QUIT "$server"
        # A system whose first process reaps nobody shows the dead for ever.
        tries=0
        while kill -0 "$server" && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    fi
    rm -rf "$2"
) < /dev/null > /dev/null 2>&1 &"#;

fn database_url(port: u16, name: &str) -> String {
    format!("postgres://{DATABASE_USER}@127.0.0.1:{port}/{name}")
}

/// The standard library seeds each hasher's state by chance; names and ports need no more than that.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn is_root() -> Result<bool> {
    // What this process creates belongs to whom it runs as.
    let probe = tempfile::tempfile().context("creating a file to learn who runs the tests")?;
    Ok(probe.metadata().context("reading a file's owner")?.uid() == 0)
}

/// Keeps the developer's own `PGHOST` and the like away from the programs.
fn without_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PG")) {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C");
}

fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let answer = command
        .output()
        .with_context(|| format!("running {}", name(&program)))?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr);
        bail!(
            "{} ended with {}: {}",
            name(&program),
            answer.status,
            said.trim()
        );
    }
    String::from_utf8(answer.stdout).context("the answer is not UTF-8")
}

fn name(program: &OsStr) -> String {
    Path::new(program).display().to_string()
}

fn text(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

fn last_lines(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    format!(
        "the server's log ends with:\n{}",
        lines[lines.len().saturating_sub(10)..].join("\n")
    )
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..300 {
            if holds() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("after 30 seconds not yet: {what}");
    }

    #[test]
    fn tests_share_a_server_and_have_databases_of_their_own() {
        let server = TestPostgres::shared().unwrap();
        let one = server.create_database().unwrap();
        let other = server.create_database().unwrap();
        one.query("CREATE TABLE facts (id int)").unwrap();
        one.query("INSERT INTO facts VALUES (1), (2)").unwrap();
        assert_eq!(
            one.query("SELECT id FROM facts ORDER BY id").unwrap(),
            "1\n2"
        );
        let refusal = other.query("SELECT id FROM facts").unwrap_err();
        assert!(refusal.to_string().contains("does not exist"), "{refusal}");
    }

    #[test]
    fn dropped_database_is_gone() {
        let server = TestPostgres::shared().unwrap();
        let database = server.create_database().unwrap();
        let count = format!(
            "SELECT count(*) FROM pg_database WHERE datname = '{}'",
            database.name
        );
        assert_eq!(server.programs.query(&server.url(), &count).unwrap(), "1");
        drop(database);
        assert_eq!(server.programs.query(&server.url(), &count).unwrap(), "0");
    }

    #[test]
    fn private_server_keeps_its_data_through_stop_and_kill() {
        let mut server = TestPostgres::private().unwrap();
        let database = server.create_database().unwrap();
        database.query("CREATE TABLE facts (id int)").unwrap();

        server.stop().unwrap();
        database.query("SELECT 1").unwrap_err();
        server.start().unwrap();
        database.query("INSERT INTO facts VALUES (1)").unwrap();

        server.kill().unwrap();
        database.query("SELECT 1").unwrap_err();
        server.start().unwrap();
        assert_eq!(database.query("SELECT id FROM facts").unwrap(), "1");

        let folder = server.folder.clone();
        drop(server);
        assert!(!folder.exists());
    }

    #[test]
    fn server_goes_with_the_run_and_an_unfinished_one_is_replaced() {
        let mut run = Command::new("sleep").arg("300").spawn().unwrap();
        let folder = env::temp_dir().join(format!("remotegpu-postgres-test-{:016x}", random()));
        fs::create_dir_all(folder.join("data/unfinished")).unwrap();

        let server = TestPostgres::join_in(folder.clone(), run.id()).unwrap();
        let same = TestPostgres::join_in(folder.clone(), run.id()).unwrap();
        assert_eq!(server.url(), same.url());
        let database = same.create_database().unwrap();
        assert_eq!(database.query("SHOW fsync").unwrap(), "off");

        run.kill().unwrap();
        run.wait().unwrap();
        wait_until("the folder is gone", || !folder.exists());
        database.query("SELECT 1").unwrap_err();
    }
}
