//! Kubeconfigs with a token in them, on a namespace's page (contract T9, H5).

use super::{
    reader::Page,
    visitor::{Visitor, somebody},
};
use crate::support::{Backend, Kubectl, Server};

/// The file that a page shows, line by line.
fn file_in(page: &Page) -> String {
    let shown = page.all("#secret");
    assert_eq!(shown.len(), 1, "{}", page.text());
    shown[0].text().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_shown_once_downloaded_listed_and_ended() {
    let server = Server::start(Backend::Sqlite).await;
    let (person, visitor) = somebody(&server, "ada").await;
    let namespace = person.namespace("team-ml").await;
    let address = format!("/kubernetes/{}", namespace["id"].as_str().unwrap());
    let page = visitor.open(&address).await;
    let dialog = visitor.press(&page, "Make a kubeconfig with a token").await;
    let form = dialog
        .form("Make kubeconfig")
        .select("For how long", "Ten minutes");
    let shown = visitor.send(&form).await.expect(200);
    let file = file_in(&shown);
    assert!(file.starts_with("# This file holds a secret"), "{file}");
    let kubectl = Kubectl::new(&file);
    kubectl.succeed("", &["get", "pods"]);

    // H3: the same form makes no second one.
    let again = visitor.send(&form).await.expect(200);
    assert_eq!(file_in(&again), file);

    // H5: saved without scripts, and nothing else is handed out so.
    let download = shown.form("Download kubeconfig");
    let saved = visitor.submit(&download).await.expect(200);
    assert_eq!(saved.answer.text, file);
    let header = |name: &str| saved.answer.header(name).map(str::to_owned);
    let kind = header("content-type").unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
    let attachment = "attachment; filename=\"kubeconfig-token-team-ml.yaml\"";
    assert_eq!(header("content-disposition").as_deref(), Some(attachment));
    for (field, forged) in [
        ("kubeconfig", "<script>"),
        ("filename", "a\"; x=\"b"),
        ("form", "AAAA"),
    ] {
        let refused = visitor.submit(&download.clone().forge(field, forged)).await;
        assert!([400, 403].contains(&refused.status()), "{field}");
    }
    let page = visitor.press(&shown, "I have saved this file").await;
    page.says("You have the only copy");
    let late = visitor.submit(&form).await;
    late.refuses(409, "make another");

    // It stands among those that live, and goes from there.
    let page = visitor.open(&address).await;
    assert_eq!(page.column("By"), ["you"]);
    assert!(!page.answer.text.contains(&file[file.len() - 40..]));
    let ended = visitor.press(&page, "End now").await;
    ended.says("The kubeconfig has ended");
    assert!(!ended.has_button("End now"));
    let said = kubectl.fail("", &["get", "pods"]);
    assert!(
        said.contains("orbidden") || said.contains("nauthorized"),
        "{said}"
    );
    let log = server.log();
    let secret = &file[file.len() - 40..file.len() - 1];
    assert!(!log.contains(secret), "it is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_makes_one_that_sees_and_ends_no_others() {
    let server = Server::start(Backend::Sqlite).await;
    let admin = server.operator().await;
    let namespace = admin.namespace("team-ml").await;
    let reader = server.colleague(&admin, "reader@example.org", "read").await;
    let address = format!("/kubernetes/{}", namespace["id"].as_str().unwrap());
    let visitor = Visitor::of(&admin);
    let page = visitor.open(&format!("{address}?token=3600")).await;
    visitor.press(&page, "Make kubeconfig").await;
    let visitor = Visitor::of(&reader);
    let page = visitor.open(&format!("{address}?token=3600")).await;
    assert!(!page.has_button("End now"));
    let shown = visitor.press(&page, "Make kubeconfig").await;
    let kubectl = Kubectl::new(&file_in(&shown));
    kubectl.succeed("", &["get", "pods"]);
    kubectl.fail("", &["get", "secrets"]);
    let page = visitor.open(&address).await;
    assert_eq!(page.column("Opens"), ["a look at all but secrets"]);
    // An admin sees both.
    let page = Visitor::of(&admin).open(&address).await;
    assert_eq!(page.column("Opens").len(), 2);
}
