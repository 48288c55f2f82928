//! `/settings/service-users/{service_user_id}`: one machine that manages, and its tokens
//! (contract K15, T8).

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use remotegpu_accounts::{Made, ServiceUser, ServiceUserChange};
use remotegpu_control_plane::{
    Admin, Caller, Person, UpdateServiceUser, delete_service_user, find_service_user, list_made,
    list_service_user_tokens, update_service_user,
};
use remotegpu_edge::{ErrorCode, PathId, Query, ServiceUserId, SessionCaller, Visitor, rng};
use remotegpu_primitives::{PageRequest, ServiceUserTokenId};

use super::{
    member::{change_form, ending, take_over, takes_over},
    members,
    service_user_tokens::{self, TokenDraft},
    service_users::{Draft, address},
};
use crate::{
    answer::{self, Answer, Stop},
    console::Console,
    done::Done,
    fields::SentForm,
    layout::{Frame, Head, Place, refusal_box, whom},
    once::{self, Reply, done_at},
    parts::{button, code, dialog, field::hidden, time::relative},
    refusal::Refusal,
};

/// What stands in the dialog that is open.
pub(super) enum Open {
    Nothing,
    Change(Draft),
    Delete,
    Create(TokenDraft),
    DeleteToken(ServiceUserTokenId),
}

/// What the page shows beside what is stored.
pub(super) struct View<'a> {
    pub(super) open: Open,
    pub(super) refusal: Option<&'a Refusal>,
    pub(super) page: PageRequest,
}

pub(super) async fn find(
    console: &Console,
    caller: &Caller<Person<Admin>>,
    id: PathId<ServiceUserId>,
) -> Result<ServiceUser, Stop> {
    let ServiceUserId(id) = id.known().ok_or(ErrorCode::NotFound)?;
    let found = find_service_user(&*console.ports.service_users, caller, id).await?;
    Ok(found.ok_or(ErrorCode::NotFound)?)
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<ServiceUserId>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let machine = find(&console, &caller, id).await?;
    let open = if query.get("change")?.is_some() {
        let (name, role) = (query.get("name")?, query.get("role")?);
        Open::Change(Draft {
            name: name.map_or_else(|| machine.name.as_str().to_owned(), Into::into),
            role: role.map_or_else(|| machine.role.as_str().to_owned(), Into::into),
        })
    } else if query.get("delete")?.is_some() {
        Open::Delete
    } else if query.get("create")?.is_some() {
        Open::Create(TokenDraft::from_address(&query)?)
    } else {
        let token = query.get("delete-token")?;
        let token = token.and_then(|token| token.parse().ok());
        token.map_or(Open::Nothing, Open::DeleteToken)
    };
    let view = View {
        open,
        refusal: None,
        page: query.page()?,
    };
    let markup = render(&console, &caller, &request, &machine, view).await?;
    Ok(answer::page(&console, &request, markup))
}

pub(crate) async fn update(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<ServiceUserId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let back = format!("{}?change=1", own.trim_end_matches("/update"));
    let mut asked = once::asked::<Person<Admin>>(&console, visitor, sent, &own, &back).await?;
    let draft = Draft::read(&mut asked.fields)?;
    let take_over_keys = takes_over(&mut asked.fields)?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Person<Admin>>()?;
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let machine = find(&console, &caller, id).await?;
    let (ports, service_user_id, now) = (&console.ports, machine.id, console.now());
    let done = asked.once(&console, done_at, async |caller| {
        let (name, role) = draft.judge()?;
        let wanted = UpdateServiceUser {
            service_user_id,
            change: ServiceUserChange {
                name: Some(name),
                role: Some(role),
            },
            take_over_keys,
        };
        let (service_users, signals, mut random) = (&*ports.service_users, &*ports.signals, rng());
        update_service_user(service_users, signals, caller, wanted, &mut random, now).await?;
        let page = address(service_user_id);
        Ok(Reply::SeeOther(page, Done::ServiceUserChanged))
    });
    let done = done.await;
    let open = Open::Change(draft);
    shown(&console, done, &caller, &request, &machine, open).await
}

pub(crate) async fn delete(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<ServiceUserId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let back = format!("{}?delete=1", own.trim_end_matches("/delete"));
    let mut asked = once::asked::<Person<Admin>>(&console, visitor, sent, &own, &back).await?;
    let take_over_keys = takes_over(&mut asked.fields)?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Person<Admin>>()?;
    // What it is about is gone since.
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let machine = find(&console, &caller, id).await?;
    let (ports, wanted, now) = (&console.ports, (machine.id, take_over_keys), console.now());
    let done = asked.once(&console, done_at, async |caller| {
        let (service_users, signals, mut random) = (&*ports.service_users, &*ports.signals, rng());
        delete_service_user(service_users, signals, caller, wanted, &mut random, now).await?;
        let page = members::PAGE.to_owned();
        Ok(Reply::SeeOther(page, Done::ServiceUserDeleted))
    });
    let done = done.await;
    shown(&console, done, &caller, &request, &machine, Open::Delete).await
}

