//! Members, invitations, service users, access tokens and accounts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::server::{Answer, Request, Server, problem};
use crate::user::{Run, User};

const ID: &str = "0198c0de-0000-7000-8000-00000000000b";
const OWN: &str = "0198c0de-0000-7000-8000-00000000000c";
const SECRET: &str = "rgsu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V";
const YAML: &str = "# secret\napiVersion: v1\n";

fn list(items: &Value) -> Answer {
    let body = json!({"items": items, "next_cursor": null});
    (200, body.to_string())
}

fn account(request: &Request) -> Answer {
    let (method, path) = request.line.split_once(' ').unwrap();
    let path = path.split('?').next().unwrap();
    let ended = json!({
        "ended": [{"type": "api_key", "id": "k", "name": "laptop"}], "taken_over": [],
    });
    let joined = "2026-11-20T08:00:00Z";
    let end = "2026-11-28T08:00:00Z";
    match (method, path) {
        ("GET", "/v1/auth/session") => {
            let session = json!({
                "user": {"id": OWN, "email": "me@example.com"},
                "account": {"id": ID, "name": "Lab"}, "role": "admin",
                "accounts": [{"id": ID, "name": "Lab", "role": "admin"},
                             {"id": OWN, "name": "Shop", "role": "read"}],
            });
            (200, session.to_string())
        }
        ("POST", "/v1/auth/session/account") => {
            let session = json!({"account": {"id": OWN, "name": "Shop"}, "role": "read"});
            (200, session.to_string())
        }
        ("GET", "/v1/account/members") => list(&json!([
            {"user_id": ID, "email": "bob@example.com", "role": "write", "joined_at": joined},
        ])),
        ("PATCH", "/v1/account/members/0198c0de-0000-7000-8000-00000000000b") => {
            let mut member = ended;
            member["user_id"] = ID.into();
            member["email"] = "bob@example.com".into();
            member["role"] = "read".into();
            (200, member.to_string())
        }
        ("DELETE", path) if path.starts_with("/v1/account/members/") => (200, ended.to_string()),
        ("GET", "/v1/account/invitations") => list(&json!([
            {"id": ID, "email": "eve@example.com", "role": "read", "expires_at": end},
        ])),
        ("POST", "/v1/account/invitations") => {
            let made = json!({
                "id": ID, "email": "eve@example.com", "role": "read", "expires_at": end,
                "link": "https://api.example.com/invitations/secret",
            });
            (201, made.to_string())
        }
        ("GET", "/v1/account/service-users") => list(&json!([
            {"id": ID, "name": "ci", "role": "write", "created_at": joined},
        ])),
        ("POST", "/v1/account/service-users") => {
            let made = json!({"id": ID, "name": "ci", "role": "write", "created_at": joined});
            (201, made.to_string())
        }
        ("GET", path) if path.ends_with("/tokens") => list(&json!([
            {"id": OWN, "name": "pipeline", "prefix": "rgsu_aaaaaaaa", "expires_at": end,
             "last_used_at": null},
        ])),
        ("POST", path) if path.ends_with("/tokens") => {
            let made = json!({
                "id": OWN, "name": "pipeline", "prefix": "rgsu_aaaaaaaa", "expires_at": end,
                "last_used_at": null, "token": SECRET,
            });
            (201, made.to_string())
        }
        ("GET", "/v1/account/access-tokens") => list(&json!([
            {"id": "cwtoken-ab12cd34ef", "name": "laptop", "clusters": ["fra1", "ams2"],
             "expires_at": end, "last_used_at": null},
        ])),
        ("POST", "/v1/account/access-tokens") => {
            let made = json!({
                "id": "cwtoken-ab12cd34ef", "name": "laptop", "clusters": ["fra1"],
                "expires_at": end, "last_used_at": null, "token": "rgat_secret",
                "filename": "CWKubeconfig_cwtoken-ab12cd34ef-laptop", "kubeconfig": YAML,
            });
            (201, made.to_string())
        }
        ("GET", "/v1/kubernetes/namespaces") => list(&json!([{"id": ID, "name": "team-ml"}])),
        ("POST", path) if path.ends_with("/kubeconfig-token") => {
            let made = json!({
                "id": OWN, "namespace": "team-ml-x7k2pq", "expires_at": end, "token": "t0k3n",
                "filename": "kubeconfig-token-team-ml.yaml", "kubeconfig": YAML,
            });
            (201, made.to_string())
        }
        ("GET", "/v1/kubernetes/kubeconfig") => {
            let all = json!({
                "namespaces": ["team-ml-x7k2pq"], "filename": "kubeconfig-lab.yaml",
                "kubeconfig": YAML,
            });
            (200, all.to_string())
        }
        ("GET", "/v1/account/kubeconfig-tokens") => list(&json!([
            {"id": OWN, "namespace_id": ID, "cluster_role": "remotegpu:viewer",
             "created_at": joined, "expires_at": end},
        ])),
        ("DELETE", _) => (204, String::new()),
        _ => problem(404, "not_found", "Not found"),
    }
}

