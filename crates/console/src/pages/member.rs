//! `/settings/members/{user_id}`: one member, and what becomes of them.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use remotegpu_accounts::{Made, MadeKind, Member, Role};
use remotegpu_control_plane::{
    Admin, Anyone, Caller, NewRole, Person, Read, Right, change_member_role, find_member,
    leave_account, list_made, list_own_made, remove_member,
};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, PathId, Query, SessionCaller, Visitor, rng};
use remotegpu_primitives::UserId;

use super::members::{PAGE, address, role_cards};
use crate::{
    answer::{self, Answer, Stop},
    console::Console,
    done::Done,
    fields::{Fields, SentForm},
    layout::{Frame, Head, Place, refusal_box, whom},
    once::{self, Reply, done_at},
    parts::{button, code, dialog, field::hidden, time::relative},
    refusal::Refusal,
};

/// What stands in the dialog that is open.
enum Open {
    Nothing,
    /// With the role that is chosen.
    Change(String),
    Remove,
    Leave,
}

async fn find<R: Right>(
    console: &Console,
    caller: &Caller<R>,
    id: PathId<UserId>,
) -> Result<Member, Stop> {
    let reader = caller.may::<Person<Read>>()?;
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let found = find_member(&*console.ports.members, &reader, id).await?;
    Ok(found.ok_or(ErrorCode::NotFound)?)
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Read>,
    id: PathId<UserId>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let member = find(&console, &caller, id).await?;
    let open = if query.get("change")?.is_some() {
        let role = query.get("role")?;
        Open::Change(role.map_or_else(|| member.role.as_str().to_owned(), Into::into))
    } else if query.get("remove")?.is_some() {
        Open::Remove
    } else if query.get("leave")?.is_some() {
        Open::Leave
    } else {
        Open::Nothing
    };
    let markup = render(&console, &caller, &request, &member, open, None).await?;
    Ok(answer::page(&console, &request, markup))
}

/// Whether the box was ticked by which whoever sent the form takes keys over.
pub(super) fn takes_over(fields: &mut Fields) -> Result<bool, ApiError> {
    Ok(!fields.text("take_over_keys")?.is_empty())
}

pub(crate) async fn change_role(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<UserId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own.trim_end_matches("/role").to_owned();
    let back = format!("{page}?change=1");
    let mut asked = once::asked::<Person<Admin>>(&console, visitor, sent, &own, &back).await?;
    let role = asked.fields.text("role")?;
    let take_over_keys = takes_over(&mut asked.fields)?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let member = find(&console, &caller, id).await?;
    let (ports, user_id, now) = (&console.ports, member.user_id, console.now());
    let done = asked.once(&console, done_at, async |caller| {
        let known = role.parse::<Role>();
        let known =
            known.map_err(|error| ApiError::field(FieldError::from_refusal("role", &error)))?;
        let wanted = NewRole {
            user_id,
            role: known,
            take_over_keys,
        };
        let (members, signals, mut random) = (&*ports.members, &*ports.signals, rng());
        change_member_role(members, signals, caller, wanted, &mut random, now).await?;
        Ok(Reply::SeeOther(address(user_id), Done::RoleChanged))
    });
    let (done, open) = (done.await, Open::Change(role.clone()));
    shown(&console, done, &caller, &request, &member, open).await
}

pub(crate) async fn remove(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<UserId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own.trim_end_matches("/remove").to_owned();
    let back = format!("{page}?remove=1");
    let mut asked = once::asked::<Person<Admin>>(&console, visitor, sent, &own, &back).await?;
    let take_over_keys = takes_over(&mut asked.fields)?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Read>()?;
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let member = find(&console, &caller, id).await?;
    let (ports, wanted, now) = (
        &console.ports,
        (member.user_id, take_over_keys),
        console.now(),
    );
    let done = asked.once(&console, done_at, async |caller| {
        let (members, signals, mut random) = (&*ports.members, &*ports.signals, rng());
        remove_member(members, signals, caller, wanted, &mut random, now).await?;
        Ok(Reply::SeeOther(PAGE.to_owned(), Done::MemberRemoved))
    });
    let done = done.await;
    shown(&console, done, &caller, &request, &member, Open::Remove).await
}

pub(crate) async fn leave(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<UserId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let page = own.trim_end_matches("/leave").to_owned();
    let back = format!("{page}?leave=1");
    let asked = once::asked::<Person<Anyone>>(&console, visitor, sent, &own, &back).await?;
    asked.fields.finish()?;
    if id.known() != Some(asked.caller.id()) {
        return Err(ErrorCode::NotFound.into());
    }
    let caller = asked.caller.may::<Read>()?;
    let found = find_member(&*console.ports.members, &caller.may()?, caller.id()).await?;
    let member = found.ok_or(ErrorCode::NotFound)?;
    let (ports, now) = (&console.ports, console.now());
    let done = asked.once(&console, done_at, async |caller| {
        let (members, signals, mut random) = (&*ports.members, &*ports.signals, rng());
        leave_account(members, signals, caller, &mut random, now).await?;
        // The session has ended with the membership.
        Ok(Reply::SeeOther("/sign-in".to_owned(), Done::AccountLeft))
    });
    let done = done.await;
    shown(&console, done, &caller, &request, &member, Open::Leave).await
}

