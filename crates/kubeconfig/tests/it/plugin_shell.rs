//! The script that the shell plugin carries, run by real shells against a canned server.

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use remotegpu_kubeconfig::{ClusterEndpoint, ExecContext, Plugin, render_exec};
use serde_json::Value;

use crate::canned_server::{CannedServer, http};
use crate::left_out::left_out;
use crate::plugin_patience::refusing_once;

pub const KEY: &str = "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V";
pub const CREDENTIAL: &str = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"expirationTimestamp":"2030-01-01T00:00:00Z","token":"header.pay-load.signature"}}"#;

pub fn problem(detail: &str) -> String {
    format!(r#"{{"type":"urn:x","title":"T","status":400,"detail":"{detail}","code":"c"}}"#)
}

pub fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The shells of this machine: `sh` always, others where they are installed.
pub fn shells() -> Vec<Vec<String>> {
    let mut seen = HashSet::new();
    let mut shells = Vec::new();
    for (name, applet) in [
        ("sh", None),
        ("dash", None),
        ("bash", None),
        ("busybox", Some("sh")),
    ] {
        let Some(path) = find_program(name) else {
            assert!(name != "sh", "these tests need sh");
            continue;
        };
        if seen.insert(fs::canonicalize(&path).unwrap()) {
            let mut words = vec![path.to_str().unwrap().to_owned()];
            words.extend(applet.map(str::to_owned));
            shells.push(words);
        }
    }
    shells
}

pub fn context(url: &str) -> ExecContext {
    ExecContext {
        cluster: ClusterEndpoint {
            name: "fra1".into(),
            server: "https://127.0.0.1:1".into(),
            certificate_authority_pem: None,
        },
        kubernetes_namespace: "team-ml-x7k2pq".into(),
        exec_credential_url: url.into(),
    }
}

/// The plugin as kubectl would start it from a kubeconfig, save that the shell is chosen here.
pub fn plugin(shell: &[String], url: &str) -> Command {
    let yaml = render_exec(&[context(url)], Plugin::Shell).unwrap();
    let document: Value = serde_saphyr::from_str(&yaml).unwrap();
    let exec = &document["users"][0]["user"]["exec"];
    assert_eq!(exec["command"], "sh");
    let arguments = exec["args"].as_array().unwrap();
    let mut command = Command::new(&shell[0]);
    command
        .args(&shell[1..])
        .args(arguments.iter().map(|argument| argument.as_str().unwrap()))
        .env("REMOTEGPU_API_KEY", KEY)
        .stdin(Stdio::null());
    command
}

pub fn run(shell: &[String], url: &str) -> Output {
    plugin(shell, url).output().unwrap()
}

/// Asserts that the plugin failed with this one line and printed nothing else.
#[track_caller]
pub fn assert_line(shell: &[String], output: &Output, expected: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr, format!("remotegpu: {expected}\n"), "{shell:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{shell:?}");
    assert_eq!(output.status.code(), Some(1), "{shell:?}");
}

// X2, X4, X7
#[test]
fn a_credential_goes_to_stdout_and_nothing_else_anywhere() {
    for shell in shells() {
        let server = CannedServer::with_status(200, CREDENTIAL);
        let output = run(&shell, &server.url);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
        assert_eq!(
            String::from_utf8(output.stdout).unwrap().trim_end(),
            CREDENTIAL
        );
        assert_eq!(output.status.code(), Some(0));

        let request = server.request().to_lowercase();
        assert!(
            request.starts_with("post /v1/kubernetes/namespaces/0198/exec-credential http/1.1")
        );
        assert!(request.contains(&format!("\r\nx-api-key: {}\r\n", KEY.to_lowercase())));
        assert!(request.contains("\r\ncontent-length: 0\r\n"));
        assert!(!request.contains("\r\ncontent-type:"));
    }
}

