//! `/settings/api-keys`: the account's keys, and the form that makes one.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_control_plane::{
    Caller, IssueApiKey, IssueApiKeyError, Read, Right, Write, search_api_keys,
};
use remotegpu_edge::{ApiError, ErrorCode, Query, SessionCaller, Visitor, rng};
use remotegpu_keys::{ApiKey, KeyStatus};
use remotegpu_namespaces::Namespace;
use remotegpu_primitives::{NamespaceId, Page, PageRequest};
use remotegpu_scopes::{NamespaceAccess, Scopes};
use time::{Duration, OffsetDateTime};

mod draft;

pub(crate) use draft::Draft;

use super::shown_key::{self, Forms};
use crate::{
    answer::{self, Answer, Stop},
    console::Console,
    fields::SentForm,
    layout::{Frame, Head, Place, refusal_box, whom},
    once::{self, Reply},
    parts::{
        button, dialog,
        field::hidden,
        list::{address, cell, count, empty, more, table},
        status::of_key,
        time::relative,
    },
    refusal::Refusal,
};

/// How many namespaces are offered for a key. Whoever has more names them by the API.
const MOST_NAMESPACES: usize = 2000;

pub(crate) const PAGE: &str = "/settings/api-keys";

/// How long before its end a key is marked, and how long it rests before it is.
const ENDS_SOON: Duration = Duration::days(7);
const UNUSED: Duration = Duration::days(90);

