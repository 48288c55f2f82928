//! Where the plugin has its key from (contract X13).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exec_credential::{CREDENTIAL, KEY, assert_line};
use crate::server::Server;
use crate::user::{Run, User, run, run_with_stdin};

const OTHER_KEY: &str = "rgpu_0123456789ABCDEFGHIJKLMNOPQRST33fh1v";

struct World {
    user: User,
    server: Server,
}

impl World {
    fn new() -> Self {
        Self {
            user: User::new(),
            server: Server::start(|_| (200, CREDENTIAL.to_owned())),
        }
    }

    fn plugin(&self) -> Command {
        let mut command = self.user.kubectl_remotegpu();
        let url = format!("{}/v1/x/exec-credential", self.server.url);
        command.args(["exec-credential", "--url", &url]);
        command
    }

    fn kept(&self) -> PathBuf {
        let name = self
            .server
            .url
            .trim_start_matches("http://")
            .replace(':', "_");
        let config = self.user.home.path().join("config");
        config.join("remotegpu/keys").join(name)
    }

    fn keep(&self, stdin: &str) -> Run {
        let mut command = self.user.remotegpu(&self.server.url);
        run_with_stdin(command.args(["keys", "use"]), stdin)
    }

    fn file(&self, text: &str, mode: u32) -> PathBuf {
        let path = self.user.home.path().join("key");
        fs::write(&path, text).unwrap();
        set_mode(&path, mode);
        path
    }

    #[track_caller]
    fn assert_used(&self, run: &Run, key: &str) {
        assert_eq!(run.code, 0, "{run:?}");
        let requests = self.server.requests();
        assert_eq!(requests.last().unwrap().header("x-api-key"), Some(key));
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

// X13
#[test]
fn a_key_that_is_kept_is_used() {
    let world = World::new();
    let kept = world.keep(&format!("\"{KEY}\"\r\n"));
    let expected = format!(
        "The API key for {} is kept in {}.\n",
        world.server.url,
        world.kept().display()
    );
    assert_eq!(
        (kept.code, kept.stderr.as_str(), kept.stdout.as_str()),
        (0, expected.as_str(), "")
    );
    let mode = fs::metadata(world.kept()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let run = run(&mut world.plugin());
    assert_eq!(run.stderr, "");
    world.assert_used(&run, KEY);

    set_mode(&world.kept(), 0o644);
    assert_line(
        &crate::user::run(&mut world.plugin()),
        &format!(
            "others can read {}, which holds your API key: chmod 600 it",
            world.kept().display()
        ),
    );
    // Kept again, it is as it should be.
    world.keep(OTHER_KEY);
    world.assert_used(&crate::user::run(&mut world.plugin()), OTHER_KEY);
}

// X13
#[test]
fn the_variable_comes_first_then_the_file_that_is_named() {
    let world = World::new();
    world.keep(OTHER_KEY);
    let file = world.file(&format!("{KEY}\n"), 0o600);
    let named = run(world.plugin().env("REMOTEGPU_API_KEY_FILE", &file));
    assert_eq!(named.stderr, "");
    world.assert_used(&named, KEY);
    // What is empty is not set.
    let empty = run(world
        .plugin()
        .env("REMOTEGPU_API_KEY", "\"\"")
        .env("REMOTEGPU_API_KEY_FILE", ""));
    world.assert_used(&empty, OTHER_KEY);
    let both = run(world
        .plugin()
        .env("REMOTEGPU_API_KEY", OTHER_KEY)
        .env("REMOTEGPU_API_KEY_FILE", "/no/such/file"));
    world.assert_used(&both, OTHER_KEY);
    for key in [
        format!("{KEY}\n"),
        format!("'{KEY}'\r\n"),
        format!(" {KEY}\t"),
    ] {
        world.assert_used(&run(world.plugin().env("REMOTEGPU_API_KEY", key)), KEY);
    }
}

// X13
#[test]
fn a_file_that_is_named_may_be_open_to_others_and_must_hold_a_key() {
    let world = World::new();
    let file = world.file(KEY, 0o644);
    let open = run(world.plugin().env("REMOTEGPU_API_KEY_FILE", &file));
    let path = file.display();
    let warning = format!("remotegpu: warning: others can read {path}, which holds your API key\n");
    assert_eq!(open.stderr, warning);
    world.assert_used(&open, KEY);
    let named = |path: &Path| run(world.plugin().env("REMOTEGPU_API_KEY_FILE", path));
    for (text, line) in [
        (
            "",
            format!("{path}, which REMOTEGPU_API_KEY_FILE names, holds no API key"),
        ),
        (
            "a b",
            format!(
                "{path}, which REMOTEGPU_API_KEY_FILE names, holds a character that no API key has"
            ),
        ),
    ] {
        world.file(text, 0o600);
        assert_line(&named(&file), &line);
    }
    let missing = world.user.home.path().join("missing");
    let line = format!(
        "cannot read {}, which REMOTEGPU_API_KEY_FILE names: there is no such file",
        missing.display()
    );
    assert_line(&named(&missing), &line);
}

// X13
#[test]
fn what_is_no_key_is_not_kept() {
    let world = World::new();
    for (stdin, line) in [
        ("", "stdin holds no API key"),
        (
            "hello",
            "what stdin holds is no API key: one begins with rgpu_",
        ),
        ("rgpu_a b", "stdin holds a character that no API key has"),
    ] {
        let run = world.keep(stdin);
        assert_eq!((run.code, run.stderr), (1, format!("error: {line}\n")));
    }
    assert!(!world.kept().exists());
}
