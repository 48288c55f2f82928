//! `/settings/account`: one's password, and where one is signed in.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use remotegpu_accounts::{OpenedSession, PlainPassword};
use remotegpu_control_plane::{Anyone, Caller, ChangePasswordPorts, OneTimePassword, Person};
use remotegpu_edge::{ApiError, FieldError, PathId, SessionCaller, Visitor, rng};
use remotegpu_primitives::{SessionId, is_unfit_in_a_name};

use crate::{
    answer::{self, Answer, Stop},
    console::Console,
    done::Done,
    fields::SentForm,
    layout::{Frame, Head, Place, refusal_box, whom},
    once::{self, Asked, Reply, done_at},
    parts::{
        button,
        field::{Field, hidden},
        list::{cell, table},
        time::relative,
    },
    refusal::Refusal,
};

const PAGE: &str = "/settings/account";
const PASSWORD: &str = "/settings/account/password";
const OTHERS: &str = "/settings/account/end-others";

/// The fields of a change of one's password.
pub(crate) fn password_fields(email: &str, current: &str, refusal: Option<&Refusal>) -> Markup {
    html! {
        // For password managers; without a name it is not sent.
        input type="text" autocomplete="username" value=(email) hidden;
        (Field {
            name: "current", label: current, kind: "password", required: true,
            autocomplete: Some("current-password"), ..Field::default()
        }.render(refusal))
        (Field {
            name: "new", label: "New password", kind: "password", required: true,
            autocomplete: Some("new-password"), hint: Some("12 to 128 characters."),
            ..Field::default()
        }.render(refusal))
    }
}

/// Changes the password that a form asks to change.
pub(crate) async fn change(
    console: &Console,
    mut asked: Asked<OneTimePassword>,
    then: &str,
) -> Result<Result<HttpResponse, Refusal>, ApiError> {
    let (current, new) = (asked.fields.text("current")?, asked.fields.text("new")?);
    asked.fields.finish()?;
    let new = match PlainPassword::parse(&new) {
        Ok(new) => new,
        Err(error) => {
            let error = ApiError::field(FieldError::from_refusal("new", &error));
            return Ok(Err(Refusal::from(&error)));
        }
    };
    let ports = ChangePasswordPorts {
        users: &*console.ports.users,
        attempts: &*console.ports.attempts,
        passwords: &console.ports.passwords,
        audit: &console.ports.audit,
    };
    let now = console.now();
    let done = asked.once(console, done_at, async |caller| {
        let mut random = rng();
        let changed = remotegpu_control_plane::change_password(
            ports,
            caller,
            &current,
            new,
            &mut random,
            now,
        );
        changed.await?;
        Ok(Reply::SeeOther(then.to_owned(), Done::PasswordChanged))
    });
    Ok(done.await.map_err(|mut refusal| {
        if refusal.code == Some(remotegpu_edge::ErrorCode::WrongCredentials) {
            let sentence = "This is not your current password";
            sentence.clone_into(&mut refusal.sentence);
            refusal.fields = vec![FieldError::new("current", sentence)];
        }
        refusal
    }))
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<Person<Anyone>>,
    request: HttpRequest,
) -> Answer {
    let markup = render(&console, &caller, &request, None).await?;
    Ok(answer::page(&console, &request, markup))
}

