//! The console in a real browser, one flow a test. The flows are in `tests/browser`.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use remotegpu_test_support::left_out::left_out;

use crate::{
    readme::one_time_password,
    support::{ADMIN_PASSWORD, Backend, Server, ServerOptions},
};

/// Where what drives the browser is, and the browser. Where one of them is missing, the
/// test is left out.
fn is_there() -> bool {
    let named = |name| std::env::var_os(name).is_some_and(|path| Path::new(&path).exists());
    let is_there = named("REMOTEGPU_TEST_BROWSER") && named("REMOTEGPU_CHROMIUM");
    if !is_there {
        left_out("a browser that ./x installs, which wants Node");
    }
    is_there
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scripts {
    On,
    Off,
}

/// Runs a flow as the operator.
#[track_caller]
fn run(server: &Server, password: &str, flow: &str, scripts: Scripts) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let mut node = Command::new("node");
    node.arg(folder.join(flow).with_extension("mjs"));
    if scripts == Scripts::Off {
        node.arg("without-scripts");
    }
    // Every user of a machine can read the arguments of a process.
    let output = node
        .env("REMOTEGPU_TEST_URL", &server.url)
        .env("REMOTEGPU_TEST_PASSWORD", password)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{flow}:\n{said}\n{}", server.log());
    println!("{said}");
}

/// A flow of an operator whose password was handed out once.
async fn first_flow(flow: &str, scripts: Scripts) {
    if !is_there() {
        return;
    }
    let options = ServerOptions {
        given_password: false,
        ..ServerOptions::new(Backend::Sqlite)
    };
    let server = Server::start_with(options).await;
    let log = server.log();
    let password = log.lines().find_map(one_time_password).unwrap();
    run(&server, password, flow, scripts);
}

/// A flow of an operator, with scripts and without.
async fn flow_twice(flow: &str) {
    if !is_there() {
        return;
    }
    let server = Server::start(Backend::Sqlite).await;
    for scripts in [Scripts::On, Scripts::Off] {
        run(&server, ADMIN_PASSWORD, flow, scripts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_from_a_one_time_password_to_kubectl() {
    // H1, H2, A10
    first_flow("reference", Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_from_a_one_time_password_to_kubectl_without_scripts() {
    // H3
    first_flow("reference", Scripts::Off).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_the_keyboard_alone() {
    // H6
    flow_twice("keyboard").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_keys_whose_secret_is_shown_once() {
    // H1, H5
    flow_twice("keys").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_an_access_token_in_the_reference_s_words() {
    // H1, H5, T1
    flow_twice("tokens").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_member_from_an_invitation_to_the_end() {
    // T7, T10, K15
    flow_twice("members").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_namespace_from_its_name_to_its_end() {
    // H2, H3
    flow_twice("namespaces").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_of_a_session_that_ends_and_of_what_was_typed() {
    // H2, H3, H5
    flow_twice("account").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_through_the_audit_log_and_its_file() {
    // H7
    flow_twice("audit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_in_the_journey_past_every_page() {
    // H6
    first_flow("axe", Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journey_behind_a_slow_proxy_makes_nothing_twice() {
    // H3
    flow_twice("slow").await;
}
