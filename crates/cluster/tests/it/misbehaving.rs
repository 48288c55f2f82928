//! Clusters that do not answer, or not in kind.

use std::{
    error::Error,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::StatusCode,
    web::{Data, to},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::generate_simple_self_signed;
use remotegpu_cluster::{ClusterConnection, ConnectError, KubeClusters, prerequisites};
use remotegpu_namespaces::{
    ClusterDirectory, ClusterError, ClusterName, ClusterStatus, CredentialMint, IdentityObjects,
    MintError, NamespaceProvisioner, PlainClusterToken, TokenLifetime,
};
use remotegpu_primitives::IdentityId;
use remotegpu_test_support::{
    self_signed::self_signed,
    stopwatch::{Stopwatch, eventually},
};
use serde_json::json;

use crate::{
    install_ring,
    subject::{identity, name, namespace},
};

/// The path of the probe, by which alone a cluster is judged (contract R10).
const PROBE: &str = "/api/v1/namespaces/remotegpu-credentials";

/// What a server says: to its probe, to what has a word in its path, and to all else.
#[derive(Default)]
struct Said {
    all: (u16, String),
    probe: Option<u16>,
    of: Option<(&'static str, u16)>,
}

/// A server that always answers the same, with a certificate of its own.
struct Liar {
    answer: Arc<Mutex<Said>>,
    seen: Arc<Mutex<Vec<String>>>,
    handle: ServerHandle,
    clusters: KubeClusters,
}

async fn answer(
    request: HttpRequest,
    answer: Data<Mutex<Said>>,
    seen: Data<Mutex<Vec<String>>>,
) -> HttpResponse {
    let header = request.headers().get("authorization");
    let header = header.map_or("", |value| value.to_str().unwrap());
    let (method, uri) = (request.method(), request.uri());
    let count = {
        let mut seen = seen.lock().unwrap();
        seen.push(format!("{method} {uri} {header}"));
        seen.len().to_string()
    };
    let (status, body) = {
        let said = answer.lock().unwrap();
        let (all, body) = &said.all;
        let own = if uri.path() == PROBE {
            said.probe
        } else {
            let of = said.of.filter(|(word, _)| uri.path().contains(word));
            of.map(|(_, status)| status)
        };
        (own.unwrap_or(*all), body.clone())
    };
    let body = body.replace("COUNT", &count);
    if status == 0 {
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).body(body)
}

impl Liar {
    async fn start() -> Self {
        install_ring();
        let (tls, ca) = self_signed(["127.0.0.1"]);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = format!("https://{}", listener.local_addr().unwrap());
        let said: Arc<Mutex<Said>> = Arc::default();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (data, log) = (Data::from(Arc::clone(&said)), Data::from(Arc::clone(&seen)));
        let app = move || {
            let app = App::new().app_data(data.clone()).app_data(log.clone());
            app.default_service(to(answer))
        };
        let running = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .listen_rustls_0_23(listener, tls)
            .unwrap()
            .run();
        let handle = running.handle();
        tokio::spawn(running);
        Self {
            answer: said,
            seen,
            handle,
            clusters: connect(&kubeconfig(&server, &ca)).await.unwrap(),
        }
    }

    fn says(&self, status: u16, body: &(impl ToString + ?Sized)) {
        self.answer.lock().unwrap().all = (status, body.to_string());
    }

    /// Says this to the probe, whatever it says to others; 0 is silence.
    fn says_to_its_probe(&self, status: Option<u16>) {
        self.answer.lock().unwrap().probe = status;
    }

    /// Says this of what has the word in its path.
    fn says_of(&self, of: Option<(&'static str, u16)>) {
        self.answer.lock().unwrap().of = of;
    }

    /// What it was asked, but for its probe, since the last look.
    fn asked(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let mut asked = seen.into_iter();
        asked
            .by_ref()
            .filter(|line| !line.contains(&format!("{PROBE} ")))
            .collect()
    }

    fn status(&self) -> ClusterStatus {
        self.clusters.status(&name())
    }

    /// How long it took until the cluster is known to be up, or down.
    async fn until_up(&self, up: bool) -> Duration {
        until(&self.clusters, up).await
    }
}

/// Whole seconds.
fn seconds(time: Duration) -> usize {
    usize::try_from(time.as_secs()).unwrap()
}

/// How long it took until the cluster is known to be up, or down.
async fn until(clusters: &KubeClusters, up: bool) -> Duration {
    let what = format!("it is known to be up: {up}");
    eventually(&what, Duration::from_secs(9), async || {
        let known = clusters.is_given_up(&name()) != up;
        if !known {
            // Nobody watches it here.
            let _ = clusters.probe(&name()).await;
        }
        known
    })
    .await
}

fn kubeconfig(server: &str, ca: &str) -> String {
    json!({
        "clusters": [{"name": "c", "cluster": {
            "server": server, "certificate-authority-data": STANDARD.encode(ca),
        }}],
        "users": [{"name": "u", "user": {"token": "own-canary"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    })
    .to_string()
}

fn connection(kubeconfig: &str) -> ClusterConnection {
    ClusterConnection {
        name: name(),
        title: "Odd".to_owned(),
        kubeconfig: kubeconfig.to_owned(),
        context: None,
        public_server: None,
        public_ca_pem: None,
    }
}

async fn connect(kubeconfig: &str) -> Result<KubeClusters, ConnectError> {
    KubeClusters::connect(vec![connection(kubeconfig)]).await
}

/// All that an error says, its sources included.
fn said(error: &dyn Error) -> String {
    let mut text = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        text = format!("{text}\n{error}");
        next = error.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_token_answers_are_told_apart_and_never_quoted() {
    // X6, X8
    let liar = Liar::start().await;
    let identity = identity(&namespace("lied"), 1);
    let mint = async || liar.clusters.mint(&identity, TokenLifetime::MAX).await;
    let at = "2026-01-01T01:00:00Z";
    let whole = json!({"status": {"token": "a.b-c_d", "expirationTimestamp": at}});
    liar.says(201, &whole);
    assert_eq!(mint().await.unwrap().token.reveal(), "a.b-c_d");

    liar.says(201, &json!({"status": {"token": "canary"}}));
    assert!(matches!(mint().await.unwrap_err(), MintError::NoExpiration));
    let long = format!("{}{}", " ".repeat(70 * 1024), whole);
    for odd in [
        "",
        "canary",
        "[]",
        "{}",
        "<html>canary</html>",
        long.as_str(),
    ] {
        liar.says(201, odd);
        let error = mint().await.unwrap_err();
        assert!(matches!(error, MintError::Unusable), "{odd}: {error:?}");
        assert!(!said(&error).contains("canary"));
    }
    liar.says(404, "canary");
    assert!(matches!(
        mint().await.unwrap_err(),
        MintError::IdentityMissing
    ));
    let refused = |error: &MintError| {
        assert!(!said(error).contains("canary"));
        matches!(error, MintError::Cluster(ClusterError::Refused { .. }))
    };
    for status in [400, 403, 409, 422] {
        liar.says(
            status,
            &json!({"message": "canary", "reason": "canary canary"}),
        );
        assert!(refused(&mint().await.unwrap_err()), "{status}");
    }
    // R10: nobody has probed it yet.
    assert_eq!(liar.status(), ClusterStatus::Unknown);
    liar.handle.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_judged_by_its_probe_alone() {
    // R10
    let liar = Liar::start().await;
    let identity = identity(&namespace("judged"), 1);
    let mint = async || liar.clusters.mint(&identity, TokenLifetime::MAX).await;
    let error = async || match mint().await.unwrap_err() {
        MintError::Cluster(error) => {
            assert!(!said(&error).contains("canary"));
            error
        }
        other => panic!("{other:?}"),
    };
    // What goes wrong with a request while the probe answers is that request's.
    for probe in [200, 403, 404, 307] {
        liar.says_to_its_probe(Some(probe));
        for status in [401, 429, 500, 503] {
            liar.says(status, &json!({"message": "canary"}));
            let error = error().await;
            assert!(matches!(error, ClusterError::Failed(_)), "{status}");
            assert!(matches!(liar.status(), ClusterStatus::Available(_)));
        }
        let answered = liar.clusters.probe(&name()).await;
        assert!(matches!(answered, Err(ClusterError::Failed(_))));
        // The next one is a second later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        liar.until_up(true).await;
    }
    // And what goes wrong with the probe is the cluster's. A single failure is enough
    // to have it probed, and then nothing is asked.
    for probe in [401, 429, 500, 503, 0] {
        liar.says_to_its_probe(Some(probe));
        liar.says(500, "canary");
        let down = eventually("it is down", Duration::from_secs(6), async || {
            matches!(error().await, ClusterError::Unavailable(Some(_)))
        });
        let down = down.await;
        println!("probe answered with {probe}: down after {down:?}");
        assert_eq!(liar.status(), ClusterStatus::Unavailable);
        // All is well with the request itself: it is not made.
        liar.says(201, "{}");
        liar.asked();
        assert!(matches!(error().await, ClusterError::Unavailable(Some(_))));
        assert_eq!(liar.asked(), [""; 0], "{probe}");
        liar.says_to_its_probe(Some(200));
        // N5, X9: all go again within five seconds.
        let back = liar.until_up(true).await;
        println!("      up again after {back:?}");
        assert!(back < Duration::from_secs(6), "{back:?}");
        assert!(matches!(
            mint().await.unwrap_err(),
            MintError::NoExpiration | MintError::Unusable
        ));
    }
    liar.handle.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_probed_once_a_second_at_the_most_and_what_is_down_every_five() {
    // R10
    let liar = Liar::start().await;
    let identity = identity(&namespace("probed"), 1);
    let mint = async || liar.clusters.mint(&identity, TokenLifetime::MAX).await;
    let probes = || {
        let seen = std::mem::take(&mut *liar.seen.lock().unwrap());
        let probe = format!("{PROBE} ");
        seen.iter().filter(|line| line.contains(&probe)).count()
    };
    liar.says_to_its_probe(Some(200));
    liar.says(500, "");
    let (began, mut count) = (Instant::now(), 0);
    while count < 3 {
        futures_util::future::join_all((0..8).map(|_| mint())).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        count += probes();
    }
    let took = began.elapsed();
    assert!(count <= seconds(took) + 2, "{count} in {took:?}");
    liar.says_to_its_probe(Some(500));
    let (began, mut count) = (Instant::now(), 0);
    while count < 3 || began.elapsed() < Duration::from_secs(12) {
        let _ = mint().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        count += probes();
    }
    // At 0 or 1, and then 1, 2, 4 and 8 seconds after it went down, and every five.
    let took = began.elapsed();
    assert!(count <= 4 + seconds(took) / 5, "{count} in {took:?}");
    liar.handle.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_object_that_fails_or_hangs_does_not_hide_the_other() {
    // X9, R10
    let liar = Liar::start().await;
    let namespace = namespace("hidden");
    let identity = identity(&namespace, 1);
    liar.says_to_its_probe(Some(200));
    let object = |kind_namespace: &str| {
        json!({"metadata": {
            "name": identity.object_name(), "namespace": kind_namespace, "uid": "u",
            "labels": {
                "app.kubernetes.io/managed-by": "remotegpu",
                "remotegpu.ai/identity-id": identity.id.to_string(),
            },
        }})
    };
    liar.says(200, &object("any"));
    for status in [500, 0] {
        // The binding cannot be read.
        liar.says_of(Some(("/rolebindings/", status)));
        let watch = Stopwatch::start();
        let located = liar.clusters.locate(&identity).await.unwrap();
        assert!(located.binding.is_none() && located.service_account.is_some());
        assert!(located.binding_obstacle.is_some() && located.account_obstacle.is_none());
        assert!(!watch.is_over(Duration::from_secs(3)));
        liar.asked();
        let left = CredentialMint::remove(&liar.clusters, &located)
            .await
            .unwrap_err();
        assert!(matches!(left, ClusterError::BindingLeft(_)), "{left:?}");
        let asked = liar.asked();
        assert!(
            asked.len() == 1 && asked[0].contains("/serviceaccounts/"),
            "{asked:?}"
        );

        // It can, and cannot be removed.
        liar.says_of(None);
        let located = liar.clusters.locate(&identity).await.unwrap();
        assert!(located.binding.is_some() && located.service_account.is_some());
        liar.says_of(Some(("/rolebindings/", status)));
        liar.asked();
        let watch = Stopwatch::start();
        let (removed, account_after) =
            tokio::join!(CredentialMint::remove(&liar.clusters, &located), async {
                loop {
                    let asked = liar.seen.lock().unwrap().clone();
                    if asked.iter().any(|line| {
                        line.starts_with("DELETE") && line.contains("/serviceaccounts/")
                    }) {
                        break watch.elapsed();
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        let left = removed.unwrap_err();
        assert!(matches!(left, ClusterError::BindingLeft(_)), "{left:?}");
        assert!(
            account_after < Duration::from_millis(1_500),
            "{account_after:?}"
        );
        let asked = liar.asked();
        let deletes: Vec<&String> = asked
            .iter()
            .filter(|line| line.starts_with("DELETE"))
            .collect();
        assert!(
            deletes[0].contains("/rolebindings/"),
            "the binding first: {deletes:?}"
        );
        assert!(!watch.is_over(Duration::from_secs(4)));

        // The account cannot: then it is that which is told.
        liar.says_of(Some(("/serviceaccounts/", status)));
        let error = CredentialMint::remove(&liar.clusters, &located)
            .await
            .unwrap_err();
        assert!(matches!(error, ClusterError::Failed(_)), "{error:?}");
        let located = liar.clusters.locate(&identity).await.unwrap();
        assert!(located.binding.is_some() && located.account_obstacle.is_some());
        liar.says_of(None);
    }
    assert!(!liar.clusters.is_given_up(&name()));
    liar.handle.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_gets_no_further_is_given_up() {
    // N5, X12
    let liar = Liar::start().await;
    let survey = async || liar.clusters.survey(&name()).await.unwrap_err();
    let asked = || liar.asked().len();
    let named = |name: &str| json!({"metadata": {"name": name, "uid": "u"}});
    let next = |token: &str, names: &[&str]| {
        let items: Vec<_> = names.iter().map(|name| named(name)).collect();
        json!({"metadata": {"continue": token}, "items": items})
    };
    for (said, pages) in [
        // The same objects again, whatever the word for the next page is.
        (next("COUNT", &["a", "b"]), 2),
        (next("again", &["a", "b"]), 2),
        // Nothing on any page, with the same word for the next one or always another.
        (next("again", &[]), 2),
        (next("COUNT", &[]), 9),
        (next("a/../b", &["a"]), 1),
        (next(&"x".repeat(5000), &["a"]), 1),
    ] {
        liar.says(200, &said);
        let error = survey().await;
        assert!(matches!(error, ClusterError::Failed(_)));
        assert_eq!(asked(), pages, "{said}");
    }
    // What it forgets again and again, with and without another word.
    let gone = |next: &str| json!({"kind": "Status", "metadata": {"continue": next}});
    for next in ["", "same", "COUNT"] {
        liar.says(410, &gone(next));
        let error = survey().await;
        assert!(matches!(error, ClusterError::Failed(_)));
        assert!(asked() <= 9);
    }
    liar.handle.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_read_to_its_end_also_when_the_cluster_forgets_where_it_was() {
    // X12: what etcd has compacted goes on from where it was, as the API server says.
    const OBJECTS: usize = 1700;
    let liar = Liar::start().await;
    let id = |number: usize| format!("00000000-0000-7000-8000-{number:012x}");
    let item = |number: usize| {
        json!({"metadata": {
            "name": format!("key-0-{number:06}"), "namespace": "remotegpu-credentials", "uid": "u",
            "labels": {
                "app.kubernetes.io/managed-by": "remotegpu",
                "remotegpu.ai/identity-id": id(number),
            },
        }})
    };
    let (mut begin, mut place) = (0, None);
    let (mut found, mut pages, mut forgotten) = (Vec::new(), 0, 0);
    loop {
        let end = (begin + 250).min(OBJECTS);
        let items: Vec<_> = (begin..end).map(item).collect();
        let next = if end < OBJECTS { "tCOUNT" } else { "" };
        // Every third request is too late.
        pages += 1;
        let gone = pages % 3 == 0;
        if gone {
            forgotten += 1;
            let refused = json!({"reason": "Expired", "metadata": {"continue": "anew"}});
            liar.says(410, &refused);
        } else {
            begin = end;
            liar.says(
                200,
                &json!({"metadata": {"continue": next}, "items": items}),
            );
        }
        let kind = IdentityObjects::ServiceAccounts;
        let page = CredentialMint::list(&liar.clusters, &name(), kind, place.as_ref()).await;
        let page = page.unwrap();
        assert_eq!(page.found.is_empty(), gone);
        found.extend(page.found.iter().filter_map(|one| one.id));
        place = page.next;
        let asked = liar.seen.lock().unwrap().last().cloned().unwrap();
        if pages % 3 == 1 && pages > 1 {
            assert!(asked.contains("&continue=anew "), "{asked}");
        }
        if place.is_none() {
            break;
        }
    }
    let expected: Vec<IdentityId> = (0..OBJECTS)
        .map(|number| id(number).parse().unwrap())
        .collect();
    assert_eq!(found, expected);
    assert!(forgotten >= 2);
    liar.handle.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_with_nothing_on_it_does_not_end_a_list() {
    // X12: a selector may leave nothing of a page, and the word for the next one counts.
    let liar = Liar::start().await;
    let item = |name: &str| {
        json!({"metadata": {
            "name": name, "namespace": "remotegpu-credentials", "uid": "u",
            "labels": {
                "app.kubernetes.io/managed-by": "remotegpu",
                "remotegpu.ai/identity-id": "00000000-0000-7000-8000-000000000001",
            },
        }})
    };
    let (mut place, mut sizes) = (None, Vec::new());
    for (items, next) in [
        (vec![], "t1"),
        (vec![item("key-a")], "t2"),
        (vec![], "t3"),
        (vec![], "t4"),
        (vec![item("key-b")], ""),
    ] {
        let list = json!({"metadata": {"continue": next}, "items": items});
        liar.says(200, &list);
        let kind = IdentityObjects::ServiceAccounts;
        let page = CredentialMint::list(&liar.clusters, &name(), kind, place.as_ref()).await;
        let page = page.unwrap();
        sizes.push(page.found.len());
        place = page.next;
        assert_eq!(place.is_some(), !next.is_empty(), "{next}");
    }
    assert_eq!(sizes, [0, 1, 0, 0, 1]);
    liar.handle.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_with_a_token_carries_no_other_credential() {
    // X9
    let liar = Liar::start().await;
    let identity = identity(&namespace("asked"), 1);
    let token = PlainClusterToken::new("tenant-canary".to_owned());
    liar.says(201, &json!({"status": {"allowed": true}}));
    assert!(liar.clusters.opens(&identity, &token).await.unwrap());
    liar.says(201, &json!({"status": {"allowed": false}}));
    assert!(!liar.clusters.opens(&identity, &token).await.unwrap());
    liar.says(401, "");
    assert!(!liar.clusters.opens(&identity, &token).await.unwrap());
    liar.says(503, "");
    liar.clusters.opens(&identity, &token).await.unwrap_err();
    for seen in liar.asked() {
        assert!(seen.ends_with(" Bearer tenant-canary"), "{seen}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    liar.says(200, &json!({"gitVersion": "v1.33.0"}));
    liar.clusters.probe(&name()).await.unwrap();
    let last = liar.seen.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last, "GET /version Bearer own-canary");
    liar.handle.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_published_without_what_steers_a_terminal() {
    let liar = Liar::start().await;
    let odd = format!("v1\n\u{1b}[2J{}", "x".repeat(1000));
    liar.says(200, &json!({ "gitVersion": odd }));
    let told = liar.clusters.probe(&name()).await.unwrap();
    assert_eq!(told, format!("v1  [2J{}", "x".repeat(57)));
    let known = liar.clusters.status(&name());
    assert_eq!(known, ClusterStatus::Available(Some(told)));
    liar.handle.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_silent_or_away_costs_less_than_five_seconds() {
    // C7
    let liar = Liar::start().await;
    let made = namespace("waited");
    // It takes the request, and nothing follows.
    liar.says(0, "");
    // It takes the connection, and TLS does not follow.
    let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mute_at = format!("https://{}", mute.local_addr().unwrap());
    let ca = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let mute_clusters = connect(&kubeconfig(&mute_at, &ca.cert.pem()))
        .await
        .unwrap();
    // There is nothing.
    let closed_at = format!(
        "https://127.0.0.1:{}",
        remotegpu_test_support::ports::free_port()
    );
    let closed_clusters = connect(&kubeconfig(&closed_at, &ca.cert.pem()))
        .await
        .unwrap();
    for (clusters, seconds) in [
        (&liar.clusters, 5),
        (&mute_clusters, 2),
        (&closed_clusters, 1),
    ] {
        assert_eq!(clusters.status(&name()), ClusterStatus::Unknown);
        let watch = Stopwatch::start();
        let error = clusters.provision(&made).await.unwrap_err();
        assert!(
            matches!(error, ClusterError::Unavailable(Some(_))),
            "{error:?}"
        );
        let took = watch.elapsed();
        assert!(took < Duration::from_secs(seconds), "{took:?}");
        assert_eq!(clusters.status(&name()), ClusterStatus::Unavailable);
        assert!(!said(&error).contains("canary"));
        // R10: and from now on nobody waits.
        let watch = Stopwatch::start();
        clusters.provision(&made).await.unwrap_err();
        assert!(!watch.is_over(Duration::from_millis(100)));
    }
    drop(mute);
    liar.handle.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_certificate_is_never_told_a_token() {
    let liar = Liar::start().await;
    let server = liar.clusters.find(&name()).unwrap().server;
    let other = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let clusters = connect(&kubeconfig(&server, &other.cert.pem()))
        .await
        .unwrap();
    liar.says(200, &json!({"gitVersion": "v1.33.0"}));
    let error = clusters.probe(&name()).await.unwrap_err();
    assert!(
        matches!(error, ClusterError::Unavailable(Some(_))),
        "{error:?}"
    );
    assert!(liar.seen.lock().unwrap().is_empty());
    liar.handle.stop(false).await;
}

#[tokio::test]
async fn a_connection_that_cannot_be_used_is_a_sentence() {
    install_ring();
    let ca = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let good = kubeconfig("https://127.0.0.1:1", &ca.cert.pem());
    for (from, to, sentence) in [
        ("{", "a: [", "its kubeconfig is not a kubeconfig in YAML"),
        ("current-context", "other", "no current context"),
        (
            "\"current-context\":\"c\"",
            "\"current-context\":\"d\"",
            "no context d with a cluster",
        ),
        (
            "https:",
            "http:",
            "its server http://127.0.0.1:1 is not an https URL",
        ),
        (
            "\"server\"",
            "\"insecure-skip-tls-verify\":true,\"server\"",
            "insecure-skip-tls-verify",
        ),
        (
            "\"server\"",
            "\"proxy-url\":\"http://p\",\"server\"",
            "proxies are not supported",
        ),
        (
            "authority-data\":\"",
            "authority-data\":\"?",
            "cannot be read",
        ),
        (
            "\"token\":\"own-canary\"",
            "\"exec\":{\"command\":\"/none\"}",
            "cannot be used",
        ),
    ] {
        let bent = good.replacen(from, to, 1);
        assert_ne!(bent, good);
        let Err(error) = connect(&bent).await else {
            panic!("{sentence}: it was taken")
        };
        let text = error.to_string();
        assert!(
            text.starts_with("cluster under-test: ") && text.contains(sentence),
            "{text}"
        );
        assert!(!said(&error).contains("canary"), "{text}");
    }
    let twice = vec![connection(&good), connection(&good)];
    let Err(error) = KubeClusters::connect(twice).await else {
        panic!("two clusters of one name were taken")
    };
    assert_eq!(
        error.to_string(),
        "cluster under-test: its name is configured twice"
    );
}

#[tokio::test]
async fn what_a_plugin_prints_is_never_quoted() {
    install_ring();
    let folder = tempfile::tempdir().unwrap();
    // It works at the start, with a token that has ended, and never again.
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "canary", "expirationTimestamp": "2020-01-01T00:00:00Z"},
    });
    let ca = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    for then in ["echo canary; echo canary >&2; exit 1", "echo '{canary'"] {
        let started = folder.path().join(then.len().to_string());
        let started = started.display();
        let script =
            format!("if [ -e {started} ]; then {then}; else >{started}; echo '{credential}'; fi");
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "sh",
            "args": ["-c", script],
            "interactiveMode": "Never",
        });
        let config = kubeconfig("https://127.0.0.1:1", &ca.cert.pem());
        let config = config.replace(
            "{\"token\":\"own-canary\"}",
            &json!({ "exec": exec }).to_string(),
        );
        let clusters = connect(&config).await.unwrap();
        let error = clusters.probe(&name()).await.unwrap_err();
        let said = said(&error);
        assert!(said.contains("could not be renewed"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn clusters_are_listed_as_configured_and_public_words_win() {
    // N0, X3
    install_ring();
    let ca = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let good = kubeconfig("https://127.0.0.1:1", &ca.cert.pem());
    let named = |name: &str| ClusterConnection {
        name: ClusterName::parse(name).unwrap(),
        ..connection(&good)
    };
    let public = ClusterConnection {
        public_server: Some("https://clusters.example".to_owned()),
        public_ca_pem: Some("public".to_owned()),
        ..named("a")
    };
    let clusters = KubeClusters::connect(vec![named("z"), public, named("m")])
        .await
        .unwrap();
    let list = ClusterDirectory::list(&clusters);
    let order: Vec<&str> = list.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(order, ["z", "a", "m"]);
    assert_eq!(list[0].server, "https://127.0.0.1:1");
    let own = |pem: &str| pem.split_whitespace().collect::<String>();
    let known = list[0].certificate_authority_pem.as_deref().unwrap();
    assert_eq!(own(known), own(&ca.cert.pem()));
    assert_eq!(list[1].server, "https://clusters.example");
    assert_eq!(list[1].certificate_authority_pem.as_deref(), Some("public"));
    let unknown = ClusterName::parse("b").unwrap();
    assert_eq!(clusters.find(&unknown), None);
    let error = CredentialMint::list(&clusters, &unknown, IdentityObjects::Bindings, None);
    let error = error.await.unwrap_err();
    assert!(matches!(error, ClusterError::NotConfigured(name) if name == unknown));
}

#[test]
fn prerequisites_are_whole_manifests() {
    for object in prerequisites() {
        for field in ["/apiVersion", "/kind", "/metadata/name"] {
            assert!(
                object
                    .pointer(field)
                    .is_some_and(serde_json::Value::is_string),
                "{object}"
            );
        }
    }
}
