//! `/kubernetes/{namespace_id}`: one namespace, and the way into it.

mod reach;
pub(crate) mod token_file;
mod way_in;

use std::time::Duration;

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_control_plane::{
    Caller, Read, RenderedKubeconfig, Right, Write, read_usage, render_kubeconfig,
};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, PathId, Query, SessionCaller, Visitor, rng};
use remotegpu_kubeconfig::Plugin;
use remotegpu_namespaces::{Namespace, NamespaceName, NamespaceStatus, QuotaUse};
use remotegpu_primitives::NamespaceId;
use time::OffsetDateTime;

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
        kubeconfig, quota,
        status::{is_changing, of_namespace},
        time::relative,
    },
    refusal::{Refusal, at_field},
};

const LIST: &str = "/kubernetes";

/// For how long a page waits for what it can do without.
const SOON: Duration = Duration::from_millis(800);

/// Which dialog is open, and what is typed in it.
#[derive(Default)]
struct View<'a> {
    rename: Option<String>,
    delete: Option<String>,
    /// For how long a kubeconfig with a token shall live.
    token: Option<String>,
    refusal: Option<&'a Refusal>,
}

fn address(id: NamespaceId) -> String {
    format!("{LIST}/{id}")
}

/// The account's namespace, one that is being deleted as well.
async fn find<R: Right>(
    console: &Console,
    caller: &Caller<R>,
    id: PathId<NamespaceId>,
) -> Result<Namespace, Stop> {
    let reader = caller.may::<Read>()?;
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let namespaces = &*console.ports.namespaces;
    let found = remotegpu_control_plane::look_at_namespace(namespaces, &reader, id).await?;
    Ok(found.ok_or(ErrorCode::NotFound)?)
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Read>,
    id: PathId<NamespaceId>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let namespace = find(&console, &caller, id).await?;
    let typed = query.get("name")?.map(Into::into);
    let view = View {
        rename: query.get("rename")?.map(|_| {
            typed
                .clone()
                .unwrap_or_else(|| namespace.name.as_str().to_owned())
        }),
        delete: query.get("delete")?.map(|_| typed.unwrap_or_default()),
        token: query.get("token")?.map(Into::into),
        refusal: None,
    };
    let markup = render(&console, &caller, &request, &namespace, view).await?;
    Ok(answer::page(&console, &request, markup))
}