fn run(words: &str) -> (Server, User, Run) {
    let server = Server::start(account);
    let user = User::signed_in(&server.url);
    let run = user.run(&server.url, words);
    (server, user, run)
}

/// The last request of a run that succeeds, and what it printed.
fn done(words: &str) -> (Request, Run) {
    let (server, _, run) = run(words);
    assert_eq!(run.code, 0, "{words}: {run:?}");
    (server.requests().pop().unwrap(), run)
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

// T7, K15
#[test]
fn members_are_named_by_their_address() {
    let (_, listed) = done("members list");
    assert!(
        listed.stdout.contains("bob@example.com  write  24h"),
        "{listed:?}"
    );
    assert_eq!(done("members list -o name").1.stdout, "bob@example.com\n");
    let (changed, told) = done("members set-role BOB@example.com read --take-over-keys --yes");
    assert_eq!(changed.line, format!("PATCH /v1/account/members/{ID}"));
    assert_eq!(
        changed.json(),
        json!({"role": "read", "take_over_keys": true})
    );
    assert_eq!(told.stderr, "Ended: api key laptop  k\n");
    let (changed, _) = done("members set-role bob@example.com admin");
    assert_eq!(changed.json(), json!({"role": "admin"}));
    let (removed, _) = done("members remove bob@example.com --take-over-keys -y");
    let path = format!("DELETE /v1/account/members/{ID}?take_over_keys=true");
    assert_eq!(removed.line, path);
    let (left, told) = done("members leave --yes");
    assert_eq!(left.line, format!("DELETE /v1/account/members/{OWN}"));
    assert!(
        told.stderr.starts_with("Left the account Lab.\n"),
        "{told:?}"
    );
    let (_, _, nobody) = run("members remove eve@example.com --yes");
    let said = "error: there is no member `eve@example.com`; see `remotegpu members list`\n";
    assert_eq!(nobody.stderr, said);
}

#[test]
fn what_others_use_is_not_ended_without_a_word() {
    for (words, named) in [
        ("members remove bob@example.com", "loses all access"),
        (
            "members set-role bob@example.com read",
            "API keys that they made are revoked",
        ),
        ("members leave", "You lose all access to the account Lab"),
        ("service-users delete ci", "open nothing any more"),
        ("service-users update ci --role read", "may only look"),
        (
            "service-users tokens delete ci pipeline",
            "is refused at once",
        ),
        ("access-tokens delete laptop", "is refused at once"),
        ("kubeconfig-tokens delete x", "is refused at once"),
    ] {
        let (server, _, run) = run(words);
        assert_eq!(run.code, 1, "{words}: {run:?}");
        assert!(run.stderr.contains(named), "{words}: {run:?}");
        assert!(run.stderr.contains("--yes"), "{words}: {run:?}");
        let asked = server.requests();
        let only_reads = asked.iter().all(|request| request.line.starts_with("GET "));
        assert!(only_reads, "{words}: {asked:?}");
    }
}

// T7, T10
#[test]
fn an_invitations_link_stands_alone_on_stdout() {
    let (made, told) = done("invitations create eve@example.com --role read");
    assert_eq!(
        made.json(),
        json!({"email": "eve@example.com", "role": "read"})
    );
    assert_eq!(told.stdout, "https://api.example.com/invitations/secret\n");
    assert!(told.stderr.contains("eve@example.com") && !told.stderr.contains("secret"));
    let (made, _) = done("invitations create eve@example.com -o json");
    assert_eq!(made.json()["role"], "write");
    let (gone, _) = done("invitations delete eve@example.com");
    assert_eq!(gone.line, format!("DELETE /v1/account/invitations/{ID}"));
    assert_eq!(
        done("invitations list -o name").1.stdout,
        "eve@example.com\n"
    );
}

// T8
#[test]
fn a_service_users_token_stands_alone_on_stdout() {
    let (made, _) = done("service-users create ci --role write");
    assert_eq!(made.json(), json!({"name": "ci", "role": "write"}));
    let (made, told) = done("service-users tokens create ci pipeline --expires-in 90d");
    assert_eq!(
        made.line,
        format!("POST /v1/account/service-users/{ID}/tokens")
    );
    let wanted = json!({"name": "pipeline", "expires_in_seconds": 7_776_000});
    assert_eq!(made.json(), wanted);
    assert_eq!(told.stdout, format!("{SECRET}\n"));
    assert!(!told.stderr.contains(SECRET), "{told:?}");
    let (made, _) = done("service-users tokens create ci x --expires-at 2030-01-31T12:00:00Z");
    assert_eq!(made.json()["expires_at"], "2030-01-31T12:00:00Z");
    let (gone, _) = done("service-users tokens delete ci pipeline --yes");
    assert_eq!(
        gone.line,
        format!("DELETE /v1/account/service-users/{ID}/tokens/{OWN}")
    );
    let (gone, _) = done("service-users delete ci --yes");
    assert_eq!(gone.line, format!("DELETE /v1/account/service-users/{ID}"));
    let (_, listed) = done("service-users tokens list ci");
    assert!(
        listed.stdout.contains("pipeline  rgsu_aaaaaaaa  7d"),
        "{listed:?}"
    );
    // An end is said: a machine's token that lives for ever is nobody's wish.
    let (server, _, endless) = run("service-users tokens create ci pipeline");
    assert_eq!(
        (endless.code, server.requests().len()),
        (2, 0),
        "{endless:?}"
    );
    let (_, _, secret) = run(&format!("service-users create {SECRET} --role read"));
    assert_eq!(secret.code, 2);
    assert!(!secret.stderr.contains(SECRET), "{secret:?}");
}

// T1, T3, T5
#[test]
fn an_access_tokens_file_is_its_owners_alone() {
    let create = "access-tokens create laptop --cluster fra1 --namespace team-ml --expires-in 30d";
    let (server, user, made) = run(create);
    assert_eq!(made.code, 0, "{made:?}");
    let request = server.requests().pop().unwrap();
    let wanted = json!({
        "name": "laptop", "clusters": ["fra1"], "namespace_id": ID, "expires_in_seconds": 2_592_000,
    });
    assert_eq!(request.json(), wanted);
    let file = user
        .home
        .path()
        .join("CWKubeconfig_cwtoken-ab12cd34ef-laptop");
    assert_eq!(fs::read_to_string(&file).unwrap(), YAML);
    assert_eq!(mode(&file), 0o600);
    assert!(!format!("{made:?}").contains("rgat_"), "{made:?}");
    assert!(made.stderr.contains("holds a secret"), "{made:?}");

    let (request, told) = done(&format!("{create} --unique-names -f -"));
    assert_eq!(request.line, "POST /v1/account/access-tokens?names=unique");
    assert_eq!(told.stdout, YAML);
    let (gone, _) = done("access-tokens delete laptop -y");
    assert_eq!(
        gone.line,
        "DELETE /v1/account/access-tokens/cwtoken-ab12cd34ef"
    );
    let (_, listed) = done("access-tokens list");
    assert!(listed.stdout.contains("laptop  fra1,ams2"), "{listed:?}");

    // A file that is there is found before something is made; one that cannot be written, after.
    let server = Server::start(account);
    let user = User::signed_in(&server.url);
    fs::write(user.home.path().join("mine"), "mine").unwrap();
    let refused = user.run(&server.url, &format!("{create} -f mine"));
    assert_eq!(refused.code, 1);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.line.starts_with("GET "))
    );
    let lost = user.run(&server.url, &format!("{create} -f absent/file"));
    let remedy = "remotegpu access-tokens delete --id cwtoken-ab12cd34ef --yes";
    assert!(lost.stderr.contains(remedy), "{lost:?}");
}

