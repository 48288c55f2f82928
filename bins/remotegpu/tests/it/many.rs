//! Many at once, and places that keep nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::server::Server;
use crate::session::{login, sign_in_server};
use crate::user::{Run, SESSION_TOKEN, User, run_with_stdin, start_with_stdin};

const PASSWORD: &str = "correct horse battery\n";
const LOGIN: [&str; 4] = ["login", "--email", "me@example.com", "--password-stdin"];

fn sessions(user: &User) -> serde_json::Map<String, Value> {
    let stored: Value = serde_json::from_slice(&fs::read(user.session_file()).unwrap()).unwrap();
    stored["sessions"].as_object().unwrap().clone()
}

// A6
#[test]
fn a_hundred_logins_at_once_are_all_kept() {
    let (user, server) = (User::new(), sign_in_server());
    let address = |number| format!("{}/{number}", server.url);
    let logins: Vec<_> = (0..100)
        .map(|number| start_with_stdin(user.remotegpu(&address(number)).args(LOGIN), PASSWORD))
        .collect();
    for login in logins {
        let done = crate::user::finish(login.wait_with_output().unwrap());
        assert_eq!(done.code, 0, "{done:?}");
    }
    assert_eq!(sessions(&user).len(), 100);
    let folder = user.session_file().parent().unwrap().to_owned();
    let mut left: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["session.json", "session.lock"]);

    // And those that sign out at once lose nobody else's.
    let logouts: Vec<_> = (0..50)
        .map(|number| start_with_stdin(user.remotegpu(&address(number)).arg("logout"), ""))
        .collect();
    for logout in logouts {
        assert!(logout.wait_with_output().unwrap().status.success());
    }
    assert_eq!(sessions(&user).len(), 50);
}

#[test]
fn a_session_file_that_is_a_link_stays_one() {
    let (user, server) = (User::new(), sign_in_server());
    let folder = user.session_file().parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    let real = user.home.path().join("dotfiles-session.json");
    symlink(&real, user.session_file()).unwrap();
    for _ in 0..2 {
        assert_eq!(login(&user, &server).code, 0);
        assert!(
            fs::symlink_metadata(user.session_file())
                .unwrap()
                .is_symlink()
        );
    }
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(sessions(&user)[&server.url]["access_token"], SESSION_TOKEN);
}

/// A login in a home where nothing can be kept.
fn refused(user: &User, server: &Server, config: &str) -> Run {
    let mut command = user.remotegpu(&server.url);
    let done = run_with_stdin(command.env("XDG_CONFIG_HOME", config).args(LOGIN), PASSWORD);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{done:?}");
    assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
    assert!(
        done.stderr.starts_with("error: no session was opened: "),
        "{done:?}"
    );
    assert!(done.stderr.contains("XDG_CONFIG_HOME"), "{done:?}");
    done
}

// A6
#[test]
fn a_login_that_cannot_keep_its_session_opens_none() {
    let (user, server) = (User::new(), sign_in_server());
    // Nobody, root included, makes a folder there.
    refused(&user, &server, "/proc/remotegpu");
    assert_eq!(server.requests().len(), 0);
}

// A6
#[test]
fn a_session_that_could_not_be_kept_in_the_end_is_ended() {
    let user = User::new();
    let folder = user.session_file();
    let server = Server::start(move |request| match request.line.as_str() {
        "POST /v1/auth/sign-in" => {
            // What stood the trial fails in earnest.
            fs::create_dir_all(&folder).unwrap();
            (200, json!({"access_token": SESSION_TOKEN}).to_string())
        }
        _ => (204, String::new()),
    });
    let config = user.home.path().join("config");
    refused(&user, &server, config.to_str().unwrap());
    let last = server.requests().pop().unwrap();
    assert_eq!(last.line, "POST /v1/auth/sign-out");
    let bearer = format!("Bearer {SESSION_TOKEN}");
    assert_eq!(last.header("authorization"), Some(bearer.as_str()));
}

// A6
#[test]
fn a_home_that_cannot_be_written_still_serves_the_session_it_has() {
    let server = sign_in_server();
    let user = User::signed_in(&server.url);
    // A folder in the place of the file that keeps others out.
    fs::create_dir(user.session_file().with_extension("lock")).unwrap();
    let done = user.run(&server.url, "whoami -o name");
    assert_eq!(done.stdout, "me@example.com\n", "{done:?}");
    let done = user.run(&server.url, "logout");
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        server.requests().pop().unwrap().line,
        "POST /v1/auth/sign-out"
    );
    assert!(done.stderr.contains("Signed out"), "{done:?}");
    assert!(done.stderr.contains("could not be taken "), "{done:?}");
}

/// `sudo` with the HOME of the user, and the user afterwards.
#[test]
fn what_root_keeps_in_a_users_home_is_the_users() {
    let (user, server) = (User::new(), sign_in_server());
    if fs::metadata(user.home.path()).unwrap().uid() != 0 {
        return;
    }
    std::os::unix::fs::chown(user.home.path(), Some(12345), Some(12345)).unwrap();
    assert_eq!(login(&user, &server).code, 0);
    let config = user.home.path().join("config");
    for path in [
        config.clone(),
        config.join("remotegpu"),
        config.join("remotegpu/session.json"),
        config.join("remotegpu/session.lock"),
    ] {
        let owner = fs::metadata(&path).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (12345, 12345), "{path:?}");
    }
    // Files of root, as an earlier version left them: the user is told how to take them back.
    std::os::unix::fs::chown(user.session_file(), Some(0), Some(0)).unwrap();
    let done = as_user(&user, &server, "whoami");
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("sudo chown -R 12345 "), "{done:?}");
    assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
}

fn as_user(user: &User, server: &Server, words: &str) -> Run {
    use std::os::unix::process::CommandExt;
    // The folder of the build may be closed to others.
    let program = user.home.path().join("remotegpu");
    fs::copy(env!("CARGO_BIN_EXE_remotegpu"), &program).unwrap();
    let mut command = std::process::Command::new(program);
    command
        .env_clear()
        .env("HOME", user.home.path())
        .env("XDG_CONFIG_HOME", user.home.path().join("config"))
        .env("REMOTEGPU_SERVER", &server.url)
        .args(words.split_whitespace())
        .stdin(Stdio::null())
        .current_dir(user.home.path())
        .uid(12345)
        .gid(12345);
    crate::user::run(&mut command)
}

// A6
#[test]
fn a_full_disk_and_a_read_only_home_open_no_session() {
    let (user, server) = (User::new(), sign_in_server());
    let login = format!(
        "exec env -i HOME=$PWD/home REMOTEGPU_SERVER={} $CLI login --email a@b --password-stdin",
        server.url
    );
    for (mount, reason) in [
        (
            "mount -t tmpfs -o size=16k none home; head -c 100k /dev/zero >home/x 2>/dev/null",
            "no space is left on the disk; make room and try again",
        ),
        (
            "mount -t tmpfs -o ro none home",
            "the file system is read-only",
        ),
    ] {
        let script = format!("mkdir -p home && {mount}; {login}");
        let Some(done) = user.with_mounts(&script, PASSWORD) else {
            return;
        };
        assert_eq!((done.code, done.stderr.lines().count()), (1, 1), "{done:?}");
        assert!(
            done.stderr.starts_with("error: no session was opened: "),
            "{done:?}"
        );
        assert!(done.stderr.contains(reason), "{done:?}");
    }
    assert_eq!(server.requests().len(), 0);
}