// X4
#[test]
fn a_refusal_is_one_line_with_the_servers_detail() {
    for shell in shells() {
        for (status, detail) in [
            (401, "Invalid API key"),
            (
                403,
                "This API key does not allow Kubernetes exec for this namespace",
            ),
            (
                503,
                "The backing Kubernetes token response did not include an expiration",
            ),
            (429, "Too many credentials were asked for"),
            (421, "Misdirected"),
            (500, "Internal error"),
        ] {
            let server = CannedServer::with_status(status, &problem(detail));
            assert_line(&shell, &run(&shell, &server.url), detail);
        }
    }
}

// X4
#[test]
fn a_refusal_without_a_usable_detail_names_the_status() {
    for shell in shells() {
        for body in [
            "",
            "<html>\n<h1>Bad Gateway</h1>\n</html>",
            r#"{"detail":null,"code":"c"}"#,
            r#"{"detail":"","code":"c"}"#,
            r#"{"detail":7}"#,
            r#"{"detail""#,
        ] {
            let server = CannedServer::with_status(502, body);
            assert_line(
                &shell,
                &run(&shell, &server.url),
                "the server answered with HTTP status 502",
            );
        }
    }
}

// X4
#[test]
fn a_detail_can_do_nothing_to_shell_or_terminal() {
    for shell in shells() {
        for (sent, shown) in [
            (r#"say \"no\" \\ \/"#, r#"say "no" \ /"#),
            (r"a\nb\u001b[31mc\td", "a?b?[31mc?d"),
            ("a\u{1b}[31m\nb\r\u{7}", "a?[31m?b??"),
            (
                "$(id) `id` ${HOME} %s %n 'x' * ;&|",
                "$(id) `id` ${HOME} %s %n 'x' * ;&|",
            ),
            ("-n -e", "-n -e"),
            ("\u{9b}x", "??x"),
        ] {
            let server = CannedServer::with_status(403, &problem(sent));
            assert_line(&shell, &run(&shell, &server.url), shown);
        }
        let server = CannedServer::with_status(403, &problem(&"x".repeat(5000)));
        assert_line(&shell, &run(&shell, &server.url), &"x".repeat(289));
        for cut_off in [r#"{"detail":"abc"#, r#"{"detail":"abc\"#] {
            let server = CannedServer::with_status(403, cut_off);
            assert_line(&shell, &run(&shell, &server.url), "abc");
        }
    }
}

// X4
#[test]
fn an_answer_that_is_no_credential_is_one_line() {
    let no_credential = "the server answered with something that is no ExecCredential";
    for shell in shells() {
        for body in [
            "",
            "hello 200",
            "{}",
            r#"{"kind":"ExecCredential","status":{}}"#,
            "<html>",
        ] {
            let server = CannedServer::with_status(200, body);
            assert_line(&shell, &run(&shell, &server.url), no_credential);
        }
    }
}

// X4
#[test]
fn a_server_that_breaks_off_is_one_line_and_no_part_of_its_answer() {
    for shell in shells() {
        let whole = http(200, CREDENTIAL.as_bytes());
        for answer in [
            b"".to_vec(),
            b"nonsense\r\n\r\n".to_vec(),
            whole[..whole.len() - 9].to_vec(),
        ] {
            let server = CannedServer::answering(answer);
            let output = run(&shell, &server.url);
            let stderr = String::from_utf8(output.stderr).unwrap();
            let line = format!("remotegpu: no answer from {}: ", server.origin());
            assert!(stderr.starts_with(&line), "{stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            assert!(!stderr.contains("signature"), "{stderr}");
            assert!(output.stdout.is_empty());
            assert_eq!(output.status.code(), Some(1));
        }
    }
}

// X4
#[test]
fn a_server_that_is_not_there_is_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    for shell in shells() {
        let output = run(&shell, &url);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let line = format!(
            "remotegpu: no answer from {}: Failed to connect",
            &url[..url.len() - 1]
        );
        assert!(stderr.starts_with(&line), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert_eq!(output.status.code(), Some(1));
    }
}

// X2, X4: a redirect would carry the key to whoever the server names.
#[test]
fn a_redirect_is_not_followed() {
    for shell in shells() {
        let server = CannedServer::with_status(307, "");
        let output = run(&shell, &server.url);
        let line = format!(
            "{} answered with HTTP status 307, a redirect, which is not followed: is it the right \
             address?",
            server.origin()
        );
        assert_line(&shell, &output, &line);
        server.request();
        server.assert_unasked();
    }
}

// X4
#[test]
fn a_key_that_cannot_be_one_is_refused_before_the_server_is_asked() {
    let odd = "REMOTEGPU_API_KEY holds a character that no API key has";
    let missing = "REMOTEGPU_API_KEY is not set: export your API key first";
    for shell in shells() {
        let server = CannedServer::with_status(200, CREDENTIAL);
        let output = plugin(&shell, &server.url)
            .env_remove("REMOTEGPU_API_KEY")
            .output()
            .unwrap();
        assert_line(&shell, &output, missing);
        for (key, line) in [
            ("", missing),
            (" ", missing),
            ("\"\"\r\n", missing),
            ("rgpu_a rgpu_b", odd),
            ("rgpu_a\nx-evil: 1", odd),
            ("rgpu_a'b", odd),
            ("rgpu-a", odd),
            ("rgpu_é", odd),
            ("rgpu_\u{1b}[31m", odd),
            ("$(id)", odd),
            ("\"; id; \"", odd),
            ("*", odd),
            ("%s", odd),
        ] {
            for locale in ["C", "C.UTF-8"] {
                let output = plugin(&shell, &server.url)
                    .env("REMOTEGPU_API_KEY", key)
                    .env("LC_ALL", locale)
                    .output()
                    .unwrap();
                assert_line(&shell, &output, line);
            }
        }
        server.assert_unasked();
    }
}

// X4
#[test]
fn hostile_variables_change_nothing_and_print_no_key() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".curlrc"), "verbose\ninclude\n").unwrap();
    let start_up_file = home.path().join("start-up");
    fs::write(&start_up_file, "set -x\n").unwrap();
    for shell in shells() {
        let server = CannedServer::with_status(401, &problem("Invalid API key"));
        let output = plugin(&shell, &server.url)
            .env("HOME", home.path())
            .env("CURL_HOME", home.path())
            .env("ENV", &start_up_file)
            .env("SHELLOPTS", "allexport:errexit:noglob:nounset:xtrace")
            .env("PS4", "+ ${REMOTEGPU_API_KEY-} ")
            .env("IFS", "_:")
            .env("http_proxy", "http://127.0.0.1:1")
            .env("ALL_PROXY", "http://127.0.0.1:1")
            .env("POSIXLY_CORRECT", "1")
            .env("rest", "x")
            .env("answer", "x")
            .env("clock", "x")
            .env("line", "x")
            .env("name", "x")
            .output()
            .unwrap();
        assert_line(&shell, &output, "Invalid API key");
        assert!(server.request().contains(&format!("x-api-key: {KEY}\r\n")));
    }
}

