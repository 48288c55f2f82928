//! `/settings/access-tokens`: one's access tokens, an admin's of all members, and the form
//! that makes one (contract T1, H1).

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_access_tokens::{AccessToken, TokenStatus};
use remotegpu_control_plane::{
    Caller, IssueAccessToken, IssueAccessTokenPorts, Person, Read, issue_access_token,
    list_access_tokens,
};
use remotegpu_edge::{ApiError, Query, SessionCaller, Visitor, rng};
use remotegpu_namespaces::{Cluster, ClusterName, Namespace};
use remotegpu_primitives::{Page, PageRequest};
use time::{Duration, OffsetDateTime};

mod draft;

use draft::Draft;

use super::{
    api_keys::namespaces,
    shown_token::{self, Forms},
};
use crate::{
    answer::{self, Answer, Stop},
    console::Console,
    fields::SentForm,
    layout::{Frame, Head, Place, refusal_box, whom},
    once::{self, Reply},
    parts::{
        button, dialog,
        field::hidden,
        list::{cell, count, empty, more, table},
        status::of_token,
        time::relative,
    },
    refusal::Refusal,
};

pub(crate) const PAGE: &str = "/settings/access-tokens";

/// How long before its end a token is marked.
const ENDS_SOON: Duration = Duration::days(7);

/// What the page shows beside its list.
struct View<'a> {
    draft: Option<Draft>,
    refusal: Option<&'a Refusal>,
    page: PageRequest,
}

/// What one may choose from.
struct Choices {
    clusters: Vec<Cluster>,
    namespaces: Vec<Namespace>,
}

impl Choices {
    async fn of(console: &Console, caller: &Caller<Person<Read>>) -> Result<Self, Stop> {
        Ok(Self {
            clusters: console.ports.clusters.list(),
            namespaces: namespaces(console, caller).await?,
        })
    }
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Person<Read>>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let wanted = query.get("create")?;
    let view = View {
        draft: wanted.map(|_| Draft::from_address(request.query_string())),
        refusal: None,
        page: query.page()?,
    };
    let choices = Choices::of(&console, &caller).await?;
    let markup = render(&console, &caller, &request, view, &choices).await?;
    Ok(answer::page(&console, &request, markup))
}

pub(crate) async fn create(
    console: web::Data<Console>,
    visitor: Visitor,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let back = format!("{PAGE}?create=1");
    let mut asked = once::asked::<Person<Read>>(&console, visitor, sent, PAGE, &back).await?;
    let draft = Draft::read(&mut asked.fields)?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Person<Read>>()?;
    let now = console.now();
    let ports = IssueAccessTokenPorts {
        tokens: &*console.ports.access_tokens,
        clusters: &*console.ports.clusters,
        claims: &*console.ports.claims,
        limits: &console.ports.key_changes,
        rules: &console.config.access_tokens,
    };
    let choices = Choices::of(&console, &caller).await?;
    let forms = Forms::of(&console, whom(&caller)?, asked.id()).await?;
    let frame = Frame::of(&console, &caller, &request).await?;
    let done = asked.once(&console, shown_token::spent, async |caller| {
        let wanted: IssueAccessToken = draft.judge(&choices, ports.rules, now)?;
        let issued = issue_access_token(ports, caller, wanted, &mut rng(), now).await?;
        let markup = shown_token::render(&frame, &issued, &forms);
        Ok(Reply::Page(markup.into_string()))
    });
    match done.await {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let view = View {
                draft: Some(draft),
                refusal: Some(&refusal),
                page: PageRequest::parse(None, None).map_err(ApiError::from)?,
            };
            let markup = render(&console, &caller, &request, view, &choices).await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

async fn render(
    console: &Console,
    caller: &Caller<Person<Read>>,
    request: &HttpRequest,
    view: View<'_>,
    choices: &Choices,
) -> Result<Markup, Stop> {
    let tokens = &*console.ports.access_tokens;
    let page = list_access_tokens(tokens, caller, view.page).await?;
    let action = button::open(PAGE, "create", "Create Token", "primary");
    let form = match &view.draft {
        Some(draft) => {
            let id = once::id_for(console, whom(caller)?, PAGE).await?;
            Some(dialog::open(
                "create",
                "Create Token",
                PAGE,
                &html! {
                    (refusal_box(view.refusal, &draft::FIELDS))
                    form method="post" action=(PAGE) {
                        (hidden(once::FIELD, &id))
                        (draft.render(choices, &console.config.access_tokens, view.refusal))
                        (dialog::actions(PAGE, &button::submit("Create", "primary")))
                    }
                },
            ))
        }
        None => None,
    };
    let nothing = page.items.is_empty() && view.page.after().is_none();
    let content = html! {
        @if nothing {
            (empty("An access token is you, in the clusters that you choose: for kubectl and tools that can run no plugin. There is none yet.", Some(&action)))
        } @else {
            (listed(&page, console.now()))
        }
        @if let Some(form) = form { (form) }
    };
    let head = Head {
        title: "Settings / Access Tokens",
        way: None,
        lead: Some(
            "Each opens the clusters that were chosen for it, with your role in this account, \
             until it expires or is deleted.",
        ),
        // The empty list has it.
        action: (!nothing).then_some(action),
    };
    Ok(Frame::of(console, caller, request)
        .await?
        .page(Place::AccessTokens, &head, &content))
}

fn listed(page: &Page<AccessToken>, now: OffsetDateTime) -> Markup {
    html! {
        section id="tokens" data-live="30" {
            (count(page.items.len(), page.next.is_some(), "token"))
            (table("Access tokens", &["Name", "Token", "Clusters", "Status", "Last used", "Expiration"], &html! {
                @for token in &page.items {
                    tr role="row" {
                        (cell("Name", &html! {
                            a href=(format!("{PAGE}/{}", token.handle)) { (token.name.as_str()) }
                        }))
                        (cell("Token", &html! { code { (token.prefix.as_str()) } }))
                        (cell("Clusters", &html! { (clusters(token)) }))
                        (cell("Status", &html! { (of_token(token.status(now))) (marks(token, now)) }))
                        (cell("Last used", &last_used(token, now)))
                        (cell("Expiration", &expiration(token, now)))
                    }
                }
            }))
            (more(PAGE, page.next))
        }
    }
}

pub(crate) fn clusters(token: &AccessToken) -> String {
    let names: Vec<&str> = token.clusters.iter().map(ClusterName::as_str).collect();
    names.join(", ")
}

pub(crate) fn last_used(token: &AccessToken, now: OffsetDateTime) -> Markup {
    html! { @match token.last_used_at { Some(at) => (relative(at, now)), None => span.muted { "never" } } }
}

pub(crate) fn expiration(token: &AccessToken, now: OffsetDateTime) -> Markup {
    html! { @match token.expires_at { Some(at) => (relative(at, now)), None => span.muted { "never" } } }
}

/// What somebody should look at.
pub(crate) fn marks(token: &AccessToken, now: OffsetDateTime) -> Markup {
    let is_active = token.status(now) == TokenStatus::Active;
    let soon = is_active && token.expires_at.is_some_and(|end| end - now <= ENDS_SOON);
    html! { @if soon { " " span.tag.warn { "expires soon" } } }
}
