//! Access tokens on their pages.

use serde_json::{Value, json};

use super::{
    reader::{Form, Page},
    visitor::{Visitor, somebody},
};
use crate::support::{Backend, Person, Server, ServerOptions};

const PAGE: &str = "/settings/access-tokens";

async fn form(visitor: &Visitor) -> Form {
    let page = visitor.open(&format!("{PAGE}?create=1")).await;
    page.form("Create")
}

async fn make(visitor: &Visitor, name: &str) -> Page {
    let form = form(visitor).await.fill("Name", name);
    visitor.submit(&form).await.expect(200)
}

async fn tokens(person: &Person) -> Vec<Value> {
    let listed = person.get("/v1/account/access-tokens").await.expect(200);
    listed["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_s_words_lead_to_a_kubeconfig() {
    // H1, T1
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let page = visitor.open("/kubernetes").await;
    let page = visitor.open(&page.link("Access Tokens")).await;
    assert_eq!(page.heading(), "Settings / Access Tokens");
    page.says("There is none yet");
    let page = visitor.press(&page, "Create Token").await.expect(200);
    assert_eq!(page.texts("dialog[open] h2"), ["Create Token"]);
    assert_eq!(page.texts("dialog legend"), ["Kubeconfig Cluster"]);
    assert_eq!(page.value("Expiration"), "30 days");
    let options = page.texts("select[name=expiration] option");
    assert_eq!(options, ["1 day", "7 days", "30 days", "90 days", "1 year"]);
    // The one cluster that there is, is chosen.
    let title =
        person.get("/v1/kubernetes/clusters").await.expect(200)["items"][0]["title"].clone();
    assert!(page.is_ticked(title.as_str().unwrap()));
    let form = page
        .form("Create")
        .fill("Name", " laptop ")
        .select("Expiration", "7 days");
    let shown = visitor.submit(&form).await.expect(200);
    assert_eq!(shown.answer.header("cache-control"), Some("no-store"));
    assert_eq!(shown.heading(), "Access token created");
    let token = shown.secret();
    let item = tokens(&person).await.remove(0);
    assert_eq!(item["name"], "laptop");
    assert_eq!(item["prefix"], token[..13]);
    let file = visitor
        .press(&shown, "Download Kubeconfig")
        .await
        .expect(200);
    let id = item["id"].as_str().unwrap();
    let named = format!("attachment; filename=\"CWKubeconfig_{id}-laptop\"");
    assert_eq!(file.answer.header("content-disposition"), Some(&*named));
    assert_eq!(file.answer.header("cache-control"), Some("no-store"));
    let text = &file.answer.text;
    assert!(
        text.starts_with("# This file holds an access token"),
        "{text}"
    );
    assert!(
        text.contains(&format!("token: {token}\n")) && !text.contains('\r'),
        "{text}"
    );
    assert!(
        text.contains("current-context: __CW_KATALOG_CLUSTER__"),
        "{text}"
    );
    // Where it is handed out it says who may read it, and how to use it.
    let commands = shown.texts("pre code").join("\n");
    assert!(
        commands.contains(&format!("chmod 600 CWKubeconfig_{id}-laptop")),
        "{commands}"
    );
    shown.says("merges");
    let saved = visitor
        .press(&shown, "I have saved this token")
        .await
        .expect(200);
    assert_eq!(saved.path, format!("{PAGE}/{id}"));
    assert_eq!(
        saved.told(),
        ["The token is forgotten here. You have the only copy."]
    );
    // It is never shown again.
    let again = visitor.submit(&form).await;
    assert_eq!(again.status(), 409, "{}", again.text());
    again.says("delete it and create another");
    for path in [
        PAGE,
        &saved.path,
        "/settings/audit",
        "/v1/account/audit-events",
    ] {
        let page = visitor.open(path).await;
        assert!(!page.answer.text.contains(&token), "{path}");
    }
    assert_eq!(tokens(&person).await.len(), 1);
    assert!(!server.log().contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_listed_looked_at_and_deleted() {
    // T1, T5
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let namespace = person.namespace("team-ml").await;
    let cluster = namespace["cluster"].as_str().unwrap();
    let form = form(&visitor)
        .await
        .fill("Name", "laptop")
        .fill("Note", "of <b>ada</b>");
    let form = form
        .select("Namespace", &format!("team-ml in {cluster}"))
        .choose("Names of its own in the file, so that it merges with others (KUBECONFIG=a:b)");
    let shown = visitor.submit(&form).await.expect(200);
    let file = visitor
        .press(&shown, "Download Kubeconfig")
        .await
        .expect(200);
    let inside = namespace["kubernetes_namespace"].as_str().unwrap();
    assert!(file.answer.text.contains(&format!("namespace: {inside}\n")));
    assert!(file.answer.text.contains("merges it with any other"));
    let body = json!({"name": "short", "clusters": [cluster], "expires_in_seconds": 1});
    person
        .post("/v1/account/access-tokens", body)
        .await
        .expect(201);
    let list = visitor.open(PAGE).await;
    assert_eq!(list.column("Name"), ["short", "laptop"]);
    let row = &list.rows()[1];
    assert_eq!(row["Clusters"], cluster);
    assert_eq!(row["Status"], "active");
    assert_eq!(row["Expiration"], "in 30 d");
    assert_eq!(row["Last used"], "never");
    let page = visitor.open(&list.link("laptop")).await;
    assert_eq!(page.heading(), "laptop");
    assert_eq!(page.fact("Note"), "of <b>ada</b>");
    assert_eq!(page.fact("Clusters"), cluster);
    assert_eq!(page.fact("Stands for"), "you");
    let dialog = visitor.press(&page, "Delete token").await.expect(200);
    dialog.says("This cannot be undone");
    let delete = dialog.all("form[action$='/delete']");
    assert_eq!(delete.len(), 1);
    let form = dialog
        .forms("Delete token")
        .into_iter()
        .find(|form| form.method == "post");
    let form = form.unwrap();
    let gone = visitor.send(&form).await.expect(200);
    assert_eq!(gone.path, PAGE);
    assert_eq!(
        gone.told(),
        ["The token was deleted. Clusters refuse it within seconds."]
    );
    assert_eq!(gone.column("Name"), ["short"]);
    visitor.get(&page.path).await.expect(404);
    // Sent twice it does one thing, and answers as before.
    assert_eq!(visitor.submit(&form).await.leads_to(), PAGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_one_never_reads_active() {
    // T5
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    make(&visitor, "laptop").await;
    let clusters = &tokens(&person).await[0]["clusters"].clone();
    let body = json!({"name": "short", "clusters": clusters, "expires_in_seconds": 1});
    let made = person
        .post("/v1/account/access-tokens", body)
        .await
        .expect(201);
    crate::support::eventually(
        "it is over",
        std::time::Duration::from_secs(10),
        async || visitor.open(PAGE).await.rows()[0]["Status"] == "expired",
    )
    .await;
    let page = visitor
        .open(&format!("{PAGE}/{}", made["id"].as_str().unwrap()))
        .await;
    assert_eq!(page.fact("Status"), "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_at_its_field() {
    // H3, T5
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    person.namespace("team-ml").await;
    let good = form(&visitor).await.fill("Name", "laptop");
    let refused = async |form: Form| visitor.submit(&form).await.expect(400);
    let page = refused(good.clone().fill("Name", " ")).await;
    assert_eq!(page.error_at("Name"), "Name must have 1 to 64 characters");
    let page = refused(good.clone().forge("expiration", "9999")).await;
    assert_eq!(
        page.error_at("Expiration"),
        "The expiration must be one of the choices"
    );
    let page = refused(good.clone().forge("expiration", "never")).await;
    assert_eq!(
        page.error_at("Expiration"),
        "The expiration must be one of the choices"
    );
    assert_eq!(page.value("Name"), "laptop");
    let page = refused(good.clone().without("cluster")).await;
    page.says("At least one cluster must be chosen");
    let page = refused(good.clone().forge("cluster", "nowhere")).await;
    page.says("There is no such cluster");
    let page = refused(good.clone().fill("Note", &"x".repeat(257))).await;
    assert_eq!(
        page.error_at("Note"),
        "Note must have at most 256 characters"
    );
    let page = refused(good.clone().forge("namespace", "x")).await;
    page.says("The namespace must be a namespace of this account");
    assert_eq!(tokens(&person).await.len(), 0);
    // Never, only where the operator allows it.
    let options = ServerOptions::new(Backend::Sqlite)
        .with("access-tokens-never-expire", "true")
        .with("access-token-limit", "1");
    let server = Server::start_with(options).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let form = form(&visitor)
        .await
        .fill("Name", "laptop")
        .select("Expiration", "Never");
    visitor.submit(&form).await.expect(200);
    assert_eq!(tokens(&person).await[0]["expires_at"], Value::Null);
    let more = self::form(&visitor).await.fill("Name", "more");
    visitor
        .submit(&more)
        .await
        .refuses(409, "There are as many of these as there may be");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sees_and_ends_all_and_a_reader_their_own() {
    // T5
    let server = Server::start(Backend::Sqlite).await;
    let (admin, visitor) = somebody(&server, "ada").await;
    let reader = server.colleague(&admin, "ro@example.org", "read").await;
    let his = Visitor::of(&reader);
    make(&visitor, "of admin").await;
    make(&his, "of reader").await;
    assert_eq!(his.open(PAGE).await.column("Name"), ["of reader"]);
    let list = visitor.open(PAGE).await;
    assert_eq!(list.column("Name"), ["of reader", "of admin"]);
    his.get(&list.link("of admin")).await.expect(404);
    let page = visitor
        .open(&format!("{}?delete=1", list.link("of reader")))
        .await;
    let holder = tokens(&reader).await[0]["created_by"].clone();
    assert!(
        page.fact("Stands for")
            .starts_with(holder.as_str().unwrap())
    );
    let form = page
        .forms("Delete token")
        .into_iter()
        .find(|form| form.method == "post");
    visitor.send(&form.unwrap()).await.expect(200);
    assert_eq!(tokens(&reader).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_is_downloaded_by_sending_it_back() {
    // H5
    let server = Server::start_with(ServerOptions::new(Backend::Sqlite).with("log", "trace")).await;
    let (_, visitor) = somebody(&server, "ada").await;
    let (_, other) = somebody(&server, "bob").await;
    let made = make(&visitor, "laptop").await;
    let form = made.form("Download Kubeconfig");
    for _ in 0..2 {
        let file = visitor.submit(&form).await.expect(200);
        assert_eq!(
            file.answer.header("content-type"),
            Some("application/x-kubeconfig")
        );
        assert_eq!(
            file.answer.header("x-content-type-options"),
            Some("nosniff")
        );
    }
    let text = form.hidden("kubeconfig").to_owned();
    let forged = [
        form.clone()
            .forge("kubeconfig", "<script>alert(1)</script>"),
        form.clone()
            .forge("kubeconfig", &text.replace("rgat_", "rgpu_")),
        form.clone()
            .forge("kubeconfig", &format!("{text}\n    token: x\n")),
        form.clone().forge("filename", "a\"\r\nset-cookie: x=y"),
        form.clone().forge("filename", "../x"),
        form.clone().forge("filename", ""),
        form.clone().and("x", "y"),
    ];
    for form in forged {
        let page = visitor.submit(&form).await.expect(400);
        assert!(page.answer.header("content-disposition").is_none());
    }
    visitor
        .submit(&form.clone().forge("form", "x"))
        .await
        .expect(403);
    other.submit(&form).await.expect(403);
    let nobody = Visitor::new(&server.url);
    let page = nobody.submit(&form).await.expect(401);
    let secret = made.secret();
    assert!(!page.answer.text.contains(&secret) && !server.log().contains(&secret));
    // It stands where `pagehide` empties it, and nowhere outside.
    let boxes = made.all("[data-secret]");
    let all = made.answer.text.matches(&secret).count();
    assert_eq!(boxes.len(), 1);
    assert_eq!(boxes[0].html().matches(&secret).count(), all);
}