pub(super) async fn shown(
    console: &Console,
    done: Result<HttpResponse, Refusal>,
    caller: &Caller<Person<Admin>>,
    request: &HttpRequest,
    machine: &ServiceUser,
    open: Open,
) -> Answer {
    match done {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let view = View {
                open,
                refusal: Some(&refusal),
                page: PageRequest::default(),
            };
            let markup = render(console, caller, request, machine, view).await?;
            Ok(answer::refused(console, &refusal, markup))
        }
    }
}

/// A dialog: its name, its title, where its form is sent to below the page, which fields say
/// themselves what is wrong with them, the form, and its buttons.
struct Dialog {
    id: &'static str,
    title: &'static str,
    act: String,
    fields: &'static [&'static str],
    form: Markup,
    actions: Markup,
}

async fn dialog_of(
    console: &Console,
    caller: &Caller<Person<Admin>>,
    machine: &ServiceUser,
    view: &View<'_>,
) -> Result<Option<Dialog>, Stop> {
    let (page, refusal) = (address(machine.id), view.refusal);
    let made = async || {
        let (members, now) = (&*console.ports.members, console.now());
        list_made(members, caller, machine.id, now).await
    };
    let primary = |label: &str| dialog::actions(&page, &button::submit(label, "primary"));
    let danger = |label: &str| dialog::careful_actions(&page, &button::submit(label, "danger"));
    Ok(Some(match &view.open {
        Open::Nothing => return Ok(None),
        Open::Change(draft) => Dialog {
            id: "change",
            title: "Change service user",
            act: "update".to_owned(),
            fields: &["name"],
            form: html! {
                (draft.name_field(refusal))
                (change_form(&draft.role, &made().await?, false))
            },
            actions: primary("Change service user"),
        },
        Open::Delete => Dialog {
            id: "delete",
            title: "Delete service user",
            act: "delete".to_owned(),
            fields: &[],
            form: delete_form(machine, &made().await?),
            actions: danger("Delete service user"),
        },
        Open::Create(draft) => Dialog {
            id: "create",
            title: "Create token",
            act: "tokens".to_owned(),
            fields: &["name", "expires_at"],
            form: draft.render(refusal),
            actions: primary("Create token"),
        },
        Open::DeleteToken(token) => {
            let Some(token) =
                service_user_tokens::find(console, caller, machine.id, *token).await?
            else {
                return Ok(None);
            };
            Dialog {
                id: "delete-token",
                title: "Delete token",
                act: format!("tokens/{}/delete", token.id),
                fields: &[],
                form: html! {
                    p { "The next request with " strong { (token.name.as_str()) } " is refused. This cannot be undone." }
                },
                actions: danger("Delete token"),
            }
        }
    }))
}

async fn render(
    console: &Console,
    caller: &Caller<Person<Admin>>,
    request: &HttpRequest,
    machine: &ServiceUser,
    view: View<'_>,
) -> Result<Markup, Stop> {
    let (page, now) = (address(machine.id), console.now());
    let service_users = &*console.ports.service_users;
    let tokens = list_service_user_tokens(service_users, caller, machine.id, view.page).await?;
    let dialog = match dialog_of(console, caller, machine, &view).await? {
        None => None,
        Some(Dialog {
            id,
            title,
            act,
            fields,
            form,
            actions,
        }) => {
            let own = format!("{page}/{act}");
            let once = once::id_for(console, whom(caller)?, &own).await?;
            let content = html! {
                (refusal_box(view.refusal, fields))
                form method="post" action=(own) {
                    (hidden(once::FIELD, &once))
                    (form)
                    (actions)
                }
            };
            Some(dialog::open(id, title, &page, &content))
        }
    };
    let content = html! {
        @if dialog.is_none() { (refusal_box(view.refusal, &[])) }
        dl.facts {
            dt { "Role" } dd { (machine.role.as_str()) }
            dt { "Made" } dd { (relative(machine.created_at, now)) }
            dt { "Identifier" } dd { (code::copyable("id", &machine.id.to_string())) }
        }
        (service_user_tokens::section(&page, &tokens, view.page, now))
        @if let Some(dialog) = dialog { (dialog) }
    };
    let head = Head {
        title: machine.name.as_str(),
        way: Some(html! { a href=(members::PAGE) { "Settings / Members" } " /" }),
        lead: Some("A service user: a machine that manages what its role allows."),
        action: Some(html! {
            (button::open(&page, "change", "Change service user", "quiet"))
            (button::open(&page, "delete", "Delete service user", "danger"))
        }),
    };
    Ok(Frame::of(console, caller, request)
        .await?
        .page(Place::Members, &head, &content))
}

fn delete_form(machine: &ServiceUser, made: &[Made]) -> Markup {
    html! {
        p { "The next request of " strong { (machine.name.as_str()) } " is refused, whatever token it comes \
             with. Namespaces and workloads stay. This cannot be undone." }
        @if !made.is_empty() {
            p { "These end with it:" }
            (ending(made, None))
            (take_over(made, ""))
        }
    }
}
