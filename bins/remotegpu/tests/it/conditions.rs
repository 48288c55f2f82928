//! The table of docs/clients.md: what both programs do when something is in the way.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::SystemTime;

use crate::exec_credential::{CREDENTIAL, KEY};
use crate::left_out::left_out;
use crate::plugin_patience::answer;
use crate::reaching::nowhere;
use crate::server::{Request, Server};
use crate::tls;
use crate::user::{Run, User, run_with_stdin};

const DOCUMENT: &str = include_str!("../../../../docs/clients.md");
const CONDITIONS: [&str; 10] = [
    "behind a proxy",
    "behind a dead proxy",
    "a company's CA, which the system knows",
    "a company's CA, which the system does not know",
    "a clock two hours ahead",
    "a clock two hours behind",
    "a read-only home",
    "stdout closed",
    "under sudo, which drops variables",
    "a full disk",
];
const PROGRAMS: [&str; 2] = ["remotegpu", "kubectl-remotegpu"];
/// What `remotegpu login` is told apart by: it has to keep something.
const LOGIN: [(&str, &str); 2] = [
    ("a read-only home", "remotegpu login"),
    ("a full disk", "remotegpu login"),
];

/// What the table promises of one run.
#[derive(Debug)]
struct Promise<'a> {
    condition: &'a str,
    program: &'a str,
    works: bool,
    sentence: Option<&'a str>,
}

fn promises() -> Vec<Promise<'static>> {
    let (_, table) = DOCUMENT
        .split_once("| condition | program | says |")
        .unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [condition, program, says] = cells[..] else {
            panic!("{row}")
        };
        let works = says == "works" || says.starts_with("works, ");
        let sentence = says.strip_prefix("works").unwrap_or(says);
        let sentence = sentence.trim_start_matches(", ").trim_matches('`').trim();
        Promise {
            condition,
            program: program.trim_matches('`'),
            works,
            sentence: (!sentence.is_empty()).then_some(sentence),
        }
    })
    .collect()
}

/// Everything that a promise may need.
struct World {
    user: User,
    server: Server,
    tls: String,
    ca: String,
    proxy: String,
    dead_proxy: String,
}

impl World {
    fn start() -> Self {
        let (tls, pem) = tls::start_answering(CREDENTIAL);
        let server = Server::start_raw(|request: &Request| {
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
            let body = if request.line.starts_with("GET") {
                r#"{"user":{"email":"me@example.com"},"role":"admin"}"#
            } else {
                CREDENTIAL
            };
            answer(200, &format!("x-remotegpu-time: {now}\r\n"), body)
        });
        let user = User::new();
        let ca = user.home.path().join("ca.pem");
        fs::write(&ca, pem).unwrap();
        let proxy = start_proxy(tls.trim_start_matches("https://"));
        Self {
            user,
            server,
            tls,
            ca: ca.to_str().unwrap().to_owned(),
            proxy,
            dead_proxy: format!("http://{}", nowhere()),
        }
    }

    /// A program at work with a server.
    fn command(&self, program: &str, server: &str) -> Command {
        if program == "remotegpu" {
            self.user.sign_in(server);
            let mut command = self.user.remotegpu(server);
            command.args(["whoami", "-o", "name"]);
            return command;
        }
        let mut command = self.user.kubectl_remotegpu();
        let url = format!("{server}/v1/x/exec-credential");
        command
            .args(["exec-credential", "--url", &url])
            .env("REMOTEGPU_API_KEY", KEY);
        command
    }

    /// Signing in, which keeps a session in the home.
    fn login(&self, condition: &str) -> Option<(Run, String)> {
        let mount = match condition {
            "a read-only home" => READ_ONLY,
            _ => FULL,
        };
        let server = self.server.url.clone();
        let mut command = self.user.remotegpu(&server);
        command.args(["login", "--email", "me@example.com", "--password-stdin"]);
        let mut command = on_home(mount, &command, &self.user)?;
        Some((
            run_with_stdin(&mut command, "correct horse battery\n"),
            server,
        ))
    }