pub(crate) async fn rename(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<NamespaceId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own.trim_end_matches("/rename").to_owned();
    let back = format!("{page}?rename=1");
    let mut asked = once::asked::<Write>(&console, visitor, sent, &own, &back).await?;
    let typed = asked.fields.text("name")?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let namespace = find(&console, &caller, id).await?;
    let (namespaces, id, now) = (&*console.ports.namespaces, namespace.id, console.now());
    let name = NamespaceName::parse(&typed);
    let done = asked.once(&console, done_at, async |caller| {
        let name =
            name.map_err(|error| ApiError::field(FieldError::from_refusal("name", &error)))?;
        let mut random = rng();
        let renamed = remotegpu_control_plane::rename_namespace(
            namespaces,
            caller,
            id,
            &name,
            &mut random,
            now,
        );
        renamed
            .await
            .map_err(|error| at_field(error.into(), "name", ErrorCode::NameTaken))?;
        Ok(Reply::SeeOther(address(id), Done::NamespaceRenamed))
    });
    match done.await {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let view = View {
                rename: Some(typed),
                refusal: Some(&refusal),
                ..View::default()
            };
            let markup = render(&console, &caller, &request, &namespace, view).await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

pub(crate) async fn delete(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<NamespaceId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own.trim_end_matches("/delete").to_owned();
    let back = format!("{page}?delete=1");
    let mut asked = once::asked::<Write>(&console, visitor, sent, &own, &back).await?;
    let typed = asked.fields.text("name")?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let namespace = find(&console, &caller, id).await?;
    let (ports, id, now) = (&console.ports, namespace.id, console.now());
    let is_meant = typed.trim() == namespace.name.as_str();
    let done = asked.once(&console, done_at, async |caller| {
        if !is_meant {
            let error = FieldError::new("name", "must be the name of this namespace");
            return Err(ApiError::field(error));
        }
        let (namespaces, signals) = (&*ports.namespaces, &*ports.signals);
        let mut random = rng();
        let gone = remotegpu_control_plane::delete_namespace(
            namespaces,
            signals,
            caller,
            id,
            &mut random,
            now,
        );
        gone.await?.ok_or(ErrorCode::NotFound)?;
        Ok(Reply::SeeOther(LIST.to_owned(), Done::NamespaceDeleted))
    });
    match done.await {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let view = View {
                delete: Some(typed),
                refusal: Some(&refusal),
                ..View::default()
            };
            let markup = render(&console, &caller, &request, &namespace, view).await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

pub(crate) async fn kubeconfig(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Read>,
    id: PathId<NamespaceId>,
    query: Query,
) -> Answer {
    let namespace = find(&console, &caller, id).await?;
    let plugin = kubeconfig::plugin(&query)?;
    let file = file_of(&console, &caller, &namespace, plugin).await?;
    Ok(kubeconfig::download(file))
}

async fn file_of(
    console: &Console,
    reader: &Caller<Read>,
    namespace: &Namespace,
    plugin: Plugin,
) -> Result<RenderedKubeconfig, ApiError> {
    let (clusters, claims) = (&*console.ports.clusters, &*console.ports.claims);
    let url = console.edge.public_url().as_str();
    Ok(render_kubeconfig(clusters, claims, reader, url, namespace, plugin).await?)
}

async fn render<R: Right>(
    console: &Console,
    caller: &Caller<R>,
    request: &HttpRequest,
    namespace: &Namespace,
    view: View<'_>,
) -> Result<Markup, Stop> {
    let page = address(namespace.id);
    let may_write = caller.may::<Write>().is_ok();
    let is_going = namespace.status == NamespaceStatus::Deleting;
    let (whom, reader) = (whom(caller)?, caller.may::<Read>()?);
    let is_active = namespace.status == NamespaceStatus::Active;
    let usage = if is_active {
        usage(console, &reader, namespace).await
    } else {
        None
    };
    let dialog = if let Some(typed) = view.rename.filter(|_| may_write && !is_going) {
        let own = format!("{page}/rename");
        let id = once::id_for(console, whom, &own).await?;
        Some(rename_dialog(&page, &own, &typed, &id, view.refusal))
    } else if let Some(typed) = view.delete.filter(|_| may_write && !is_going) {
        let own = format!("{page}/delete");
        let id = once::id_for(console, whom, &own).await?;
        let inside = usage.as_deref().map(quota::contents);
        Some(delete_dialog(
            &page,
            &own,
            namespace,
            inside.as_deref(),
            &typed,
            &id,
            view.refusal,
        ))
    } else if let Some(typed) = view.token.filter(|_| is_active) {
        let own = format!("{page}/kubeconfig-token");
        let id = once::id_for(console, whom, &own).await?;
        let refusal = view.refusal;
        Some(token_file::create_dialog(&page, &own, &typed, &id, refusal))
    } else {
        None
    };
    let tokens = if is_active {
        Some(token_file::Living::of(console, &reader, whom, namespace.id).await?)
    } else {
        None
    };
    let now = console.now();
    let reach = reach::find(console, &reader, namespace).await;
    let file = file_of(console, &reader, namespace, Plugin::default())
        .await
        .ok();
    let content = html! {
        (refusal_box(view.refusal.filter(|_| dialog.is_none()), &[]))
        (state(namespace, now))
        @if is_active { (way_in::render(namespace, &page, file.as_ref())) }
        @if let Some(tokens) = tokens { (tokens.section(&page, whom, console)) }
        @if !is_going { (reach::render(reach.as_ref(), now)) }
        @if is_active {
            section id="usage" data-live="30" aria-labelledby="usage-title" {
                h2 id="usage-title" { "Quota" }
                @match usage.as_deref() {
                    None => p.hint { "The cluster does not say just now what is used." },
                    Some([]) => p.hint { "The cluster counts nothing here yet." },
                    Some(usage) => (quota::bars(usage)),
                }
            }
        }
        @if !is_going { (what_applies(&console.config.baseline)) }
        @if let Some(dialog) = dialog { (dialog) }
    };
    let action = (may_write && !is_going).then(|| {
        html! {
            @if is_active {
                (button::open(&page, "rename", "Rename", "quiet"))
            }
            (button::open(&page, "delete", "Delete namespace", "danger"))
        }
    });
    let head = Head {
        title: namespace.name.as_str(),
        way: Some(html! { a href=(LIST) { "Kubernetes" } " /" }),
        lead: None,
        action,
    };
    Ok(Frame::of(console, caller, request)
        .await?
        .page(Place::Kubernetes, &head, &content))
}

/// What it is, and how it is.
fn state(namespace: &Namespace, now: OffsetDateTime) -> Markup {
    html! {
        section id="state" data-live=(if is_changing(namespace) { "2" } else { "30" })
            data-state=(namespace.status.as_str()) {
            dl.facts {
                dt { "Status" }
                dd {
                    (of_namespace(namespace))
                    @match namespace.status.as_str() {
                        "provisioning" => p.hint { "The cluster is being asked to make it; this page follows." },
                        "deleting" => p.hint { "The cluster is letting go of it, with all that was in it." },
                        _ => {}
                    }
                    @if let Some(message) = &namespace.message { p.hint { (message) } }
                }
                dt { "Name" } dd { (code::copyable("name", namespace.name.as_str())) }
                dt { "In the cluster" }
                dd {
                    (code::copyable("kubernetes-name", namespace.kubernetes_namespace.as_str()))
                    p.hint { "What kubectl and the cluster call it; it never changes." }
                }
                dt { "Cluster" } dd { (namespace.cluster.as_str()) }
                dt { "Identifier" } dd { (code::copyable("id", &namespace.id.to_string())) }
                dt { "Made" } dd { (relative(namespace.created_at, now)) }
            }
        }
    }
}

/// What the cluster counts; nothing where it does not say so soon.
async fn usage(
    console: &Console,
    reader: &Caller<Read>,
    namespace: &Namespace,
) -> Option<Vec<QuotaUse>> {
    let asked = read_usage(&*console.ports.usage, reader, namespace);
    tokio::time::timeout(SOON, asked).await.ok()?.ok()
}

fn what_applies(baseline: &[String]) -> Markup {
    html! {
        section aria-labelledby="baseline" {
            h2 id="baseline" { "What applies inside" }
            ul.plain { @for sentence in baseline { li { (code::in_sentence(sentence)) } } }
            p.hint { "See it: " code { "kubectl describe quota" } }
        }
    }
}

fn rename_dialog(
    page: &str,
    own: &str,
    typed: &str,
    id: &str,
    refusal: Option<&Refusal>,
) -> Markup {
    dialog::open(
        "rename",
        "Rename namespace",
        page,
        &html! {
            (refusal_box(refusal, &["name"]))
            form method="post" action=(own) {
                (hidden(once::FIELD, id))
                (Field {
                    name: "name", label: "Name", value: typed, required: true, focus: true, max: Some(63),
                    autocomplete: Some("off"),
                    hint: Some("What the cluster calls it stays, and so do kubeconfigs."),
                    ..Field::default()
                }.render(refusal))
                (dialog::actions(page, &button::submit("Rename namespace", "primary")))
            }
        },
    )
}

fn delete_dialog(
    page: &str,
    own: &str,
    namespace: &Namespace,
    inside: Option<&str>,
    typed: &str,
    id: &str,
    refusal: Option<&Refusal>,
) -> Markup {
    let name = namespace.name.as_str();
    dialog::open(
        "delete",
        "Delete namespace",
        page,
        &html! {
            p { strong { (name) } " goes with everything in it: workloads, volumes, secrets. Access to it ends \
                 within a second, whichever key it is with. Keys themselves stay, and so do your other \
                 namespaces. This cannot be undone." }
            @match inside {
                Some("") => p { "Inside it now, as its quotas count: nothing." },
                Some(inside) => p { "Inside it now, as its quotas count: " strong { (inside) } "." },
                None => p { "What is inside it is not known just now." },
            }
            (refusal_box(refusal, &["name"]))
            form method="post" action=(own) {
                (hidden(once::FIELD, id))
                (Field {
                    name: "name", label: &format!("Type {name} to confirm"), called: Some("It"), value: typed, required: true,
                    focus: true, autocomplete: Some("off"), ..Field::default()
                }.render(refusal))
                (dialog::actions(page, &button::submit("Delete namespace", "danger")))
            }
        },
    )
}
