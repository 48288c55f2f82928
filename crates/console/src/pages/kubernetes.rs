//! `/`, `/kubernetes`: the account's namespaces.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_control_plane::{
    AccountKubeconfigPorts, Caller, CreateNamespace, CreateNamespaceError, CreateNamespacePorts,
    Read, Right, Write, list_api_keys, look_at_last_reach, render_account_kubeconfig,
};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, Query, SessionCaller, Visitor, rng};
use remotegpu_keys::{ApiKey, KeyStatus};
use remotegpu_namespaces::{ClusterStatus, Namespace, NamespaceName, NamespaceStatus};
use remotegpu_primitives::{Page, PageRequest};

use crate::{
    answer::{self, Answer, Stop},
    console::Console,
    done::Done,
    fields::SentForm,
    layout::{Frame, Head, Place, refusal_box, whom},
    once::{self, Reply, done_at},
    parts::{
        button, code, dialog,
        field::{Field, hidden},
        kubeconfig,
        list::{cell, count, empty, more, table},
        status::{Look, is_changing, of_namespace, status},
        time::relative,
    },
    refusal::{Refusal, at_field},
};

const PAGE: &str = "/kubernetes";

pub(crate) async fn home(Visitor(visitor): Visitor) -> Answer {
    Ok(answer::see_other(match visitor {
        Some(_) => PAGE,
        None => "/sign-in",
    }))
}

/// What is typed into the form.
#[derive(Default)]
struct Draft {
    name: String,
    cluster: String,
}

fn refusal(error: CreateNamespaceError) -> ApiError {
    at_field(error.into(), "name", ErrorCode::NameTaken)
}

/// What the page shows beside its list.
struct View<'a> {
    draft: Option<Draft>,
    refusal: Option<&'a Refusal>,
    page: PageRequest,
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Read>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let draft = match query.get("create")? {
        None => None,
        Some(_) => Some(Draft {
            name: query.get("name")?.unwrap_or_default().into_owned(),
            cluster: query.get("cluster")?.unwrap_or_default().into_owned(),
        }),
    };
    let view = View {
        draft,
        refusal: None,
        page: query.page()?,
    };
    let markup = render(&console, &caller, &request, view).await?;
    Ok(answer::page(&console, &request, markup))
}