/// What the page shows beside its list.
struct View<'a> {
    draft: Option<Draft>,
    refusal: Option<&'a Refusal>,
    page: PageRequest,
    search: String,
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Read>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let wanted = query.get("create")?;
    let draft = wanted.map(|_| Draft::from_address(request.query_string()));
    let view = View {
        draft,
        refusal: None,
        page: query.page()?,
        search: query.get("q")?.unwrap_or_default().into_owned(),
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
    let draft = Draft::read(&mut asked.fields)?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    let (ports, now) = (&console.ports, console.now());
    let default_limit = console.config.key_limit;
    let forms = Forms::of(&console, whom(&caller)?, asked.id()).await?;
    let frame = Frame::of(&console, &caller, &request).await?;
    let done = asked.once(&console, shown_key::spent, async |caller| {
        let (name, scopes, expires_at) = draft.judge(now)?;
        let wanted = IssueApiKey {
            name,
            scopes,
            expires_at,
            default_limit,
        };
        let (keys, limits) = (&*ports.keys, &*ports.key_changes);
        let mut random = rng();
        let issued =
            remotegpu_control_plane::issue_api_key(keys, limits, caller, wanted, &mut random, now);
        let issued = issued.await.map_err(refusal)?;
        let markup = shown_key::render(&frame, &console, &issued, &forms, "API key created");
        Ok(Reply::Page(markup.into_string()))
    });
    match done.await {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let view = View {
                draft: Some(draft),
                refusal: Some(&refusal),
                page: PageRequest::parse(None, None).map_err(ApiError::from)?,
                search: String::new(),
            };
            let markup = render(&console, &caller, &request, view).await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

fn refusal(error: IssueApiKeyError) -> ApiError {
    match error {
        IssueApiKeyError::ExpiryNotInFuture => ErrorCode::ExpiryNotInFuture.into(),
        IssueApiKeyError::LimitReached => ErrorCode::KeyLimit.into(),
        IssueApiKeyError::ForeignNamespaces(_) => ErrorCode::ForeignNamespace.into(),
        IssueApiKeyError::TooOften(error) => error.into(),
        IssueApiKeyError::NotAllowed(error) => error.into(),
        IssueApiKeyError::Store(error) => error.into(),
    }
}

/// The account's namespaces, as many as one can choose from.
/// The account's namespaces, as many as one may choose from.
pub(crate) async fn namespaces<R: Right>(
    console: &Console,
    caller: &Caller<R>,
) -> Result<Vec<Namespace>, Stop> {
    let reader = caller.may::<Read>()?;
    let namespaces = &*console.ports.namespaces;
    let (mut all, mut after) = (Vec::new(), None);
    while all.len() < MOST_NAMESPACES {
        let page = PageRequest::new(PageRequest::MAX_LIMIT, after).map_err(ApiError::from)?;
        let page = remotegpu_control_plane::list_namespaces(namespaces, &reader, page).await?;
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(all)
}

async fn render<R: Right>(
    console: &Console,
    caller: &Caller<R>,
    request: &HttpRequest,
    view: View<'_>,
) -> Result<Markup, Stop> {
    let reader = caller.may::<Read>()?;
    let keys = &*console.ports.keys;
    let page = search_api_keys(keys, &reader, &view.search, view.page).await?;
    let namespaces = namespaces(console, caller).await?;
    let names = names(&namespaces);
    let may_write = caller.may::<Write>().is_ok();
    let action = may_write.then(|| button::open(PAGE, "create", "Create API key", "primary"));
    let form = match view.draft {
        Some(draft) if may_write => {
            let id = once::id_for(console, whom(caller)?, PAGE).await?;
            Some(dialog::open(
                "create",
                "Create API key",
                PAGE,
                &html! {
                    (refusal_box(view.refusal, &["name", "expires_at"]))
                    form method="post" action=(PAGE) {
                        (hidden(once::FIELD, &id))
                        (draft.render(&namespaces, false, view.refusal))
                        (dialog::actions(PAGE, &button::submit("Create API key", "primary")))
                    }
                },
            ))
        }
        _ => None,
    };
    let nothing = page.items.is_empty() && view.page.after().is_none();
    let content = html! {
        @if nothing && view.search.is_empty() {
            (empty("An API key opens inference and your namespaces to programs: kubectl, scripts, services. You have none yet.", action.as_ref()))
        } @else {
            (search(&view.search))
            @if nothing {
                (empty("No key has this in its name or prefix.", None))
            } @else {
                (listed(&page, &names, console.now(), &view.search))
            }
        }
        @if let Some(form) = form { (form) }
    };
    let head = Head {
        title: "Settings / API Keys",
        way: None,
        lead: Some(
            "Keys for programs. Each opens what its scope says, until it ends or is revoked.",
        ),
        // The empty list has it.
        action: action.filter(|_| !nothing || !view.search.is_empty()),
    };
    Ok(Frame::of(console, caller, request)
        .await?
        .page(Place::ApiKeys, &head, &content))
}

fn search(text: &str) -> Markup {
    html! {
        form.search method="get" action=(PAGE) role="search" {
            label.hidden for="search" { "Search in names and prefixes" }
            input id="search" type="search" name="q" value=(text) placeholder="Name or prefix";
            (button::submit("Search", "quiet"))
        }
    }
}

pub(crate) fn names(namespaces: &[Namespace]) -> BTreeMap<NamespaceId, String> {
    let named = |namespace: &Namespace| (namespace.id, namespace.name.as_str().to_owned());
    namespaces.iter().map(named).collect()
}

fn listed(
    page: &Page<ApiKey>,
    names: &BTreeMap<NamespaceId, String>,
    now: OffsetDateTime,
    search: &str,
) -> Markup {
    let rest = address(PAGE, &[("q", search)]);
    html! {
        section id="keys" data-live="30" {
            (count(page.items.len(), page.next.is_some(), "key"))
            (table("API keys", &["Name", "Prefix", "Scope", "Status", "Last used", "Ends"], &html! {
                @for key in &page.items {
                    tr role="row" {
                        (cell("Name", &html! {
                            a href=(format!("{PAGE}/{}", key.id)) { (key.name.as_str()) }
                        }))
                        (cell("Prefix", &html! { code { (key.prefix.as_str()) } }))
                        (cell("Scope", &html! { (in_words(&key.scopes, names)) }))
                        (cell("Status", &html! { (of_key(key.status(now))) (marks(key, now)) }))
                        (cell("Last used", &last_used(key, now)))
                        (cell("Ends", &ends(key, now)))
                    }
                }
            }))
            (more(&rest, page.next))
        }
    }
}

pub(crate) fn last_used(key: &ApiKey, now: OffsetDateTime) -> Markup {
    html! { @match key.last_used_at { Some(at) => (relative(at, now)), None => span.muted { "never" } } }
}

pub(crate) fn ends(key: &ApiKey, now: OffsetDateTime) -> Markup {
    html! { @match key.expires_at { Some(at) => (relative(at, now)), None => span.muted { "never" } } }
}

/// What somebody should look at.
pub(crate) fn marks(key: &ApiKey, now: OffsetDateTime) -> Markup {
    let is_active = key.status(now) == KeyStatus::Active;
    let soon = is_active && key.expires_at.is_some_and(|end| end - now <= ENDS_SOON);
    let rests = now - key.last_used_at.unwrap_or(key.created_at) >= UNUSED;
    html! {
        @if soon { " " span.tag.warn { "ends soon" } }
        @if is_active && rests { " " span.tag { "unused for 90 days" } }
    }
}

/// What a key may do, in words.
pub(crate) fn in_words(scopes: &Scopes, names: &BTreeMap<NamespaceId, String>) -> String {
    match scopes {
        Scopes::All => "All".to_owned(),
        Scopes::Inference => "Inference".to_owned(),
        Scopes::KubernetesExec(NamespaceAccess::All) => {
            "Kubernetes exec: every namespace".to_owned()
        }
        Scopes::KubernetesExec(NamespaceAccess::Only(ids)) => {
            let of = |id| match names.get(id) {
                Some(name) => name.as_str(),
                None => "a namespace that is gone",
            };
            let shown: Vec<&str> = ids.iter().map(of).take(3).collect();
            let rest = ids.len() - shown.len();
            let more = if rest > 0 {
                format!(" and {rest} more")
            } else {
                String::new()
            };
            format!("Kubernetes exec: {}{more}", shown.join(", "))
        }
        Scopes::Unknown(_) => "Something that this version does not know".to_owned(),
    }
}
