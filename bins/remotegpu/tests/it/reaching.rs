//! How a server is reached: proxies, certificates, addresses, variables that are empty.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use crate::exec_credential::{CREDENTIAL, KEY, assert_line};
use crate::server::{Server, problem};
use crate::tls;
use crate::user::{Run, User, run};

fn plugin(url: &str) -> Command {
    let mut command = User::new().kubectl_remotegpu();
    command
        .args([
            "exec-credential",
            "--url",
            &format!("{url}/v1/x/exec-credential"),
        ])
        .current_dir("/")
        .env("REMOTEGPU_API_KEY", KEY);
    command
}

/// A server that says this to everyone who connects.
fn speaking_first(words: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(words);
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    url
}

/// An address where nothing listens.
pub fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

// X4: kubectl and its plugin go the same way.
#[test]
fn a_proxy_is_taken_from_the_variables_that_kubectl_reads() {
    let proxy = Server::start(|_| problem(407, "x", "Who are you?"));
    let host = proxy.url.trim_start_matches("http://");
    let with_password = format!("http://me:secret@{host}");
    let named = |name: &str| {
        format!(
            "no answer from https://server.invalid: the proxy {}, which {name} names, answered with 407",
            proxy.url
        )
    };
    for name in ["HTTPS_PROXY", "https_proxy"] {
        let run = run(plugin("https://server.invalid").env(name, &with_password));
        assert_line(&run, &named(name));
    }
    let asked = proxy.requests();
    assert_eq!(asked[0].line, "CONNECT server.invalid:443");
    // `me:secret`
    assert_eq!(
        asked[0].header("proxy-authorization"),
        Some("Basic bWU6c2VjcmV0")
    );
    let direct =
        "no answer from https://server.invalid: its name is not known here; is the address right?";
    for (name, value) in [
        ("HTTP_PROXY", &with_password),
        ("ALL_PROXY", &with_password),
        ("HTTPS_PROXY", &String::new()),
    ] {
        assert_line(
            &run(plugin("https://server.invalid").env(name, value)),
            direct,
        );
    }
    let excepted = run(plugin("https://server.invalid")
        .env("HTTPS_PROXY", &with_password)
        .env("NO_PROXY", ".invalid"));
    assert_line(&excepted, direct);
    assert_eq!(proxy.requests().len(), 2);
}

// X4
#[test]
fn a_proxy_that_is_not_there_is_named() {
    let proxy = nowhere();
    let run =
        run(plugin("https://server.invalid").env("HTTPS_PROXY", format!("me:secret@{proxy}")));
    assert_line(
        &run,
        &format!(
            "no answer from https://server.invalid: nothing listens where the proxy should be, \
         http://{proxy}, which HTTPS_PROXY names"
        ),
    );
    let odd = crate::user::run(
        plugin("https://server.invalid").env("HTTPS_PROXY", "http://me:secret@:80:80"),
    );
    assert_line(
        &odd,
        "HTTPS_PROXY names no proxy: an address such as http://proxy.example.com:3128 is wanted",
    );
}

// X4
#[test]
fn whose_certificate_is_bad_is_told_where_the_proxy_has_one_too() {
    let (proxy, pem) = tls::start_proxy();
    let user = User::new();
    let ca = user.home.path().join("ca.pem");
    fs::write(&ca, pem).unwrap();
    let ca = ca.to_str().unwrap();
    let only = format!("only {ca} is trusted, which REMOTEGPU_CA_FILE or --ca-file names");
    let plain = nowhere_but_words();
    let localhost = proxy.replace("127.0.0.1", "localhost");
    for (proxy, ca, reason) in [
        (
            &proxy,
            "",
            "nobody who is trusted here has signed the certificate of the proxy PROXY, which \
             HTTPS_PROXY names; name the file of its certificate authority with REMOTEGPU_CA_FILE",
        ),
        (
            &localhost,
            ca,
            "the certificate of the proxy PROXY, which HTTPS_PROXY names, is for another name; is \
             the address right?",
        ),
        (
            &plain,
            ca,
            "the proxy PROXY, which HTTPS_PROXY names, speaks no TLS; try http:// for it",
        ),
        (
            &proxy,
            ca,
            "nobody who is trusted here has signed its certificate; ONLY",
        ),
    ] {
        let run = run(plugin("https://server.test")
            .env("HTTPS_PROXY", proxy)
            .env("REMOTEGPU_CA_FILE", ca));
        let reason = reason.replace("PROXY,", &format!("{proxy},"));
        let reason = reason.replace("ONLY", &only);
        assert_line(
            &run,
            &format!("no answer from https://server.test: {reason}"),
        );
    }
}

/// The address of a server without TLS, as if it had it.
fn nowhere_but_words() -> String {
    speaking_first(b"HTTP/1.1 400 Bad Request\r\n\r\n").replace("http://", "https://")
}

fn whoami(user: &User, url: &str, variables: &[(&str, &str)]) -> Run {
    let mut command = user.remotegpu(url);
    run(command
        .args(["whoami", "-o", "name"])
        .envs(variables.iter().copied()))
}