async fn render<R: remotegpu_control_plane::Right>(
    console: &Console,
    caller: &Caller<R>,
    request: &HttpRequest,
    refusal: Option<&Refusal>,
) -> Result<Markup, Stop> {
    let (sessions, policy, now) = (
        &*console.ports.sessions,
        console.edge.session_policy(),
        console.now(),
    );
    let person = caller.may()?;
    let all = remotegpu_control_plane::list_sessions(sessions, &person, policy, now).await?;
    let session = whom(caller)?;
    let own = session.session.id;
    let (password, others) = (
        once::id_for(console, session, PASSWORD).await?,
        once::id_for(console, session, OTHERS).await?,
    );
    let mut rows = Vec::with_capacity(all.len());
    for opened in &all {
        let address = ending(opened.session.id);
        let id = once::id_for(console, session, &address).await?;
        rows.push((opened, address, id));
    }
    let content = html! {
        section aria-labelledby="who" {
            h2 id="who" { "You" }
            dl.facts {
                dt { "E-mail" } dd { (session.user.email.as_str()) }
                dt { "Account" } dd { (session.account.name.as_str()) }
                dt { "Role" } dd { (session.role.as_str()) }
            }
        }
        section aria-labelledby="password" {
            h2 id="password" { "Password" }
            (refusal_box(refusal, &["current", "new"]))
            form.narrow method="post" action=(PASSWORD) {
                (hidden(once::FIELD, &password))
                (password_fields(session.user.email.as_str(), "Current password", refusal))
                p.hint { "All your other sessions end with it." }
                div.actions { (button::submit("Change password", "primary")) }
            }
        }
        section aria-labelledby="sessions" {
            div.row {
                h2 id="sessions" { "Sessions" span.count { (all.len()) } }
                @if all.len() > 1 {
                    form.inline method="post" action=(OTHERS) {
                        (hidden(once::FIELD, &others))
                        (button::submit("End all other sessions", "danger"))
                    }
                }
            }
            (table("Your sessions", &["Browser", "Address", "Signed in", "Last use", ""], &html! {
                @for (opened, address, id) in &rows {
                    tr role="row" {
                        (cell("Browser", &html! {
                            (browser(opened))
                            @if opened.session.id == own { " " span.tag { "this one" } }
                        }))
                        (cell("Address", &html! {
                            @match opened.ip { Some(ip) => code { (ip) }, None => "unknown" }
                        }))
                        (cell("Signed in", &relative(opened.session.created_at, now)))
                        (cell("Last use", &relative(opened.session.last_seen_at, now)))
                        (cell("", &html! {
                            @if opened.session.id != own {
                                form.inline method="post" action=(address) {
                                    (hidden(once::FIELD, id))
                                    (button::submit("End session", "quiet"))
                                }
                            }
                        }))
                    }
                }
            }))
        }
    };
    let head = Head {
        title: "Settings / Account",
        way: None,
        lead: Some("Your password, and where you are signed in."),
        action: None,
    };
    Ok(Frame::of(console, caller, request)
        .await?
        .page(Place::Account, &head, &content))
}

fn ending(id: SessionId) -> String {
    format!("/settings/sessions/{id}/end")
}

/// What a program called itself, without what would turn or break a line (contract H7).
fn browser(opened: &OpenedSession) -> String {
    let told = opened.user_agent.as_deref().unwrap_or("unknown");
    let fit: String = told.chars().filter(|c| !is_unfit_in_a_name(*c)).collect();
    let known = [
        ("Edg/", "Edge"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
        ("remotegpu/", "remotegpu"),
    ];
    let system = ["Windows", "Mac OS X", "Android", "iPhone", "Linux"]
        .into_iter()
        .find(|name| fit.contains(name));
    match (
        known.into_iter().find(|(mark, _)| fit.contains(mark)),
        system,
    ) {
        (Some((_, name)), Some(system)) => format!("{name} on {system}"),
        (Some((_, name)), None) => name.to_owned(),
        (None, _) => fit.chars().take(60).collect(),
    }
}

pub(crate) async fn change_password(
    console: web::Data<Console>,
    visitor: Visitor,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let asked = once::asked::<OneTimePassword>(&console, visitor, sent, PASSWORD, PAGE).await?;
    let caller = asked.caller.may::<OneTimePassword>()?;
    match change(&console, asked, PAGE).await? {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let markup = render(&console, &caller, &request, Some(&refusal)).await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

pub(crate) async fn end_others(
    console: web::Data<Console>,
    visitor: Visitor,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let asked = once::asked::<Person<Anyone>>(&console, visitor, sent, OTHERS, PAGE).await?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<OneTimePassword>()?;
    let (sessions, now) = (&*console.ports.sessions, console.now());
    let done = asked.once(&console, done_at, async |caller| {
        remotegpu_control_plane::end_other_sessions(sessions, caller, &mut rng(), now).await?;
        Ok(Reply::SeeOther(PAGE.to_owned(), Done::SessionsEnded))
    });
    shown(&console, done.await, &caller, &request).await
}

pub(crate) async fn end_session(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<SessionId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let address = request.path().to_owned();
    let asked = once::asked::<Person<Anyone>>(&console, visitor, sent, &address, PAGE).await?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<OneTimePassword>()?;
    let (sessions, now) = (&*console.ports.sessions, console.now());
    let done = asked.once(&console, done_at, async |caller| {
        if let Some(id) = id.known() {
            // One that has ended meanwhile is what was wanted.
            remotegpu_control_plane::end_session(sessions, caller, id, &mut rng(), now).await?;
        }
        Ok(Reply::SeeOther(PAGE.to_owned(), Done::SessionEnded))
    });
    shown(&console, done.await, &caller, &request).await
}

async fn shown(
    console: &Console,
    done: Result<HttpResponse, Refusal>,
    caller: &Caller<OneTimePassword>,
    request: &HttpRequest,
) -> Answer {
    match done {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let markup = render(console, caller, request, Some(&refusal)).await?;
            Ok(answer::refused(console, &refusal, markup))
        }
    }
}