async fn shown(
    console: &Console,
    done: Result<HttpResponse, Refusal>,
    caller: &Caller<Read>,
    request: &HttpRequest,
    member: &Member,
    open: Open,
) -> Answer {
    match done {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let markup = render(console, caller, request, member, open, Some(&refusal)).await?;
            Ok(answer::refused(console, &refusal, markup))
        }
    }
}

async fn render(
    console: &Console,
    caller: &Caller<Read>,
    request: &HttpRequest,
    member: &Member,
    open: Open,
    refusal: Option<&Refusal>,
) -> Result<Markup, Stop> {
    let (page, now) = (address(member.user_id), console.now());
    let is_own = member.user_id == caller.id();
    let members = &*console.ports.members;
    let admin = caller.may::<Person<Admin>>().ok();
    let made = if let Some(admin) = &admin {
        list_made(members, admin, member.user_id, now).await?
    } else if is_own {
        list_own_made(members, &caller.may()?, now).await?
    } else {
        Vec::new()
    };
    let dialog = match open {
        Open::Change(role) if admin.is_some() => Some((
            "change",
            "Change role",
            "role",
            change_form(&role, &made, is_own),
            button::submit("Change role", "primary"),
        )),
        Open::Remove if admin.is_some() && !is_own => Some((
            "remove",
            "Remove member",
            "remove",
            remove_form(member, &made),
            button::submit("Remove member", "danger"),
        )),
        Open::Leave if is_own => Some((
            "leave",
            "Leave account",
            "leave",
            leave_form(caller.account().name.as_str(), &made),
            button::submit("Leave account", "danger"),
        )),
        _ => None,
    };
    let dialog = match dialog {
        None => None,
        Some((id, title, act, form, submit)) => {
            let own = format!("{page}/{act}");
            let once = once::id_for(console, whom(caller)?, &own).await?;
            Some(dialog::open(
                id,
                title,
                &page,
                &html! {
                    (refusal_box(refusal, &[]))
                    form method="post" action=(own) {
                        (hidden(once::FIELD, &once))
                        (form)
                        (dialog::careful_actions(&page, &submit))
                    }
                },
            ))
        }
    };
    let content = html! {
        @if dialog.is_none() { (refusal_box(refusal, &[])) }
        dl.facts {
            dt { "Role" } dd { (member.role.as_str()) }
            dt { "Joined" } dd { (relative(member.joined_at, now)) }
            dt { "Identifier" } dd { (code::copyable("id", &member.user_id.to_string())) }
        }
        @if let Some(dialog) = dialog { (dialog) }
    };
    let action = (admin.is_some() || is_own).then(|| {
        html! {
            @if admin.is_some() { (button::open(&page, "change", "Change role", "quiet")) }
            @if is_own {
                (button::open(&page, "leave", "Leave account", "danger"))
            } @else {
                (button::open(&page, "remove", "Remove member", "danger"))
            }
        }
    });
    let head = Head {
        title: member.email.as_str(),
        way: Some(html! { a href=(PAGE) { "Settings / Members" } " /" }),
        lead: None,
        action,
    };
    Ok(Frame::of(console, caller, request)
        .await?
        .page(Place::Members, &head, &content))
}

/// What ends, by kind and name; nothing where nothing does.
pub(super) fn ending(made: &[Made], role: Option<Role>) -> Markup {
    let ends = || made.iter().filter(|made| made.kind.ends_with(role));
    html! {
        @if ends().next().is_some() {
            ul { @for made in ends() { li { (in_words(made.kind)) " " strong { (made.name) } } } }
        }
    }
}

fn in_words(kind: MadeKind) -> &'static str {
    match kind {
        MadeKind::ApiKey => "API key",
        MadeKind::KubeconfigToken => "Kubeconfig with a token for",
        MadeKind::AccessToken => "Access token",
        MadeKind::Invitation => "Invitation of",
    }
}

pub(super) fn take_over(made: &[Made], when: &str) -> Markup {
    html! {
        @if made.iter().any(|made| made.kind == MadeKind::ApiKey) {
            label.tick for="take-over-keys" {
                input id="take-over-keys" type="checkbox" name="take_over_keys" value="1";
                " Take over the API keys" (when) ": they go on working, and you answer for them"
            }
        }
    }
}

pub(super) fn change_form(role: &str, made: &[Made], is_own: bool) -> Markup {
    html! {
        (role_cards(role))
        p { "It holds with their next request, everywhere." }
        @if made.iter().any(|made| made.kind.ends_with(Some(Role::Read))) {
            p { "With the role read these end, with what they opened in the clusters:" }
            (ending(made, Some(Role::Read)))
            @if !is_own { (take_over(made, " that would end")) }
        }
    }
}

fn remove_form(member: &Member, made: &[Made]) -> Markup {
    html! {
        p { strong { (member.email.as_str()) } " is out of this account at once: signed out of it, and of its \
             clusters within seconds. Namespaces and workloads stay. They can be invited again." }
        @if !made.is_empty() {
            p { "These end with it:" }
            (ending(made, None))
            (take_over(made, ""))
        }
    }
}

fn leave_form(account: &str, made: &[Made]) -> Markup {
    html! {
        p { "You are out of " strong { (account) } " at once, and signed out. Somebody has to invite you to \
             come back." }
        @if !made.is_empty() {
            p { "What you made ends with it:" }
            (ending(made, None))
        }
    }
}