// X4: bash prints each line that it reads, which cannot be silenced before the first is read.
#[test]
fn a_verbose_shell_prints_no_key() {
    for shell in shells() {
        let server = CannedServer::with_status(200, CREDENTIAL);
        let output = plugin(&shell, &server.url)
            .env("SHELLOPTS", "verbose:xtrace")
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !stderr.contains(KEY) && !stderr.contains("signature"),
            "{stderr}"
        );
        assert_eq!(
            String::from_utf8(output.stdout).unwrap().trim_end(),
            CREDENTIAL
        );
    }
}

// X4
#[test]
fn the_script_needs_no_program_but_curl_and_date() {
    let folder = tempfile::tempdir().unwrap();
    let curl = find_program("curl").expect("these tests need curl");
    for shell in shells() {
        let server = CannedServer::with_status(200, CREDENTIAL);
        let output = plugin(&shell, &server.url)
            .env("PATH", folder.path())
            .output()
            .unwrap();
        // Busybox may carry no curl, but it runs its own applets without PATH.
        assert_line(
            &shell,
            &output,
            "curl was not found: install it, or use the plugin kubectl-remotegpu",
        );
        server.assert_unasked();
    }
    for program in [curl, find_program("date").expect("these tests need date")] {
        let name = program.file_name().unwrap().to_owned();
        std::os::unix::fs::symlink(&program, folder.path().join(name)).unwrap();
    }
    for shell in shells() {
        let server = CannedServer::with_status(200, CREDENTIAL);
        let output = plugin(&shell, &server.url)
            .env("PATH", folder.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(0));
        let server = CannedServer::with_status(403, &problem(r"a \u001b b"));
        let output = plugin(&shell, &server.url)
            .env("PATH", folder.path())
            .output()
            .unwrap();
        assert_line(&shell, &output, "a ? b");
        // It waits without any other program too.
        let server = refusing_once(429, "rate_limited", "retry-after: 1\r\n");
        let begun = Instant::now();
        let output = plugin(&shell, &server.url)
            .env("PATH", folder.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(begun.elapsed() >= Duration::from_secs(1));
    }
}

/// Command lines and environments of the processes that work on `url`, this test's own aside.
fn processes_on(url: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path: &Path = &entry.path();
        let read = |file: &str| {
            let bytes = fs::read(path.join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let command_line = read("cmdline");
        if command_line.contains(url) {
            found.push((command_line, read("environ")));
        }
    }
    found
}

// X4
#[test]
fn the_key_stands_in_no_argument_list() {
    if !Path::new("/proc/self/cmdline").exists() {
        left_out("/proc");
        return;
    }
    for shell in shells() {
        let (sender, seen) = channel();
        let server =
            CannedServer::answering_when(http(200, CREDENTIAL.as_bytes()), move |request| {
                let host = request
                    .split("host: ")
                    .nth(1)
                    .or(request.split("Host: ").nth(1));
                let address = host
                    .and_then(|rest| rest.split("\r\n").next())
                    .unwrap()
                    .to_owned();
                let _ = sender.send(processes_on(&address));
            });
        let output = run(&shell, &server.url);
        assert_eq!(output.status.code(), Some(0), "{shell:?}");
        let processes = seen.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(
            processes.iter().any(|(line, _)| line.starts_with("curl ")),
            "{processes:?}"
        );
        for (command_line, environment) in processes {
            assert!(!command_line.contains(KEY), "{command_line}");
            if command_line.starts_with("curl ") {
                assert!(!environment.contains(KEY), "{environment}");
            }
        }
    }
}

// X4: some shells keep a here-document in a file.
#[test]
fn the_script_has_no_here_document() {
    let command = plugin(&["sh".to_owned()], "http://127.0.0.1:1/");
    let script = command.get_args().nth(1).unwrap().to_str().unwrap();
    assert!(script.contains("REMOTEGPU_API_KEY"));
    assert!(!script.contains("<<"));
    assert!(
        !script.contains("127.0.0.1:1"),
        "the address is an argument, never text"
    );
}

// X4: an address is data, whatever it looks like.
#[test]
fn an_odd_address_is_neither_shell_nor_option() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("made");
    let path = target.display();
    for shell in shells() {
        for url in [
            format!("-o{path}"),
            format!("http://127.0.0.1:1/$(touch {path})"),
            format!("http://127.0.0.1:1/`touch {path}`"),
            format!("'; touch {path}; '"),
            format!("\"; touch {path}; \""),
            "file:///etc/hostname".to_owned(),
            "http://127.0.0.1:{1,1}/[1-3]".to_owned(),
            String::new(),
        ] {
            let output = run(&shell, &url);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert!(stderr.starts_with("remotegpu: no answer from "), "{stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            assert!(output.stdout.is_empty());
            assert_eq!(output.status.code(), Some(1));
            assert!(!target.exists(), "{url}");
        }
    }
}