    /// What a run says under a condition, with the server that it was to ask; nothing where
    /// this machine cannot make the condition.
    fn run(&self, condition: &str, program: &str) -> Option<(Run, String)> {
        if program == "remotegpu login" {
            return self.login(condition);
        }
        let far = "https://server.test".to_owned();
        let plain = self.server.url.clone();
        let asking = |server: &String| (self.command(program, server), server.clone());
        let (mut command, server) = match condition {
            "behind a proxy" | "behind a dead proxy" => asking(&far),
            "a company's CA, which the system knows"
            | "a company's CA, which the system does not know" => asking(&self.tls),
            _ => asking(&plain),
        };
        let mut stdin = "";
        match condition {
            "behind a proxy" => {
                command
                    .env("HTTPS_PROXY", &self.proxy)
                    .env("SSL_CERT_FILE", &self.ca);
            }
            "behind a dead proxy" => {
                command.env("HTTPS_PROXY", &self.dead_proxy);
            }
            "a company's CA, which the system knows" => {
                command.env("SSL_CERT_FILE", &self.ca);
            }
            "a company's CA, which the system does not know" => {}
            "a clock two hours ahead" => command = shifted(command, "+2h")?,
            "a clock two hours behind" => command = shifted(command, "-2h")?,
            "a read-only home" => {
                if program == "remotegpu" {
                    command = self.user.remotegpu(&server);
                    command.args(["keys", "use"]);
                    stdin = KEY;
                }
                command = on_home(READ_ONLY, &command, &self.user)?;
            }
            "stdout closed" => {
                let (reader, writer) = io::pipe().unwrap();
                drop(reader);
                return Some((run_into(command, writer.into()), server));
            }
            "under sudo, which drops variables" => {
                command
                    .env_remove("REMOTEGPU_API_KEY")
                    .env("SUDO_USER", "me");
            }
            "a full disk" => {
                let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
                    left_out("/dev/full");
                    return None;
                };
                return Some((run_into(command, full.into()), server));
            }
            unknown => panic!("docs/clients.md names a condition that is not tried: {unknown}"),
        }
        Some((run_with_stdin(&mut command, stdin), server))
    }
}

/// Mounts the folder `$1` anew.
const READ_ONLY: &str = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1""#;
const FULL: &str =
    r#"mount -t tmpfs -o size=16k none "$1" && ! head -c 100k /dev/zero >"$1/x" 2>/dev/null"#;

fn run_into(mut command: Command, stdout: Stdio) -> Run {
    let child = command
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::new(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same command where the home is mounted in another way, which holds for root too.
fn on_home(mount: &str, command: &Command, user: &User) -> Option<Command> {
    let script = format!(r#"{mount} && shift && exec "$@""#);
    let mut mounted = Command::new("unshare");
    mounted.args(["-rm", "sh", "-c", &script, "sh"]);
    let tried = Command::new("unshare")
        .args(["-rm", "sh", "-c", &script, "sh"])
        .arg(user.home.path())
        .arg("true")
        .output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        left_out("a mount namespace");
        return None;
    }
    mounted
        .arg(user.home.path())
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    Some(mounted)
}

/// The same command under another clock.
fn shifted(command: Command, by: &str) -> Option<Command> {
    let libraries = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(Path::new);
    let folders = libraries.iter().flat_map(|lib| {
        let inside = fs::read_dir(lib).into_iter().flatten().flatten();
        inside.map(|entry| entry.path()).chain([lib.to_path_buf()])
    });
    let library = folders
        .map(|folder| folder.join("faketime/libfaketime.so.1"))
        .find(|library| library.exists());
    let Some(library) = library else {
        left_out("libfaketime");
        return None;
    };
    let mut command = command;
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME", by)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Some(command)
}

/// A proxy that leads to one place, whatever it is asked for.
fn start_proxy(target: &str) -> String {
    let target = target.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut head = BufReader::new(client.try_clone().unwrap());
            let mut line = String::new();
            while head.read_line(&mut line).unwrap_or(0) > 2 {
                line.clear();
            }
            let mut client = client;
            let server = TcpStream::connect(&target).unwrap();
            let _ = client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from, &mut to));
            thread::spawn(move || copy_back(server, client));
        }
    });
    url
}

fn copy_back(mut server: impl Read, mut client: TcpStream) {
    let _ = io::copy(&mut server, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
}

// X4, X13
#[test]
fn each_condition_has_the_outcome_that_the_document_tells() {
    let promises = promises();
    let told: BTreeSet<_> = promises.iter().map(|p| (p.condition, p.program)).collect();
    let wanted = CONDITIONS
        .iter()
        .flat_map(|c| PROGRAMS.map(|p| (*c, p)))
        .chain(LOGIN)
        .collect();
    assert_eq!(told, wanted);
    for promise in &promises {
        let world = World::start();
        let Some((run, server)) = world.run(promise.condition, promise.program) else {
            continue;
        };
        let prefix = match promise.program {
            "kubectl-remotegpu" => "remotegpu: ",
            _ => "error: ",
        };
        let session = world.user.session_file();
        let (config, keys) = (session.parent().unwrap(), session.with_file_name("keys"));
        let said = promise.sentence.map_or_else(String::new, |sentence| {
            let sentence = sentence
                .replace("SERVER", &server)
                .replace("PROXY,", &format!("{},", world.dead_proxy))
                .replace("in FILE", &format!("in {}", keys.display()))
                .replace("write FILE", &format!("write {}", session.display()))
                .replace("folder FILE", &format!("folder {}", config.display()));
            format!("{prefix}{sentence}\n")
        });
        assert_eq!(run.stderr, said, "{promise:?}");
        assert_eq!(run.code == 0, promise.works, "{promise:?}: {run:?}");
    }
}