// T9
#[test]
fn a_kubeconfig_with_a_token_is_its_owners_alone() {
    let (server, user, made) = run("kubeconfig team-ml --token --expires-in 30m");
    assert_eq!(made.code, 0, "{made:?}");
    let request = server.requests().pop().unwrap();
    let line = format!("POST /v1/kubernetes/namespaces/{ID}/kubeconfig-token");
    assert_eq!(request.line, line);
    assert_eq!(request.json(), json!({"expires_in_seconds": 1800}));
    let file = user.home.path().join("kubeconfig-token-team-ml.yaml");
    assert_eq!(
        (fs::read_to_string(&file).unwrap().as_str(), mode(&file)),
        (YAML, 0o600)
    );
    assert!(!format!("{made:?}").contains("t0k3n"), "{made:?}");
    assert!(
        made.stderr
            .contains(&format!("kubeconfig-tokens delete {OWN}")),
        "{made:?}"
    );
    assert_eq!(done("kubeconfig team-ml --token -f -").1.stdout, YAML);
    let (_, json) = done("kubeconfig team-ml --token -o json");
    assert_eq!(
        serde_json::from_str::<Value>(&json.stdout).unwrap()["token"],
        "t0k3n"
    );
    assert_eq!(
        done("kubeconfig-tokens list -o name").1.stdout,
        format!("{OWN}\n")
    );
    let (gone, _) = done(&format!("kubeconfig-tokens delete {OWN} --yes"));
    assert_eq!(
        gone.line,
        format!("DELETE /v1/account/kubeconfig-tokens/{OWN}")
    );
}

// T7
#[test]
fn one_kubeconfig_is_for_all_namespaces() {
    let (request, _) = done("kubeconfig --all --plugin remotegpu -f -");
    assert_eq!(
        request.line,
        "GET /v1/kubernetes/kubeconfig?plugin=remotegpu"
    );
    for wrong in [
        "kubeconfig",
        "kubeconfig x --all",
        "kubeconfig --all --token",
    ] {
        let (server, _, run) = run(wrong);
        assert_eq!(
            (run.code, server.requests().len()),
            (2, 0),
            "{wrong}: {run:?}"
        );
    }
}

// A11
#[test]
fn an_account_is_switched_by_its_name() {
    let (_, listed) = done("account list");
    assert!(listed.stdout.contains("*  Lab   admin"), "{listed:?}");
    let (switched, told) = done("account switch Shop");
    assert_eq!(switched.line, "POST /v1/auth/session/account");
    assert_eq!(switched.json(), json!({"account_id": OWN}));
    assert_eq!(told.stderr, "You act for Shop now, as read.\n");
    let (_, _, nobody) = run("account switch Nowhere");
    assert!(
        nobody.stderr.contains("no account of yours `Nowhere`"),
        "{nobody:?}"
    );
}
