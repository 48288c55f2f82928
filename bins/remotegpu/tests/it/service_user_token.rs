//! Where the command line has a service user's token from (contract T8).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::server::{Server, problem};
use crate::user::{User, run};

const TOKEN: &str = "rgsu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1t3RXk";
const OTHER: &str = "rgsu_0123456789ABCDEFGHIJKLMNOPQRST000000";

fn service() -> Server {
    Server::start(|_| {
        let session = json!({
            "service_user": {"id": "s", "name": "ci"}, "account": {"id": "a", "name": "Lab"},
            "role": "write", "expires_at": "2026-11-28T08:00:00Z",
        });
        (200, session.to_string())
    })
}

#[track_caller]
fn assert_came_with(server: &Server, token: &str) {
    let bearer = format!("Bearer {token}");
    let requests = server.requests();
    let last = requests.last().unwrap();
    assert_eq!(last.header("authorization"), Some(bearer.as_str()));
    assert_eq!(last.header("x-api-key"), None);
}

// T8
#[test]
fn a_pipeline_needs_no_login() {
    let (user, server) = (User::new(), service());
    let whoami = run(user
        .remotegpu(&server.url)
        .arg("whoami")
        .env("REMOTEGPU_TOKEN", TOKEN));
    assert_eq!(whoami.code, 0, "{whoami:?}");
    assert!(
        whoami.stdout.contains("ci (service user)  Lab      write"),
        "{whoami:?}"
    );
    assert!(!format!("{whoami:?}").contains(TOKEN));
    assert_came_with(&server, TOKEN);
    assert!(!user.session_file().exists());
    let mut named = user.remotegpu(&server.url);
    let named = run(named
        .args(["whoami", "-o", "name"])
        .env("REMOTEGPU_TOKEN", TOKEN));
    assert_eq!(named.stdout, "ci\n");
}

// T8
#[test]
fn a_variable_stands_before_a_file_and_both_before_a_session() {
    let server = service();
    let user = User::signed_in(&server.url);
    let file = user.home.path().join("token");
    fs::write(&file, format!("\"{OTHER}\"\r\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let ask = |variable: &str| {
        let mut command = user.remotegpu(&server.url);
        command.arg("whoami").env("REMOTEGPU_TOKEN", variable);
        run(command.env("REMOTEGPU_TOKEN_FILE", &file))
    };
    assert_eq!(ask(TOKEN).code, 0);
    assert_came_with(&server, TOKEN);
    let from_file = ask("");
    assert_eq!((from_file.code, from_file.stderr.as_str()), (0, ""));
    assert_came_with(&server, OTHER);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let open = ask("");
    let warning = format!(
        "warning: others can read {}, which holds your token\n",
        file.display()
    );
    assert_eq!((open.code, open.stderr), (0, warning));
}

// T8
#[test]
fn what_is_no_token_is_told_without_being_shown_or_sent() {
    let (user, server) = (User::new(), service());
    for wrong in [
        "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V",
        "a-token",
        "rgse_secret",
    ] {
        let refused = run(user
            .remotegpu(&server.url)
            .arg("whoami")
            .env("REMOTEGPU_TOKEN", wrong));
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(!format!("{refused:?}").contains(wrong), "{refused:?}");
        assert!(refused.stderr.contains("REMOTEGPU_TOKEN"), "{refused:?}");
    }
    assert!(server.requests().is_empty());
}

// T8
#[test]
fn a_token_that_has_ended_asks_for_no_login() {
    let server = Server::start(|_| problem(401, "invalid_access_token", "Invalid access token"));
    let user = User::new();
    let refused = run(user
        .remotegpu(&server.url)
        .arg("whoami")
        .env("REMOTEGPU_TOKEN", TOKEN));
    let told = "error: Invalid access token\nThe token of the service user is unknown, has expired \
                or was deleted.\n";
    assert_eq!((refused.code, refused.stderr.as_str()), (1, told));
}

// T8
#[test]
fn a_login_beside_a_token_says_who_the_others_are() {
    let (user, server) = (User::new(), crate::session::sign_in_server());
    let mut login = user.remotegpu(&server.url);
    login.args(["login", "--email", "me@example.com", "--password-stdin"]);
    login.env("REMOTEGPU_TOKEN", TOKEN);
    let login = crate::user::run_with_stdin(&mut login, "correct horse battery\n");
    assert_eq!(login.code, 0, "{login:?}");
    let warning = "warning: the other commands go on as the service user whose token is set\n";
    assert!(login.stderr.starts_with(warning), "{login:?}");
}
