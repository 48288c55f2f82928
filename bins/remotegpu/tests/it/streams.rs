//! What becomes of the output when nobody reads it, or nothing keeps it.

use std::fs::File;
use std::io::{PipeReader, Read};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::keys::{KEY, KEY_ID, account};
use crate::server::Server;
use crate::user::{Run, User, finish};

const SECRETS: [&str; 4] = [
    "keys rotate laptop",
    "keys rotate laptop -o json",
    "keys create laptop --all",
    "keys create laptop --all -o json",
];

/// Runs with this for stdout, and tells what stderr says.
fn run_into(stdout: impl Into<Stdio>, user: &User, server: &Server, words: &str) -> Run {
    let mut command = user.remotegpu(&server.url);
    command.args(words.split_whitespace()).stdout(stdout);
    finish(
        command
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap(),
    )
}

fn with_closed_stdout(user: &User, server: &Server, words: &str) -> Run {
    let mut command = user.command("sh");
    command.env("REMOTEGPU_SERVER", &server.url);
    let script = format!("exec {} {words} >&-", env!("CARGO_BIN_EXE_remotegpu"));
    crate::user::run(command.args(["-c", &script]))
}

fn nobody_reads() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

fn device(path: &str) -> Stdio {
    File::options().write(true).open(path).unwrap().into()
}

fn is_act(line: &str) -> bool {
    !line.starts_with("GET ")
}

// K2
#[test]
fn no_secret_is_made_that_nobody_could_read() {
    let server = Server::start(account);
    let user = User::signed_in(&server.url);
    for words in SECRETS {
        for (done, reason) in [
            (
                run_into(nobody_reads(), &user, &server, words),
                "nobody reads stdout",
            ),
            (
                run_into(device("/dev/null"), &user, &server, words),
                "stdout is closed or /dev/null",
            ),
            (
                with_closed_stdout(&user, &server, words),
                "stdout is closed or /dev/null",
            ),
            (
                run_into(device("/dev/full"), &user, &server, words),
                "no space is left",
            ),
        ] {
            assert_eq!((done.code, done.stderr.lines().count()), (1, 1), "{done:?}");
            assert!(
                done.stderr.starts_with("error: nothing was done: "),
                "{done:?}"
            );
            assert!(done.stderr.contains(reason), "{done:?}");
        }
    }
    assert!(
        !server
            .requests()
            .iter()
            .any(|request| is_act(&request.line))
    );
}

/// A server that lets go of the reading end as it answers an act.
fn server_with(reader: PipeReader) -> Server {
    let reader = Arc::new(Mutex::new(Some(reader)));
    Server::start(move |request| {
        if is_act(&request.line) {
            drop(reader.lock().unwrap().take());
        }
        account(request)
    })
}

fn assert_lost(done: &Run, words: &str) {
    assert_eq!((done.code, done.stderr.lines().count()), (1, 1), "{done:?}");
    assert!(!done.stderr.contains(KEY), "{done:?}");
    let sentence = if words.contains("rotate") {
        format!(
            "error: the key's new secret is lost, for nobody read it, and the old one has ended; \
             make another with `remotegpu keys rotate --id {KEY_ID}`\n"
        )
    } else {
        format!(
            "error: the key is lost, for nobody read it; revoke it with `remotegpu keys revoke \
             --id {KEY_ID}` and create another\n"
        )
    };
    assert_eq!(done.stderr, sentence);
}

// K2
#[test]
fn a_secret_that_could_not_be_printed_is_told_to_be_lost() {
    for words in SECRETS {
        let (reader, writer) = std::io::pipe().unwrap();
        let server = server_with(reader);
        let user = User::signed_in(&server.url);
        assert_lost(&run_into(writer, &user, &server, words), words);
    }
    let (reader, writer) = std::io::pipe().unwrap();
    let server = server_with(reader);
    let user = User::signed_in(&server.url);
    let done = run_into(writer, &user, &server, "keys rotate laptop --grace 1h");
    assert!(
        done.stderr.contains("the old one ends when its grace does"),
        "{done:?}"
    );
}

// K2
#[test]
fn a_reader_that_ends_without_reading_has_lost_the_secret() {
    let server = Server::start(account);
    let user = User::signed_in(&server.url);
    for words in SECRETS {
        let (reader, writer) = std::io::pipe().unwrap();
        let reading = thread::spawn(move || {
            thread::sleep(Duration::from_millis(500));
            drop(reader);
        });
        assert_lost(&run_into(writer, &user, &server, words), words);
        reading.join().unwrap();
        // A slow reader is none that does not read.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let reading = thread::spawn(move || {
            thread::sleep(Duration::from_millis(500));
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        let done = run_into(writer, &user, &server, words);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(reading.join().unwrap().contains(KEY));
    }
}

