//! How the words on the command line and the variables around it are taken.

use std::fs::File;
use std::process::Stdio;

use crate::server::Server;
use crate::user::{User, finish, run};

const PASSWORD: &str = "hunter2-hunter2";

// K2
#[test]
fn what_is_refused_is_not_said_aloud() {
    let server = Server::start(crate::keys::account);
    let user = User::signed_in(&server.url);
    let other = "rgpu_0123456789ABCDEFGHIJKLMNOPQRST33fh1v";
    for words in [
        "keys revoke",
        "keys rotate",
        "keys update --all",
        "keys create --all",
        "keys create a --namespace",
        "keys update team-ml --name",
        "namespaces delete",
        "namespaces create",
        "namespaces rename team-ml",
        "kubeconfig",
        "",
        "whoami",
        "keys list -o",
        "keys create a --all --expires-in",
        "keys create a --all --expires-at",
        "--server",
        "--server https://",
    ] {
        let done = user.run(&server.url, &format!("{words} {other}"));
        assert!(done.code > 0, "{words}: {done:?}");
        assert!(!done.stderr.contains(&other[..14]), "{words}: {done:?}");
        assert_eq!(done.stdout, "");
    }
    assert!(
        !server
            .requests()
            .iter()
            .any(|request| request.line.contains(other) || request.body.contains(other))
    );
}

// A8
#[test]
fn a_password_in_the_wrong_place_is_not_said_aloud() {
    let user = User::new();
    for words in [
        "login --password X",
        "login --password=X",
        "login X",
        "login --email a@b X",
        "password X",
        "password old X",
        "--server https://me:X@example.com whoami",
        "--server me:X@example.com whoami",
        "--server :X@example.com whoami",
        "--server ftp://me:X@example.com whoami",
    ] {
        let done = user.run("http://127.0.0.1:1", &words.replace('X', PASSWORD));
        assert_eq!(done.code, 2, "{words}: {done:?}");
        assert!(!done.stderr.contains(PASSWORD), "{words}: {done:?}");
    }
    let address = format!("https://me:{PASSWORD}@example.com");
    let done = run(user.remotegpu(&address).arg("whoami"));
    assert!(!done.stderr.contains(PASSWORD), "{done:?}");
    let done = user.run("http://127.0.0.1:1", "login --password secret");
    assert_eq!(
        done.stderr,
        "error: a password is never an argument, for every user of this machine could read it; \
         use --password-stdin\n"
    );
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let user = User::new();
    let mut command = user.remotegpu("");
    command
        .env("REMOTEGPU_CA_FILE", "")
        .env("XDG_CONFIG_HOME", "")
        .arg("whoami");
    let done = run(&mut command);
    assert_eq!(
        done.stderr,
        "error: not signed in at http://127.0.0.1:8080\nSign in with `remotegpu login`.\n"
    );
    // What was asked for by a word is meant.
    let done = run(user.remotegpu("").args(["--server", "", "whoami"]));
    assert_eq!(done.code, 2, "{done:?}");
}

#[test]
fn help_goes_where_it_can() {
    let user = User::new();
    for words in [
        vec!["--help"],
        vec!["--version"],
        vec!["keys", "create", "--help"],
    ] {
        let run_into = |stdout: Stdio| {
            let mut command = user.remotegpu("http://127.0.0.1:1");
            command.args(&words).stdout(stdout).stderr(Stdio::piped());
            finish(command.spawn().unwrap().wait_with_output().unwrap())
        };
        let done = run_into(std::io::pipe().unwrap().1.into());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{words:?}");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let done = run_into(full.into());
        assert_eq!(done.code, 1, "{words:?}");
        assert_eq!(
            done.stderr,
            "error: cannot write to stdout: no space is left on the disk; make room and try again\n"
        );
    }
}

#[test]
fn every_commands_help_has_an_example() {
    let user = User::new();
    let help = |words: &str| {
        user.run("http://127.0.0.1:1", &format!("{words} --help"))
            .stdout
    };
    let commands = |help: &str| -> Vec<String> {
        let listed = help.split("Commands:\n").nth(1).unwrap_or("");
        let lines = listed.lines().take_while(|line| !line.is_empty());
        let words = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let words = words.filter_map(|line| line.split_whitespace().next());
        words
            .filter(|word| *word != "help")
            .map(str::to_owned)
            .collect()
    };
    let mut seen = 0;
    for command in commands(&help("")) {
        for words in commands(&help(&command))
            .iter()
            .map(|sub| format!("{command} {sub}"))
            .chain([command.clone()])
        {
            let text = help(&words);
            assert!(
                text.contains("Example") || text.contains("Commands:"),
                "{words}: {text}"
            );
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
}