pub(crate) async fn create(
    console: web::Data<Console>,
    visitor: Visitor,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let back = format!("{PAGE}?create=1");
    let mut asked = once::asked::<Write>(&console, visitor, sent, PAGE, &back).await?;
    let draft = Draft {
        name: asked.fields.text("name")?,
        cluster: asked.fields.text("cluster")?,
    };
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    let name = NamespaceName::parse(&draft.name);
    let ports = CreateNamespacePorts {
        namespaces: &*console.ports.namespaces,
        clusters: &*console.ports.clusters,
        signals: &console.ports.signals,
    };
    let cluster = Some(draft.cluster.clone()).filter(|cluster| !cluster.is_empty());
    let (default_limit, now) = (console.config.namespace_limit, console.now());
    let done = asked.once(&console, done_at, async |caller| {
        let name =
            name.map_err(|error| ApiError::field(FieldError::from_refusal("name", &error)))?;
        let wanted = CreateNamespace {
            name,
            cluster,
            default_limit,
        };
        let mut random = rng();
        let made =
            remotegpu_control_plane::create_namespace(ports, caller, wanted, &mut random, now);
        Ok(Reply::SeeOther(
            format!("{PAGE}/{}", made.await.map_err(refusal)?.id),
            Done::NamespaceCreated,
        ))
    });
    match done.await {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let view = View {
                draft: Some(draft),
                refusal: Some(&refusal),
                page: PageRequest::parse(None, None).map_err(ApiError::from)?,
            };
            let markup = render(&console, &caller, &request, view).await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

pub(crate) async fn kubeconfig(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Read>,
    query: Query,
) -> Answer {
    let plugin = kubeconfig::plugin(&query)?;
    let ports = AccountKubeconfigPorts {
        namespaces: &*console.ports.namespaces,
        clusters: &*console.ports.clusters,
        claims: &*console.ports.claims,
    };
    let url = console.edge.public_url().as_str();
    let rendered = render_account_kubeconfig(ports, &caller, url, plugin).await;
    Ok(kubeconfig::download(rendered.map_err(ApiError::from)?.file))
}

async fn render<R: Right>(
    console: &Console,
    caller: &Caller<R>,
    request: &HttpRequest,
    view: View<'_>,
) -> Result<Markup, Stop> {
    let reader = caller.may::<Read>()?;
    let namespaces = &*console.ports.namespaces;
    let page = remotegpu_control_plane::list_namespaces(namespaces, &reader, view.page).await?;
    let may_write = caller.may::<Write>().is_ok();
    let action = may_write.then(|| button::open(PAGE, "create", "Create namespace", "primary"));
    let form = match view.draft {
        Some(draft) if may_write => {
            let id = once::id_for(console, whom(caller)?, PAGE).await?;
            Some(create_dialog(console, &draft, &id, view.refusal))
        }
        _ => None,
    };
    let steps = match view.page.after() {
        None => steps(console, &reader, &page.items).await,
        Some(_) => None,
    };
    let content = html! {
        @if page.items.is_empty() && view.page.after().is_none() {
            (empty("A namespace is where your workloads run. You have none yet.", action.as_ref()))
        } @else {
            (listed(&page, console))
        }
        @if let Some(steps) = steps { (steps) }
        @if page.items.iter().any(is_ready) {
            (all_at_once(caller.account().name.as_str()))
        }
        @if let Some(form) = form { (form) }
    };
    let head = Head {
        title: "Kubernetes",
        way: None,
        lead: Some(
            "Namespaces: each is a place of its own in a cluster, for kubectl and all that speaks Kubernetes.",
        ),
        // The empty list has it.
        action: action.filter(|_| !page.items.is_empty()),
    };
    Ok(Frame::of(console, caller, request)
        .await?
        .page(Place::Kubernetes, &head, &content))
}

fn listed(page: &Page<Namespace>, console: &Console) -> Markup {
    let now = console.now();
    let changing = page.items.iter().any(is_changing);
    html! {
        section id="namespaces" data-live=(if changing { "2" } else { "30" }) {
            (count(page.items.len(), page.next.is_some(), "namespace"))
            (table("Namespaces", &["Name", "Status", "In the cluster", "Cluster", "Made"], &html! {
                @for namespace in &page.items {
                    tr role="row" {
                        (cell("Name", &html! {
                            a href=(format!("{PAGE}/{}", namespace.id)) { (namespace.name.as_str()) }
                        }))
                        (cell("Status", &html! {
                            (of_namespace(namespace))
                            @if let Some(message) = &namespace.message { p.hint { (message) } }
                        }))
                        (cell("In the cluster", &html! { code { (namespace.kubernetes_namespace.as_str()) } }))
                        (cell("Cluster", &html! { (namespace.cluster.as_str()) }))
                        (cell("Made", &relative(namespace.created_at, now)))
                    }
                }
            }))
            (more(PAGE, page.next))
        }
    }
}

/// The way from nothing to `kubectl get pods`, until it was gone once.
async fn steps(
    console: &Console,
    reader: &Caller<Read>,
    namespaces: &[Namespace],
) -> Option<Markup> {
    let (log, keys) = (&*console.ports.audit_log, &*console.ports.keys);
    let reached = look_at_last_reach(log, keys, reader, None);
    let reached = tokio::time::timeout(Duration::from_millis(800), reached).await;
    if reached.ok()?.ok()?.is_some() {
        return None;
    }
    let now = console.now();
    let page = PageRequest::new(PageRequest::MAX_LIMIT, None).ok()?;
    let all = list_api_keys(keys, reader, page).await.ok()?.items;
    let opens = |key: &ApiKey| {
        key.status(now) == KeyStatus::Active
            && (namespaces.iter()).any(|namespace| key.scopes.allow_kubernetes_exec(namespace.id))
    };
    let has_key = all.iter().any(opens);
    let first = namespaces.iter().find(|namespace| is_ready(namespace));
    let step = |done: bool, what: Markup| {
        html! {
            li.done[done] {
                (status(if done { Look::Well } else { Look::Waiting }, if done { "done" } else { "to do" }))
                " " (what)
            }
        }
    };
    Some(html! {
        section id="steps" data-live="30" aria-labelledby="steps-title" {
            h2 id="steps-title" { "Four steps to kubectl" }
            ol.steps {
                (step(first.is_some(), html! { strong { "Create a namespace" } " in a cluster." }))
                (step(has_key, html! {
                    strong { "Create an API key" } " that allows Kubernetes exec, in "
                    a href="/settings/api-keys?create=1" { "Settings / API Keys" }
                    ", and keep it as " code { "REMOTEGPU_API_KEY" } "."
                }))
                (step(false, html! {
                    strong { "Download the kubeconfig" } " from "
                    @match first {
                        Some(first) => a href=(format!("{PAGE}/{}", first.id)) { "the namespace's page" },
                        None => "the namespace's page",
                    }
                    ". It holds no secret."
                }))
                (step(false, html! {
                    "Run " code { "kubectl get pods" } " with it. This list goes once a key has reached a namespace."
                }))
            }
        }
    })
}

/// One file for all of them.
fn all_at_once(account: &str) -> Markup {
    let file = remotegpu_kubeconfig::filename(account);
    html! {
        section aria-labelledby="all-at-once" {
            h2 id="all-at-once" { "All namespaces in one kubeconfig" }
            p { "A context for each that is active, over all clusters; " code { "kubectl config use-context" }
                " goes from one to another. It holds no secret." }
            (kubeconfig::buttons("/kubeconfig"))
            details { summary { "Merge it into the kubeconfig you have" }
                (code::block("lines-merge", "sh, bash, zsh", &kubeconfig::merge_lines(&file))) }
        }
    }
}

fn is_ready(namespace: &Namespace) -> bool {
    namespace.status == NamespaceStatus::Active
}

fn create_dialog(console: &Console, draft: &Draft, id: &str, refusal: Option<&Refusal>) -> Markup {
    let clusters = &console.ports.clusters;
    let all = clusters.list();
    let is_of_cluster = |refusal: &&Refusal| refusal.code == Some(ErrorCode::ClusterUnknown);
    let wrong_cluster = refusal.filter(is_of_cluster);
    dialog::open(
        "create",
        "Create namespace",
        PAGE,
        &html! {
            (refusal_box(refusal.filter(|_| all.len() < 2 || wrong_cluster.is_none()), &["name"]))
            form method="post" action=(PAGE) {
                (hidden(once::FIELD, id))
                (Field {
                    name: "name", label: "Name", value: &draft.name, required: true, focus: true,
                    max: Some(63), autocomplete: Some("off"),
                    pattern: Some("[a-z0-9]([a-z0-9\\-]*[a-z0-9])?"),
                    hint: Some("Lowercase letters, digits and hyphens. The cluster adds six characters to it."),
                    ..Field::default()
                }.render(refusal))
                @if all.len() > 1 {
                    div.field {
                        label for="field-cluster" { "Cluster" }
                        select id="field-cluster" name="cluster" autofocus[wrong_cluster.is_some()]
                        aria-invalid=[wrong_cluster.as_ref().map(|_| "true")]
                        aria-describedby=[wrong_cluster.as_ref().map(|_| "cluster-error")] {
                            @for cluster in &all {
                                option value=(cluster.name.as_str())
                                    selected[cluster.name.as_str() == draft.cluster] {
                                    (cluster.title)
                                    @if clusters.status(&cluster.name) == ClusterStatus::Unavailable {
                                        " (not available just now)"
                                    }
                                }
                            }
                        }
                        @if let Some(wrong) = wrong_cluster {
                            p.error id="cluster-error" { (wrong.sentence) }
                        }
                    }
                }
                (dialog::actions(PAGE, &button::submit("Create namespace", "primary")))
            }
        },
    )
}
