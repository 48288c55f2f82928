//! Where a kubeconfig goes: into files, and into what is none.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::json;

use crate::server::Server;
use crate::user::{User, run};

const YAML: &str = "apiVersion: v1\nkind: Config\n";

fn server() -> Server {
    Server::start(|request| {
        let answer = if request.line.contains("/kubeconfig") {
            json!({"namespace": "team-ml-x7k2pq", "filename": "x.yaml", "kubeconfig": YAML})
        } else {
            json!({"items": [{"id": "0198", "name": "team-ml"}], "next_cursor": null})
        };
        (200, answer.to_string())
    })
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_names_of_stdout_are_stdout() {
    let server = server();
    let user = User::signed_in(&server.url);
    for name in ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"] {
        for force in ["", " --force"] {
            let done = user.run(&server.url, &format!("kubeconfig team-ml -f {name}{force}"));
            assert_eq!((done.code, done.stdout.as_str()), (0, YAML), "{done:?}");
        }
        // Into a file it goes behind what stands there, as `>>` says.
        let path = user.home.path().join("all.yaml");
        fs::write(&path, "# mine\n").unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        let status = user
            .remotegpu(&server.url)
            .args(["kubeconfig", "team-ml", "-f", name])
            .stdout(file)
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("# mine\n{YAML}")
        );
    }
}

#[test]
fn a_pipe_with_a_name_and_a_device_are_written_and_stay() {
    let server = server();
    let user = User::signed_in(&server.url);
    let fifo = user.home.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    for force in ["", "--force"] {
        let reader = thread::spawn({
            let fifo = fifo.clone();
            move || {
                let mut text = String::new();
                File::open(fifo).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        let done = user.run(&server.url, &format!("kubeconfig team-ml -f fifo {force}"));
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(reader.join().unwrap(), YAML);
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    }
    let link = user.home.path().join("null");
    symlink("/dev/null", &link).unwrap();
    let done = user.run(&server.url, "kubeconfig team-ml --force -f null");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
    let done = user.run(&server.url, "kubeconfig team-ml -f /dev/full");
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("no space is left"), "{done:?}");
}

#[test]
fn links_are_followed_and_kept() {
    let server = server();
    let user = User::signed_in(&server.url);
    let at = |name: &str| user.home.path().join(name);
    fs::create_dir(at("real")).unwrap();
    symlink("real/one.yaml", at("two.yaml")).unwrap();
    symlink(at("two.yaml"), at("three.yaml")).unwrap();
    for (force, code) in [("", 0), ("", 1), ("--force", 0)] {
        let words = format!("kubeconfig team-ml -f three.yaml {force}");
        let done = user.run(&server.url, &words);
        assert_eq!(done.code, code, "{done:?}");
        assert_eq!(fs::read_to_string(at("real/one.yaml")).unwrap(), YAML);
    }
    for link in ["two.yaml", "three.yaml"] {
        assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink());
    }
    assert_eq!(mode(&at("real/one.yaml")), 0o600);
    assert_eq!(fs::read_dir(at("real")).unwrap().count(), 1);

    symlink("loop", at("loop")).unwrap();
    let done = user.run(&server.url, "kubeconfig team-ml -f loop");
    assert_eq!((done.code, done.stderr.lines().count()), (1, 1), "{done:?}");
}

#[test]
fn a_file_that_is_replaced_keeps_who_may_read_it() {
    let server = server();
    let user = User::signed_in(&server.url);
    let file = user.home.path().join("shared.yaml");
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let inode = fs::metadata(&file).unwrap().ino();
    let words = "kubeconfig team-ml -f shared.yaml --force";
    assert_eq!(user.run(&server.url, words).code, 0);
    assert_eq!(mode(&file), 0o640);
    // It was replaced as a whole: who had it open reads the old one on.
    assert_ne!(fs::metadata(&file).unwrap().ino(), inode);
}

#[test]
fn a_place_that_cannot_be_written_is_one_sentence() {
    let server = server();
    let user = User::signed_in(&server.url);
    fs::create_dir(user.home.path().join("folder")).unwrap();
    for (place, reason) in [
        ("folder", "it is a folder"),
        ("nowhere/x.yaml", "its folder is not there"),
        ("/proc/x.yaml", "cannot write /proc/x.yaml"),
    ] {
        let words = format!("kubeconfig team-ml -f {place}");
        let done = user.run(&server.url, &words);
        assert_eq!((done.code, done.stderr.lines().count()), (1, 1), "{done:?}");
        assert!(done.stderr.contains(reason), "{done:?}");
    }
}

/// As it is under `sudo`, whose HOME may be that of another user.
#[test]
fn what_root_writes_in_a_users_folder_is_the_users() {
    let server = server();
    let user = User::signed_in(&server.url);
    if fs::metadata(user.home.path()).unwrap().uid() != 0 {
        return;
    }
    std::os::unix::fs::chown(user.home.path(), Some(12345), Some(12345)).unwrap();
    let done = run(user.remotegpu(&server.url).args(["kubeconfig", "team-ml"]));
    assert_eq!(done.code, 0, "{done:?}");
    let made = fs::metadata(user.home.path().join("x.yaml")).unwrap();
    assert_eq!((made.uid(), made.gid()), (12345, 12345));
}
