//! `/settings/api-keys/{key_id}`: one key.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use remotegpu_control_plane::{
    Caller, Read, Right, RotateApiKeyPorts, UpdateApiKeyError, Write, find_api_key,
};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, PathId, Query, SessionCaller, Visitor, rng};
use remotegpu_keys::{ApiKey, KeyStatus};
use remotegpu_primitives::ApiKeyId;
use time::Duration;

use super::{
    api_keys::{Draft, PAGE, ends, in_words, last_used, marks, names, namespaces},
    shown_key::{self, Forms},
};
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
        status::of_key,
        time::{exact, relative},
    },
    refusal::Refusal,
};

/// What stands in the dialog that is open.
enum Open {
    Nothing,
    Change(Draft),
    /// With the grace that is chosen.
    Rotate(String),
    Revoke,
}

/// For how long an old secret may work on, in seconds.
const GRACES: [(&str, &str); 5] = [
    ("0", "Not at all"),
    ("300", "5 minutes"),
    ("3600", "1 hour"),
    ("28800", "8 hours"),
    ("86400", "1 day"),
];

const DEFAULT_GRACE: &str = "3600";

fn address(id: ApiKeyId) -> String {
    format!("{PAGE}/{id}")
}

async fn find<R: Right>(
    console: &Console,
    caller: &Caller<R>,
    id: PathId<ApiKeyId>,
) -> Result<ApiKey, Stop> {
    let reader = caller.may::<Read>()?;
    let id = id.known().ok_or(ErrorCode::ApiKeyNotFound)?;
    let found = find_api_key(&*console.ports.keys, &reader, id).await?;
    Ok(found.ok_or(ErrorCode::ApiKeyNotFound)?)
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Read>,
    id: PathId<ApiKeyId>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let key = find(&console, &caller, id).await?;
    let open = if query.get("change")?.is_some() {
        // What was typed before a session ended is put back.
        let is_typed = query.get("name")?.is_some();
        let typed = is_typed.then(|| Draft::from_address(request.query_string()));
        Open::Change(typed.unwrap_or_else(|| Draft::of(&key)))
    } else if query.get("rotate")?.is_some() {
        let typed = query.get("grace")?;
        Open::Rotate(typed.map_or_else(|| DEFAULT_GRACE.to_owned(), Into::into))
    } else if query.get("revoke")?.is_some() {
        Open::Revoke
    } else {
        Open::Nothing
    };
    let markup = render(&console, &caller, &request, &key, open, None).await?;
    Ok(answer::page(&console, &request, markup))
}

pub(crate) async fn update(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<ApiKeyId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own.trim_end_matches("/update").to_owned();
    let back = format!("{page}?change=1");
    let mut asked = once::asked::<Write>(&console, visitor, sent, &own, &back).await?;
    let draft = Draft::read(&mut asked.fields)?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let key = find(&console, &caller, id).await?;
    let (ports, id, now) = (&console.ports, key.id, console.now());
    let all = namespaces(&console, &caller).await?;
    let done = asked.once(&console, done_at, async |caller| {
        let change = draft.judge_change(&key, &all, now)?;
        let (keys, signals) = (&*ports.keys, &*ports.signals);
        let mut random = rng();
        let updated = remotegpu_control_plane::update_api_key(
            keys,
            signals,
            caller,
            id,
            &change,
            &mut random,
            now,
        );
        updated.await.map_err(refusal)?;
        Ok(Reply::SeeOther(address(id), Done::KeyChanged))
    });
    let done = done.await;
    shown(&console, done, &caller, &request, &key, Open::Change(draft)).await
}

fn refusal(error: UpdateApiKeyError) -> ApiError {
    match error {
        UpdateApiKeyError::NotFound => ErrorCode::ApiKeyNotFound.into(),
        UpdateApiKeyError::NotActive => ErrorCode::KeyNotActive.into(),
        UpdateApiKeyError::ExpiryNotInFuture => ErrorCode::ExpiryNotInFuture.into(),
        UpdateApiKeyError::ForeignNamespaces(_) => ErrorCode::ForeignNamespace.into(),
        UpdateApiKeyError::Store(error) => error.into(),
    }
}

pub(crate) async fn rotate(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<ApiKeyId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own.trim_end_matches("/rotate").to_owned();
    let back = format!("{page}?rotate=1");
    let mut asked = once::asked::<Write>(&console, visitor, sent, &own, &back).await?;
    let grace = asked.fields.text("grace")?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let key = find(&console, &caller, id).await?;
    let (id, now) = (key.id, console.now());
    let ports = RotateApiKeyPorts {
        keys: &*console.ports.keys,
        signals: &console.ports.signals,
        limits: &console.ports.key_changes,
    };
    let forms = Forms::of(&console, whom(&caller)?, asked.id()).await?;
    let frame = Frame::of(&console, &caller, &request).await?;
    let done = asked.once(&console, shown_key::spent, async |caller| {
        let known = GRACES.iter().find(|(value, _)| *value == grace);
        let grace = known.and_then(|(value, _)| value.parse().ok());
        let grace = grace.ok_or_else(|| {
            ApiError::field(FieldError::new("grace", "must be one of the choices"))
        })?;
        let grace = Duration::seconds(grace);
        let mut random = rng();
        let rotated =
            remotegpu_control_plane::rotate_api_key(ports, caller, id, grace, &mut random, now);
        let markup =
            shown_key::render(&frame, &console, &rotated.await?, &forms, "API key rotated");
        Ok(Reply::Page(markup.into_string()))
    });
    let done = done.await;
    let open = Open::Rotate(grace);
    shown(&console, done, &caller, &request, &key, open).await
}

