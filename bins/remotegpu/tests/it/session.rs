use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::server::{Server, problem};
use crate::user::{SESSION_TOKEN, User, run_with_stdin};

fn session() -> Value {
    json!({
        "user": {"id": "u", "email": "me@example.com"}, "account": {"id": "a", "name": "Lab"},
        "role": "admin", "expires_at": "2026-11-28T08:00:00Z",
    })
}

pub fn sign_in_server() -> Server {
    Server::start(|request| {
        let mut answer = session();
        if request.line.ends_with("/sign-in") {
            answer["access_token"] = SESSION_TOKEN.into();
        }
        (200, answer.to_string())
    })
}

pub fn login(user: &User, server: &Server) -> crate::user::Run {
    run_with_stdin(
        user.remotegpu(&server.url).args([
            "login",
            "--email",
            "me@example.com",
            "--password-stdin",
        ]),
        "correct horse battery\n",
    )
}

// A6
#[test]
fn login_stores_the_session_for_its_owner_alone() {
    let (user, server) = (User::new(), sign_in_server());
    let run = login(&user, &server);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.stdout.contains("me@example.com  Lab      admin"),
        "{run:?}"
    );
    assert!(!format!("{run:?}").contains(SESSION_TOKEN));

    let requests = server.requests();
    assert_eq!(requests[0].line, "POST /v1/auth/sign-in");
    assert_eq!(
        requests[0].json(),
        json!({"email": "me@example.com", "password": "correct horse battery", "cookie": false})
    );
    assert_eq!(requests[0].header("origin"), None);
    assert_eq!(requests[1].line, "GET /v1/auth/session");
    let bearer = format!("Bearer {SESSION_TOKEN}");
    assert_eq!(requests[1].header("authorization"), Some(bearer.as_str()));

    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&user.session_file()), 0o600);
    assert_eq!(mode(user.session_file().parent().unwrap()), 0o700);
    let stored: Value = serde_json::from_slice(&fs::read(user.session_file()).unwrap()).unwrap();
    assert_eq!(
        stored["sessions"][&server.url]["access_token"],
        SESSION_TOKEN
    );
}

// A6
#[test]
fn a_login_ends_the_session_that_it_takes_the_place_of() {
    for told in [204, 401, 500] {
        let server = Server::start(move |request| match request.line.as_str() {
            "POST /v1/auth/sign-in" => (200, json!({"access_token": "another"}).to_string()),
            "POST /v1/auth/sign-out" => (told, String::new()),
            _ => (200, session().to_string()),
        });
        let user = User::signed_in(&server.url);
        let run = login(&user, &server);
        assert_eq!(run.code, 0, "{run:?}");
        let last = server.requests().pop().unwrap();
        assert_eq!(last.line, "POST /v1/auth/sign-out");
        let bearer = format!("Bearer {SESSION_TOKEN}");
        assert_eq!(last.header("authorization"), Some(bearer.as_str()));
        let stored = fs::read(user.session_file()).unwrap();
        let stored: Value = serde_json::from_slice(&stored).unwrap();
        assert_eq!(stored["sessions"][&server.url]["access_token"], "another");
    }
}

#[test]
fn where_neither_variable_names_a_folder_windows_own_is_taken() {
    let (user, server) = (User::new(), sign_in_server());
    let folder = user.home.path().join("AppData");
    let command = |words: &[&str]| {
        let mut command = user.remotegpu(&server.url);
        command.env_remove("HOME").env_remove("XDG_CONFIG_HOME");
        command.env("APPDATA", &folder).args(words);
        command
    };
    let words = ["login", "--email", "a@b", "--password-stdin"];
    let run = run_with_stdin(&mut command(&words), "correct horse battery\n");
    assert_eq!(run.code, 0, "{run:?}");
    let run = run_with_stdin(&mut command(&["keys", "use"]), "rgpu_a");
    assert_eq!(run.code, 0, "{run:?}");
    assert!(folder.join("remotegpu/session.json").exists());
    assert!(folder.join("remotegpu/keys").exists());
}

#[test]
fn login_narrows_a_folder_and_a_file_that_others_could_read() {
    let server = sign_in_server();
    let user = User::signed_in("https://elsewhere.example.com");
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(user.session_file(), open).unwrap();
    assert_eq!(login(&user, &server).code, 0);
    let mode = fs::metadata(user.session_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let stored: Value = serde_json::from_slice(&fs::read(user.session_file()).unwrap()).unwrap();
    assert_eq!(stored["sessions"].as_object().unwrap().len(), 2);
}

// A8
#[test]
fn a_wrong_password_stores_nothing() {
    let server = Server::start(|_| problem(401, "wrong_credentials", "Wrong e-mail or password"));
    let user = User::new();
    let run = login(&user, &server);
    assert_eq!(run.stderr, "error: Wrong e-mail or password\n");
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(!user.session_file().exists());
}

// A10
#[test]
fn a_one_time_password_is_explained_and_can_be_changed() {
    let server = Server::start(|request| match request.line.as_str() {
        "POST /v1/auth/sign-in" => {
            let mut answer = session();
            answer["access_token"] = SESSION_TOKEN.into();
            (200, answer.to_string())
        }
        "PUT /v1/auth/password" => (204, String::new()),
        _ => problem(
            403,
            "password_change_required",
            "The password must be changed first",
        ),
    });
    let user = User::new();
    let run = login(&user, &server);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("`remotegpu password`"), "{run:?}");

    let refused = user.run(&server.url, "whoami");
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("`remotegpu password`"),
        "{refused:?}"
    );

    let run = run_with_stdin(
        user.remotegpu(&server.url)
            .args(["password", "--password-stdin"]),
        "one-time\r\na new long password\r\n",
    );
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(
        server.requests().last().unwrap().json(),
        json!({"current": "one-time", "new": "a new long password"})
    );
}

