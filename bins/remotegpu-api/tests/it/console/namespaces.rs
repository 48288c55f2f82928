//! Namespaces on their pages.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    reader::Page,
    visitor::{Visitor, somebody},
};
use crate::support::{Backend, Person, Server, ServerOptions, eventually, foreign_cluster};

const PAGE: &str = "/kubernetes";

async fn namespaces(person: &Person) -> Vec<Value> {
    let all = person.get("/v1/kubernetes/namespaces").await.expect(200);
    all["items"].as_array().unwrap().clone()
}

fn address(namespace: &Value) -> String {
    format!("{PAGE}/{}", namespace["id"].as_str().unwrap())
}

async fn create(visitor: &Visitor) -> Page {
    let page = visitor.open(PAGE).await;
    visitor.press(&page, "Create namespace").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_namespaces_sees_the_way_in() {
    // H1
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let page = visitor.open(PAGE).await;
    assert_eq!(
        (page.heading(), page.title()),
        ("Kubernetes".into(), "Kubernetes · RemoteGPU".into())
    );
    let rail = page.texts("nav a[aria-current=page]");
    assert_eq!(rail, ["Kubernetes"]);
    page.says("You have none yet");
    assert_eq!(page.forms("Create namespace").len(), 1);
    let steps = async || {
        let steps = visitor.open(PAGE).await.texts("ol li");
        let done = steps.iter().map(|step| step.starts_with("done"));
        (steps.join(" "), done.collect::<Vec<_>>())
    };
    let (said, done) = steps().await;
    assert_eq!(done, [false; 4], "{said}");
    assert!(said.contains("kubectl get pods"), "{said}");
    let namespace = person.namespace("team-ml").await;
    assert_eq!(steps().await.1, [true, false, false, false]);
    person.key(json!({"inference": true})).await;
    assert_eq!(
        steps().await.1,
        [true, false, false, false],
        "a key that opens nothing there"
    );
    let key = person.key(json!({"all": true})).await;
    let (_, done) = steps().await;
    assert_eq!(&done[..2], [true, true]);
    assert_eq!(
        visitor.open(PAGE).await.link("the namespace's page"),
        address(&namespace)
    );
    // It goes once a key has reached a namespace.
    key.mint(&namespace).await.expect(200);
    eventually("the steps go", Duration::from_secs(30), async || {
        steps().await.1.is_empty()
    })
    .await;
    let page = visitor.open(&address(&namespace)).await;
    assert!(
        page.texts("#reach")[0].starts_with("Reached by test, "),
        "{:?}",
        page.texts("#reach")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_made() {
    // H3, N2, N3
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let page = create(&visitor).await;
    assert_eq!(page.texts("dialog[open] h2"), ["Create namespace"]);
    assert!(!page.has_field("Cluster"), "there is one alone");
    // The browser checks what the server checks.
    let name = page.labelled("Name");
    assert_eq!(name.attr("maxlength"), Some("63"));
    assert!(name.attr("pattern").is_some() && name.attr("required").is_some());
    let form = page.form("Create namespace");
    for wrong in [
        "",
        "Team",
        "a b",
        "-a",
        "all",
        "default",
        "kube-x",
        "a.b",
        &"x".repeat(64),
        "ä",
        "\"><b>",
    ] {
        let page = visitor
            .submit(&form.clone().fill("Name", wrong))
            .await
            .expect(400);
        let body = json!({"name": wrong});
        let answer = person.post("/v1/kubernetes/namespaces", body).await;
        let sentence = answer.problem(400, "invalid_field");
        let said = page.error_at("Name");
        assert_eq!(said.to_lowercase(), sentence.to_lowercase(), "{wrong}");
        assert_eq!(page.value("Name"), wrong);
        assert!(page.labelled("Name").attr("autofocus").is_some());
    }
    let unknown = form
        .clone()
        .fill("Name", "team-ml")
        .forge("cluster", "moon");
    let page = visitor.submit(&unknown).await.expect(400);
    assert!(
        !page.texts("main [role=alert]").is_empty(),
        "{}",
        page.text()
    );
    assert!(namespaces(&person).await.is_empty());
    let done = visitor.submit(&form.fill("Name", "team-ml")).await;
    let made = namespaces(&person).await.remove(0);
    assert_eq!(done.leads_to(), address(&made));
    let page = visitor.follow(done).await.expect(200);
    assert_eq!(page.told().len(), 1, "{:?}", page.told());
    assert!(
        page.told()[0].starts_with("The namespace"),
        "{:?}",
        page.told()
    );
    assert_eq!(page.heading(), "team-ml");
    assert_eq!(page.fact("Status"), "active");
    assert!(page.fact("Name").starts_with("team-ml"));
    let kubernetes = made["kubernetes_namespace"].as_str().unwrap();
    assert!(page.fact("In the cluster").starts_with(kubernetes));
    assert!(
        page.fact("Identifier")
            .starts_with(made["id"].as_str().unwrap())
    );
    page.says("No key has reached this namespace yet");
    let row = visitor.open(PAGE).await.rows().remove(0);
    assert_eq!(
        (&*row["Name"], &*row["Status"], &*row["Cluster"]),
        ("team-ml", "active", "dev")
    );
    assert_eq!(row["In the cluster"], kubernetes);
    // Taken.
    let form = create(&visitor)
        .await
        .form("Create namespace")
        .fill("Name", "team-ml");
    let body = json!({"name": "team-ml"});
    let sentence = person
        .post("/v1/kubernetes/namespaces", body)
        .await
        .problem(409, "name_taken");
    let page = visitor.submit(&form).await;
    assert_eq!(page.status(), 409);
    assert_eq!(page.error_at("Name"), sentence);
    assert_eq!(page.value("Name"), "team-ml");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_is_chosen_where_there_are_several() {
    // N0, N3, H3
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_eu, first) = foreign_cluster(folders.0.path()).await;
    let (_us, second) = foreign_cluster(folders.1.path()).await;
    let clusters = format!("eu={},us={}", first.display(), second.display());
    let options = ServerOptions::new(Backend::Sqlite).with("clusters", clusters);
    let server = Server::start_with(options).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let form = create(&visitor)
        .await
        .form("Create namespace")
        .fill("Name", "there");
    let form = form.select("Cluster", "us");
    let page = visitor
        .submit(&form.clone().fill("Name", "Wrong"))
        .await
        .expect(400);
    assert_eq!(page.value("Cluster"), "us", "what was chosen stays");
    let page = visitor
        .submit(&form.clone().forge("cluster", "moon"))
        .await
        .expect(400);
    assert!(!page.error_at("Cluster").is_empty());
    let page = visitor.send(&form).await.expect(200);
    assert_eq!(page.fact("Cluster"), "us");
    assert_eq!(namespaces(&person).await[0]["cluster"], "us");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_namespaces_is_told() {
    // N3
    let options = ServerOptions::new(Backend::Sqlite).with("namespace-limit", "1");
    let server = Server::start_with(options).await;
    let (person, visitor) = somebody(&server, "ada").await;
    person.namespace("one").await;
    let body = json!({"name": "two"});
    let answer = person.post("/v1/kubernetes/namespaces", body).await;
    let sentence = answer.problem(409, "namespace_limit");
    let form = create(&visitor)
        .await
        .form("Create namespace")
        .fill("Name", "two");
    let page = visitor.submit(&form).await;
    page.refuses(409, &sentence);
    assert_eq!(page.value("Name"), "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_renamed() {
    // H3, N4
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let before = person.namespace("team-ml").await;
    person.namespace("taken").await;
    let page = visitor.open(&address(&before)).await;
    let page = visitor.press(&page, "Rename").await;
    assert_eq!(page.texts("dialog[open] h2"), ["Rename namespace"]);
    assert_eq!(page.value("Name"), "team-ml");
    let form = page.form("Rename namespace");
    for wrong in ["", "Team", "all"] {
        let page = visitor
            .submit(&form.clone().fill("Name", wrong))
            .await
            .expect(400);
        assert!(!page.error_at("Name").is_empty());
        assert_eq!(page.value("Name"), wrong);
    }
    let page = visitor
        .submit(&form.clone().fill("Name", "taken"))
        .await
        .expect(409);
    assert_eq!(page.value("Name"), "taken");
    let done = visitor.submit(&form.fill("Name", "team-ai")).await;
    assert_eq!(done.leads_to(), address(&before));
    let page = visitor.follow(done).await.expect(200);
    assert!(
        page.told()
            .contains(&"The namespace was renamed.".to_owned()),
        "{:?}",
        page.told()
    );
    assert_eq!(page.heading(), "team-ai");
    let kubernetes = before["kubernetes_namespace"].as_str().unwrap();
    assert!(page.fact("In the cluster").starts_with(kubernetes));
    let after = namespaces(&person).await;
    assert!(
        after
            .iter()
            .any(|n| n["id"] == before["id"] && n["name"] == "team-ai")
    );
}

async fn gone(visitor: &Visitor, address: &str) {
    eventually(
        "the namespace is gone",
        Duration::from_secs(30),
        async || {
            let page = visitor.get(address).await;
            if page.status() == 404 {
                return true;
            }
            let page = page.expect(200);
            assert!(
                page.fact("Status").starts_with("deleting"),
                "{}",
                page.fact("Status")
            );
            for button in ["Rename", "Delete namespace", "Download kubeconfig"] {
                assert!(!page.has_button(button), "{button}");
            }
            false
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_deleted_by_typing_its_name() {
    // H2, H3, N5
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let namespace = person.namespace("team-ml").await;
    person.namespace("other").await;
    let key = person.key(json!({"all": true})).await;
    let page = visitor.open(&address(&namespace)).await;
    let page = visitor.press(&page, "Delete namespace").await;
    let dialog = page.texts("dialog[open]").remove(0);
    for said in [
        "team-ml",
        "everything in it",
        "within a second",
        "cannot be undone",
        "Inside it now",
    ] {
        assert!(dialog.contains(said), "{said}: {dialog}");
    }
    let form = page.form("Delete namespace");
    let label = "Type team-ml to confirm";
    for typed in ["", "team", "Team-ml", "other", "team-ml2"] {
        let page = visitor
            .submit(&form.clone().fill(label, typed))
            .await
            .expect(400);
        assert!(!page.error_at(label).is_empty(), "{typed}");
        assert_eq!(page.value(label), typed);
        key.mint(&namespace).await.expect(200);
    }
    let done = visitor.submit(&form.fill(label, "team-ml")).await;
    done.leads_to();
    key.mint(&namespace).await.problem(403, "exec_not_allowed");
    let page = visitor.follow(done).await.expect(200);
    let told = page.told().join(" ");
    assert!(told.contains("The namespace is being deleted"), "{told}");
    gone(&visitor, &address(&namespace)).await;
    let names = visitor.open(PAGE).await.column("Name");
    assert_eq!(names, ["other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_cluster_says_so_and_follows() {
    // H2, H7, N5, N6
    let mut server = Server::start(Backend::Postgres).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let before = person.namespace("before").await;
    server.dev_cluster.take().unwrap().stop().await;
    eventually("the cluster is down", Duration::from_secs(20), async || {
        let clusters = person.get("/v1/kubernetes/clusters").await.expect(200);
        clusters["items"][0]["status"] == "unavailable"
    })
    .await;
    let form = create(&visitor)
        .await
        .form("Create namespace")
        .fill("Name", "waits");
    let page = visitor.send(&form).await.expect(200);
    assert!(
        page.fact("Status").starts_with("provisioning"),
        "{}",
        page.fact("Status")
    );
    assert!(!page.has_button("Download kubeconfig"));
    // A part that changes is looked at every two seconds, by what the page says.
    assert_eq!(page.all("#state")[0].attr("data-live"), Some("2"));
    let waits = page.path.clone();
    visitor
        .get(&format!("{waits}/kubeconfig"))
        .await
        .expect(409);
    let form = visitor
        .open(&format!("{}?delete=1", address(&before)))
        .await;
    let form = form
        .form("Delete namespace")
        .fill("Type before to confirm", "before");
    visitor.send(&form).await.expect(200);
    let page = visitor.open(&address(&before)).await;
    assert!(page.fact("Status").starts_with("deleting"));
    visitor
        .get(&format!("{}/kubeconfig", address(&before)))
        .await
        .expect(404);
    // The operator is not the only one to know: it stands on every page behind sign-in.
    for path in [
        PAGE,
        &waits,
        "/settings/api-keys",
        "/settings/account",
        "/settings/audit",
    ] {
        let told = visitor.open(path).await.told().join(" ");
        assert!(
            told.contains("eu is not available just now"),
            "{path}: {told}"
        );
    }
    let nobody = Visitor::new(&server.url).open("/sign-in").await;
    nobody.says_not("not available");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_kubeconfig_is_for_all_namespaces() {
    // T7
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let page = visitor.open("/kubernetes").await;
    assert!(!page.has_button("Download kubeconfig"));
    person.namespace("team-ml").await;
    person.namespace("batch").await;
    let page = visitor.open("/kubernetes").await;
    for (button, plugin) in [
        ("Download kubeconfig", "shell"),
        ("Download for kubectl-remotegpu", "remotegpu"),
    ] {
        let file = visitor.submit(&page.form(button)).await.expect(200);
        let path = format!("/v1/kubernetes/kubeconfig?plugin={plugin}");
        let body = person.get(&path).await.expect(200);
        assert_eq!(file.answer.text, body["kubeconfig"], "{plugin}");
        assert_eq!(
            file.answer.header("content-disposition"),
            Some("attachment; filename=\"kubeconfig-ada.yaml\"")
        );
    }
    let lines = page.texts("#lines-merge").join("");
    assert!(lines.contains("kubeconfig-ada.yaml"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubeconfig_is_the_api_s_own() {
    // X1, H1
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let namespace = person.namespace("team-ml").await;
    let page = visitor.open(&address(&namespace)).await;
    for (button, plugin) in [
        ("Download kubeconfig", "shell"),
        ("Download for kubectl-remotegpu", "remotegpu"),
    ] {
        let file = visitor.submit(&page.form(button)).await.expect(200);
        assert_eq!(
            file.answer.text,
            person.kubeconfig(&namespace, plugin).await,
            "{plugin}"
        );
        let kind = file.answer.header("content-type").unwrap();
        assert!(kind.contains("yaml"), "{kind}");
        assert_eq!(
            file.answer.header("content-disposition"),
            Some("attachment; filename=\"kubeconfig-team-ml.yaml\"")
        );
        assert_eq!(file.answer.header("cache-control"), Some("no-store"));
    }
    // The lines to paste name that very file.
    for shell in [
        "#lines-sh",
        "#lines-fish",
        "#lines-powershell",
        "#lines-merge",
    ] {
        let lines = page.texts(shell).join("");
        assert!(
            lines.contains("kubeconfig-team-ml.yaml"),
            "{shell}: {lines}"
        );
    }
    page.says("Lens");
    let request = visitor.request(
        Method::GET,
        &format!("{}/kubeconfig?plugin=bash", address(&namespace)),
    );
    visitor.read("", request).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_applies_inside_and_what_is_used_stand_on_the_page() {
    // H2
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let namespace = person.namespace("team-ml").await;
    let page = visitor.open(&address(&namespace)).await;
    page.says("What applies inside");
    assert!(!page.all("#baseline ~ ul li").is_empty());
    page.says("Quota");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_namespaces_are_listed_in_pages() {
    // H3
    let options = ServerOptions::new(Backend::Sqlite).with("namespace-limit", "100");
    let server = Server::start_with(options).await;
    let (person, visitor) = somebody(&server, "ada").await;
    for at in 0..7 {
        person.namespace(&format!("n{at}")).await;
    }
    let page = visitor.open(&format!("{PAGE}?limit=5")).await;
    page.says("5 or more namespaces");
    let link = page.link("Load more");
    assert!(!link.contains("?&"), "{link}");
    let rest = visitor.open(&link).await;
    let all = [page.column("Name"), rest.column("Name")].concat();
    assert_eq!(all, ["n6", "n5", "n4", "n3", "n2", "n1", "n0"]);
}