pub(crate) async fn revoke(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<ApiKeyId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own.trim_end_matches("/revoke").to_owned();
    let back = format!("{page}?revoke=1");
    let asked = once::asked::<Write>(&console, visitor, sent, &own, &back).await?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let key = find(&console, &caller, id).await?;
    let (ports, id, now) = (&console.ports, key.id, console.now());
    let done = asked.once(&console, done_at, async |caller| {
        let (keys, signals) = (&*ports.keys, &*ports.signals);
        let mut random = rng();
        let revoked =
            remotegpu_control_plane::revoke_api_key(keys, signals, caller, id, &mut random, now);
        revoked.await?;
        Ok(Reply::SeeOther(address(id), Done::KeyRevoked))
    });
    let done = done.await;
    shown(&console, done, &caller, &request, &key, Open::Revoke).await
}

async fn shown(
    console: &Console,
    done: Result<HttpResponse, Refusal>,
    caller: &Caller<Read>,
    request: &HttpRequest,
    key: &ApiKey,
    open: Open,
) -> Answer {
    match done {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let markup = render(console, caller, request, key, open, Some(&refusal)).await?;
            Ok(answer::refused(console, &refusal, markup))
        }
    }
}

async fn render(
    console: &Console,
    caller: &Caller<Read>,
    request: &HttpRequest,
    key: &ApiKey,
    open: Open,
    refusal: Option<&Refusal>,
) -> Result<Markup, Stop> {
    let now = console.now();
    let page = address(key.id);
    let namespaces = namespaces(console, caller).await?;
    let is_active = key.status(now) == KeyStatus::Active;
    let may_change = is_active && caller.may::<Write>().is_ok();
    let dialog = match open {
        Open::Change(draft) if may_change => {
            let form = draft.render(&namespaces, true, refusal);
            Some((
                "change",
                "Change API key",
                "update",
                form,
                "Change key",
                "primary",
            ))
        }
        Open::Rotate(grace) if may_change => Some((
            "rotate",
            "Rotate API key",
            "rotate",
            rotate_form(key, &grace, refusal),
            "Rotate key",
            "primary",
        )),
        Open::Revoke if may_change => Some((
            "revoke",
            "Revoke API key",
            "revoke",
            revoke_form(key),
            "Revoke key",
            "danger",
        )),
        _ => None,
    };
    let dialog = match dialog {
        None => None,
        Some((id, title, act, form, verb, kind)) => {
            let own = format!("{page}/{act}");
            let once = once::id_for(console, whom(caller)?, &own).await?;
            Some(dialog::open(
                id,
                title,
                &page,
                &html! {
                    (refusal_box(refusal, &["name", "expires_at", "grace"]))
                    form method="post" action=(own) {
                        (hidden(once::FIELD, &once))
                        (form)
                        @if kind == "danger" {
                            (dialog::careful_actions(&page, &button::submit(verb, kind)))
                        } @else {
                            (dialog::actions(&page, &button::submit(verb, kind)))
                        }
                    }
                },
            ))
        }
    };
    let content = html! {
        @if dialog.is_none() { (refusal_box(refusal, &[])) }
        section id="key" data-live="30" {
            dl.facts {
                dt { "Status" } dd { (of_key(key.status(now))) (marks(key, now)) }
                dt { "Prefix" } dd { (code::copyable("prefix", key.prefix.as_str())) }
                dt { "Scope" } dd { (in_words(&key.scopes, &names(&namespaces))) }
                dt { "Last used" } dd { (last_used(key, now)) }
                dt { "Ends" } dd { (ends(key, now)) @if let Some(end) = key.expires_at { p.hint { (exact(end)) } } }
                @if let Some(at) = key.revoked_at { dt { "Revoked" } dd { (relative(at, now)) } }
                dt { "Made" } dd { (relative(key.created_at, now)) }
                dt { "Identifier" } dd { (code::copyable("id", &key.id.to_string())) }
            }
        }
        @if may_change {
            p { a href=(Draft::like(key, PAGE)) { "Make one like this" } }
        }
        @if let Some(dialog) = dialog { (dialog) }
    };
    let action = may_change.then(|| {
        html! {
            (button::open(&page, "change", "Change", "quiet"))
            (button::open(&page, "rotate", "Rotate key", "quiet"))
            (button::open(&page, "revoke", "Revoke key", "danger"))
        }
    });
    let head = Head {
        title: key.name.as_str(),
        way: Some(html! { a href=(PAGE) { "Settings / API Keys" } " /" }),
        lead: None,
        action,
    };
    Ok(Frame::of(console, caller, request)
        .await?
        .page(Place::ApiKeys, &head, &content))
}

fn rotate_form(key: &ApiKey, grace: &str, refusal: Option<&Refusal>) -> Markup {
    let wrong = refusal.and_then(|refusal| refusal.of("grace", "The time"));
    html! {
        p { strong { (key.name.as_str()) } " gets a new secret, shown once. Name, scope and history stay. \
             What the old secret opened ends when the old secret does." }
        div.field {
            label for="field-grace" { "The old secret works on for" }
            select id="field-grace" name="grace" autofocus[refusal.is_some_and(|refusal| refusal.leads_to("grace"))] aria-invalid=[wrong.as_ref().map(|_| "true")]
                aria-describedby=[wrong.as_ref().map(|_| "grace-error")] {
                @for (value, label) in GRACES {
                    option value=(value) selected[value == grace] { (label) }
                }
            }
            @if let Some(wrong) = wrong { p.error id="grace-error" { (wrong) } }
        }
    }
}

fn revoke_form(key: &ApiKey) -> Markup {
    html! {
        p { "Calls with " strong { (key.name.as_str()) } " fail from now on, and kubectl sessions that it \
             opened lose access within a second. Workloads go on running. This cannot be undone." }
    }
}
