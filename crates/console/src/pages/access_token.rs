//! `/settings/access-tokens/{token_id}`: one access token, never its secret.

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_access_tokens::{AccessToken, TokenHandle};
use remotegpu_control_plane::{Caller, Person, Read, delete_access_token, find_access_token};
use remotegpu_edge::{ErrorCode, PathId, Query, SessionCaller, Visitor, rng};

use super::access_tokens::{PAGE, clusters, expiration, last_used, marks};
use crate::{
    answer::{self, Answer, Stop},
    console::Console,
    done::Done,
    fields::SentForm,
    layout::{Frame, Head, Place, refusal_box, whom},
    once::{self, Reply, done_at},
    parts::{
        button, code, dialog,
        field::hidden,
        status::of_token,
        time::{exact, relative},
    },
    refusal::Refusal,
};

async fn find(
    console: &Console,
    caller: &Caller<Person<Read>>,
    id: PathId<TokenHandle>,
) -> Result<AccessToken, Stop> {
    let handle = id.known().ok_or(ErrorCode::NotFound)?;
    let found = find_access_token(&*console.ports.access_tokens, caller, &handle).await?;
    Ok(found.ok_or(ErrorCode::NotFound)?)
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Person<Read>>,
    id: PathId<TokenHandle>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let token = find(&console, &caller, id).await?;
    let is_deleting = query.get("delete")?.is_some();
    let markup = render(&console, &caller, &request, &token, is_deleting, None).await?;
    Ok(answer::page(&console, &request, markup))
}

pub(crate) async fn delete(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<TokenHandle>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own.trim_end_matches("/delete").to_owned();
    let back = format!("{page}?delete=1");
    let asked = once::asked::<Person<Read>>(&console, visitor, sent, &own, &back).await?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Person<Read>>()?;
    // What it is about is gone since.
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let token = find(&console, &caller, id).await?;
    let (tokens, handle, now) = (
        &*console.ports.access_tokens,
        token.handle.clone(),
        console.now(),
    );
    let done = asked.once(&console, done_at, async |caller| {
        let deleted = delete_access_token(tokens, caller, &handle, &mut rng(), now).await?;
        if !deleted {
            return Err(ErrorCode::NotFound.into());
        }
        Ok(Reply::SeeOther(PAGE.to_owned(), Done::TokenDeleted))
    });
    match done.await {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let refused = Some(&refusal);
            let markup = render(&console, &caller, &request, &token, true, refused).await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

async fn render(
    console: &Console,
    caller: &Caller<Person<Read>>,
    request: &HttpRequest,
    token: &AccessToken,
    is_deleting: bool,
    refusal: Option<&Refusal>,
) -> Result<Markup, Stop> {
    let now = console.now();
    let page = format!("{PAGE}/{}", token.handle);
    let dialog = if is_deleting {
        let own = format!("{page}/delete");
        let once = once::id_for(console, whom(caller)?, &own).await?;
        Some(dialog::open(
            "delete",
            "Delete token",
            &page,
            &html! {
                (refusal_box(refusal, &[]))
                form method="post" action=(own) {
                    (hidden(once::FIELD, &once))
                    p { "Clusters refuse " strong { (token.name.as_str()) } " within seconds, and every file that holds it \
                         with it. Workloads go on running. This cannot be undone." }
                    (dialog::careful_actions(&page, &button::submit("Delete token", "danger")))
                }
            },
        ))
    } else {
        None
    };
    let is_own = token.created_by == caller.id();
    let content = html! {
        section id="token" data-live="30" {
            dl.facts {
                dt { "Status" } dd { (of_token(token.status(now))) (marks(token, now)) }
                dt { "Identifier" } dd { (code::copyable("id", token.handle.as_str())) }
                dt { "Token" } dd { (code::copyable("prefix", token.prefix.as_str())) p.hint { "Its secret was shown when it was made, and is stored nowhere." } }
                dt { "Clusters" } dd { (clusters(token)) }
                @if let Some(note) = &token.note { dt { "Note" } dd { (note.as_str()) } }
                dt { "Last used" } dd { (last_used(token, now)) }
                dt { "Expiration" } dd { (expiration(token, now)) @if let Some(end) = token.expires_at { p.hint { (exact(end)) } } }
                dt { "Made" } dd { (relative(token.created_at, now)) }
                dt { "Stands for" } dd {
                    @if is_own { "you" } @else { (code::copyable("holder", &token.created_by.to_string())) }
                }
            }
        }
        @if let Some(dialog) = dialog { (dialog) }
    };
    let head = Head {
        title: token.name.as_str(),
        way: Some(html! { a href=(PAGE) { "Settings / Access Tokens" } " /" }),
        lead: None,
        action: Some(button::open(&page, "delete", "Delete token", "danger")),
    };
    Ok(Frame::of(console, caller, request)
        .await?
        .page(Place::AccessTokens, &head, &content))
}