// K2
#[test]
fn an_answer_that_never_came_may_have_held_a_secret() {
    let server = Server::start_raw(|request| {
        if is_act(&request.line) {
            return Vec::new();
        }
        let (_, body) = account(request);
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            .into_bytes()
    });
    let user = User::signed_in(&server.url);
    for (words, advice) in [
        (
            "keys rotate laptop",
            "the key may have a new secret that nobody knows",
        ),
        (
            "keys create laptop --all",
            "there may be a key that nobody knows",
        ),
    ] {
        let done = user.run(&server.url, words);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.stderr.contains(advice), "{done:?}");
    }
}

const OTHERS: [&str; 10] = [
    "keys list",
    "keys list -o json",
    "keys update laptop --name new",
    "keys revoke laptop",
    "namespaces list -o name",
    "kubeconfig team-ml -f -",
    "kubeconfig team-ml -f /dev/stdout",
    "kubeconfig team-ml -o json",
    "whoami",
    "completions bash",
];

fn server() -> Server {
    Server::start(|request| {
        if request.line.contains("/kubeconfig") {
            let yaml = "kind: Config\n".repeat(10_000);
            let answer = json!({"filename": "x.yaml", "kubeconfig": yaml});
            return (200, answer.to_string());
        }
        if request.line.ends_with("/auth/session") {
            return (200, json!({"user": {"email": "a@b"}}).to_string());
        }
        account(request)
    })
}

#[test]
fn a_pipe_that_nobody_reads_ends_a_program_quietly() {
    let server = server();
    let user = User::signed_in(&server.url);
    for words in OTHERS {
        let done = run_into(nobody_reads(), &user, &server, words);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{words}");
        let done = with_closed_stdout(&user, &server, words);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{words}");
    }
}

#[test]
fn a_full_disk_is_a_sentence() {
    let server = server();
    let user = User::signed_in(&server.url);
    for words in OTHERS {
        let done = run_into(device("/dev/full"), &user, &server, words);
        assert_eq!(
            (done.code, done.stderr.lines().count()),
            (1, 1),
            "{words}: {done:?}"
        );
        assert!(done.stderr.contains("no space is left"), "{done:?}");
        let is_act = words.contains("revoke") || words.contains("update");
        assert_eq!(
            done.stderr.contains("it was done, but "),
            is_act,
            "{done:?}"
        );
    }
}

/// With the real programs of people's scripts.
#[test]
fn pipes_of_a_shell_lose_no_secret_in_silence() {
    let server = Server::start(account);
    let user = User::signed_in(&server.url);
    let cli = env!("CARGO_BIN_EXE_remotegpu");
    for (pipe, code) in [("true", 1), ("sleep 0.2", 1), ("cat", 0), ("tee copy", 0)] {
        let mut command: Command = user.command("sh");
        let script = format!("{{ {cli} keys rotate laptop; echo $? >code; }} | {pipe}");
        command
            .env("REMOTEGPU_SERVER", &server.url)
            .args(["-c", &script]);
        let done = crate::user::run(&mut command);
        let told = std::fs::read_to_string(user.home.path().join("code")).unwrap();
        assert_eq!(told.trim(), code.to_string(), "{pipe}: {done:?}");
    }
    let file = user.home.path().join("key");
    let done = run_into(
        File::create(&file).unwrap(),
        &user,
        &server,
        "keys rotate laptop",
    );
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), format!("{KEY}\n"));
}

// K2
#[test]
fn a_secret_for_which_a_disk_has_no_room_is_not_made() {
    let server = Server::start(account);
    let user = User::signed_in(&server.url);
    let script = format!(
        "mkdir full && mount -t tmpfs -o size=16k none full; : >full/key; \
         head -c 100k /dev/zero >full/x 2>/dev/null; \
         exec env REMOTEGPU_SERVER={} $CLI keys rotate laptop >full/key",
        server.url
    );
    let Some(done) = user.with_mounts(&script, "") else {
        return;
    };
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.stderr
            .contains("nothing was done: cannot write to stdout: no space"),
        "{done:?}"
    );
    assert!(
        !server
            .requests()
            .iter()
            .any(|request| is_act(&request.line))
    );
}