#[test]
fn the_systems_certificates_are_trusted_unless_a_file_is_named() {
    let (url, pem) = tls::start();
    let user = User::signed_in(&url);
    let path = |name: &str| user.home.path().join(name).to_str().unwrap().to_owned();
    let (ours, other) = (path("ca.pem"), path("other.pem"));
    fs::write(&ours, pem).unwrap();
    fs::write(&other, tls::start().1).unwrap();
    let set = |variables: &[(&str, &str)]| whoami(&user, &url, variables);
    for trusted in [
        &[("SSL_CERT_FILE", ours.as_str())][..],
        &[("SSL_CERT_FILE", &ours), ("REMOTEGPU_CA_FILE", "")],
        &[("SSL_CERT_FILE", &other), ("REMOTEGPU_CA_FILE", &ours)],
    ] {
        let run = set(trusted);
        assert_eq!(run.stdout, "me@example.com\n", "{trusted:?} {run:?}");
    }
    // Instead, not besides.
    let instead = set(&[("SSL_CERT_FILE", &ours), ("REMOTEGPU_CA_FILE", &other)]);
    assert_eq!(
        instead.stderr,
        format!(
            "error: no answer from {url}: nobody who is trusted here has signed its certificate; only \
         {other} is trusted, which REMOTEGPU_CA_FILE or --ca-file names\n"
        )
    );
    // The system's own, and none.
    for variables in [
        &[][..],
        &[("SSL_CERT_FILE", "")],
        &[("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "")],
    ] {
        let unknown = set(variables);
        assert_eq!(
            unknown.stderr,
            format!(
                "error: no answer from {url}: nobody who is trusted here has signed its certificate; \
             name the file of its certificate authority with REMOTEGPU_CA_FILE\n"
            ),
            "{variables:?}"
        );
    }
    let missing = set(&[("SSL_CERT_FILE", "/no/such/file")]);
    assert_eq!(
        missing.stderr,
        "error: SSL_CERT_FILE names nothing that holds a certificate\n"
    );
}

#[test]
fn a_wrong_address_is_told_in_words_that_help() {
    let (https, pem) = tls::start();
    let user = User::signed_in(&https);
    let ca = user.home.path().join("ca.pem");
    fs::write(&ca, pem).unwrap();
    let ca = [("REMOTEGPU_CA_FILE", ca.to_str().unwrap())];
    let plain = speaking_first(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let other = |url: &str, scheme: &str| {
        let (_, rest) = url.split_once("://").unwrap();
        let url = format!("{scheme}://{rest}");
        let said = whoami(&User::signed_in(&url), &url, &ca);
        (url, said.stderr)
    };
    let (url, said) = other(&plain, "https");
    assert_eq!(
        said,
        format!("error: no answer from {url}: what came is no TLS; try http://\n")
    );
    let (url, said) = other(&https, "http");
    assert!(
        said.starts_with(&format!("error: no answer from {url}: ")),
        "{said}"
    );
    let name = https.replace("127.0.0.1", "localhost");
    let said = whoami(&User::signed_in(&name), &name, &ca).stderr;
    assert_eq!(
        said,
        format!(
            "error: no answer from {name}: its certificate is for another name; is the address right?\n"
        )
    );
    let moved = Server::start(|_| (302, String::new()));
    let said = whoami(&User::signed_in(&moved.url), &moved.url, &[]).stderr;
    let url = &moved.url;
    assert_eq!(
        said,
        format!(
            "error: {url} redirects to {url}/elsewhere, which is not followed: is {url} the right address?\n"
        )
    );
}

#[test]
fn arguments_are_refused_without_saying_a_secret() {
    let user = User::new();
    let said = user.run("", "whoami --server api.example.com").stderr;
    assert!(
        said.contains("an address begins with https:// or http://; try https://api.example.com"),
        "{said}"
    );
    for words in [
        "whoami --server https://me:secret@example.com",
        "whoami --server me:secret@example.com",
        "whoami --server ftp://me:secret@example.com",
        "https://me:secret@example.com",
        "keys rgpu_secret",
        "whoami rgpu_secret",
        "whoami --rgpu_secret",
        "whoami --output rgpu_secret",
    ] {
        let run = user.run("", words);
        assert_eq!(run.code, 2, "{words}");
        assert!(!run.stderr.contains("secret"), "{words}: {}", run.stderr);
    }
    let named = run(user
        .remotegpu("https://me:secret@example.com")
        .arg("whoami"));
    assert!(
        named.code == 2 && !named.stderr.contains("secret"),
        "{named:?}"
    );
}

#[test]
fn a_variable_that_is_empty_is_not_set() {
    let server = Server::start(|_| (200, CREDENTIAL.to_owned()));
    let empty = [
        "REMOTEGPU_CA_FILE",
        "REMOTEGPU_SERVER",
        "REMOTEGPU_API_KEY_FILE",
        "HTTP_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
    ];
    let run_plugin = run(plugin(&server.url).envs(empty.map(|name| (name, ""))));
    assert_eq!((run_plugin.code, run_plugin.stderr.as_str()), (0, ""));
    let user = User::new();
    let said = run(user
        .remotegpu("")
        .arg("whoami")
        .envs(empty.map(|name| (name, ""))));
    assert_eq!(
        said.stderr,
        "error: not signed in at http://127.0.0.1:8080\nSign in with `remotegpu login`.\n"
    );
}