#[test]
fn a_password_is_never_an_argument() {
    let user = User::new();
    let run = user.run("http://127.0.0.1:1", "login --email a@b --password secret");
    assert_eq!(run.code, 2);
    let run = run_with_stdin(
        user.remotegpu("http://127.0.0.1:1")
            .args(["login", "--email", "a@b", "--password-stdin"]),
        "",
    );
    assert_eq!(run.stderr, "error: stdin has no line with a password\n");
}

#[test]
fn whoami_prints_a_table_or_the_servers_json() {
    let server = sign_in_server();
    let user = User::signed_in(&server.url);
    assert_eq!(
        user.run(&server.url, "whoami").stdout,
        "USER            ACCOUNT  ROLE   EXPIRES\n\
         me@example.com  Lab      admin  7d\n"
    );
    let run = user.run(&server.url, "whoami -o json");
    assert_eq!(
        serde_json::from_str::<Value>(&run.stdout).unwrap(),
        session()
    );
    assert_eq!(
        user.run(&server.url, "-o name whoami").stdout,
        "me@example.com\n"
    );
}

// A1
#[test]
fn a_command_without_a_session_says_how_to_get_one() {
    let server = Server::start(|_| problem(401, "invalid_access_token", "Invalid access token"));
    let run = User::new().run(&server.url, "keys list");
    assert_eq!(run.code, 1);
    assert!(
        run.stderr.contains("Sign in with `remotegpu login`"),
        "{run:?}"
    );
    assert!(server.requests().is_empty());

    let run = User::signed_in(&server.url).run(&server.url, "keys list");
    assert_eq!(
        run.stderr,
        "error: Invalid access token\nSign in with `remotegpu login`.\n"
    );
}

// A6
#[test]
fn logout_ends_the_session_here_and_there() {
    let server = Server::start(|_| (204, String::new()));
    let user = User::signed_in(&server.url);
    assert_eq!(user.run(&server.url, "logout").code, 0);
    assert_eq!(server.request().line, "POST /v1/auth/sign-out");
    assert!(
        !fs::read_to_string(user.session_file())
            .unwrap()
            .contains(SESSION_TOKEN)
    );
    assert_eq!(user.run(&server.url, "logout").code, 0);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn logout_forgets_the_session_even_if_the_server_is_down() {
    let user = User::signed_in("http://127.0.0.1:1");
    let run = user.run("http://127.0.0.1:1", "logout");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("forgotten here"), "{run:?}");
    assert!(
        !fs::read_to_string(user.session_file())
            .unwrap()
            .contains(SESSION_TOKEN)
    );
}

#[test]
fn a_redirect_carries_no_credential_away() {
    let server = Server::start(|_| (307, String::new()));
    let user = User::signed_in(&server.url);
    let run = user.run(&server.url, "whoami");
    let url = &server.url;
    assert_eq!(
        run.stderr,
        format!(
            "error: {url} redirects to {url}/elsewhere, which is not followed: is {url} the right \
             address?\n"
        )
    );
    server.request();
}

/// A server without room for the first sign-ins, that says when to come again.
fn busy_server(refusals: usize, code: &'static str, status: u16, seconds: u64) -> Server {
    let left = std::sync::atomic::AtomicUsize::new(refusals);
    Server::start_raw(move |request| {
        use std::sync::atomic::Ordering;
        let one_less = |left: usize| left.checked_sub(1);
        let is_refused = request.line.ends_with("/sign-in")
            && left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                .is_ok();
        let (status, body) = if is_refused {
            problem(status, code, "Come again")
        } else {
            let mut answer = session();
            answer["access_token"] = SESSION_TOKEN.into();
            (200, answer.to_string())
        };
        let length = body.len();
        format!(
            "HTTP/1.1 {status} Word\r\nretry-after: {seconds}\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    })
}

// A8
#[test]
fn a_login_waits_for_a_busy_server_and_says_so_if_it_takes_long() {
    for (refusals, code, status, is_told) in [
        (1, "overloaded", 503, false),
        (2, "rate_limited", 429, true),
    ] {
        let (user, server) = (User::new(), busy_server(refusals, code, status, 2));
        let run = login(&user, &server);
        assert_eq!(run.code, 0, "{run:?}");
        let told = format!("{} is busy; trying again for up to ", server.url);
        assert_eq!(run.stderr.contains(&told), is_told, "{run:?}");
    }
}

// A8
#[test]
fn who_would_have_to_wait_too_long_is_told_when_to_come_again() {
    for (code, status, seconds, when) in [
        ("too_many_attempts", 429, 42, "Try again in 42 seconds."),
        ("database_unavailable", 503, 1, "Try again in 1 second."),
    ] {
        let (user, server) = (User::new(), busy_server(1, code, status, seconds));
        let run = login(&user, &server);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.stderr.ends_with(&format!("\n{when}\n")), "{run:?}");
        assert_eq!(server.requests().len(), 1);
    }
}
