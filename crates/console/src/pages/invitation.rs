//! `/invitations/{token}`: an invitation is shown (GET, which changes nothing) and accepted
//! (POST). Its forms have the protection of signing in (contract A9, T10).

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use remotegpu_control_plane::{
    AcceptInvitationError, AcceptInvitationPorts, Acceptance, Anyone, Caller, InvitedGuest,
    OneTimePassword, Person, ShownInvitation, SignInPorts, accept_invitation, look_at_invitation,
    sign_in, switch_account,
};
use remotegpu_edge::{ApiError, Client, ErrorCode, Visitor, rng};
use remotegpu_primitives::AccountId;

use super::sign_in::session_cookie;
use crate::{
    answer::{self, Answer, Stop},
    console::Console,
    done::Done,
    fields::SentForm,
    layout::{Frame, SIGN_OUT, refusal_box},
    once,
    parts::{
        button,
        field::{Field, hidden},
        list,
        time::relative,
    },
    refusal::Refusal,
};

/// What the address holds.
fn token(request: &HttpRequest) -> &str {
    request.match_info().get("token").unwrap_or_default()
}

/// What is said of an invitation that is not open, whatever became of it.
fn gone(console: &Console, request: &HttpRequest) -> Stop {
    let refusal = Refusal::from(&ApiError::from(ErrorCode::NotFound));
    let frame = Frame::for_nobody(console, request);
    let markup = frame.card(
        "No open invitation",
        &html! {
            p { "This invitation was accepted, taken back, or has expired. Ask for another." }
            p { a href="/" { "To the first page" } }
        },
    );
    answer::refused(console, &refusal, markup).into()
}

pub(crate) async fn show(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    request: HttpRequest,
) -> Answer {
    let shown = find(&console, &request).await?;
    let markup = render(&console, &request, visitor.as_ref(), &shown, None).await?;
    if is_wrong_person(visitor.as_ref(), &shown) {
        let refusal = Refusal::from(&ApiError::from(ErrorCode::WrongPerson));
        return Ok(answer::refused(&console, &refusal, markup));
    }
    Ok(answer::page(&console, &request, markup))
}

async fn find(console: &Console, request: &HttpRequest) -> Result<ShownInvitation, Stop> {
    let (invitations, users) = (&*console.ports.invitations, &*console.ports.users);
    let shown = look_at_invitation(invitations, users, token(request), console.now()).await?;
    shown.ok_or_else(|| gone(console, request))
}

fn is_wrong_person(visitor: Option<&Caller<OneTimePassword>>, shown: &ShownInvitation) -> bool {
    visitor.is_some_and(|caller| caller.user().email != shown.invitation.email)
}

async fn render(
    console: &Console,
    request: &HttpRequest,
    visitor: Option<&Caller<OneTimePassword>>,
    shown: &ShownInvitation,
    refusal: Option<&Refusal>,
) -> Result<Markup, Stop> {
    let (invitation, now) = (&shown.invitation, console.now());
    let (account, email) = (shown.account.name.as_str(), invitation.email.as_str());
    let path = request.path();
    let join = format!("Join {account}");
    let way = match visitor {
        Some(caller) if is_wrong_person(visitor, shown) => {
            let sign_out = once::id_for(console, caller.context(), SIGN_OUT).await?;
            html! {
                div.callout.danger role="alert" {
                    "The invitation is for somebody else: you are signed in as "
                    strong { (caller.user().email.as_str()) } "."
                }
                p { "Sign out, and open the link again as " strong { (email) } "." }
                form method="post" action=(SIGN_OUT) {
                    (hidden(once::FIELD, &sign_out))
                    div.actions { (button::submit("Sign out", "primary")) }
                }
            }
        }
        Some(_) => html! {
            form method="post" action=(path) {
                div.actions { (button::submit(&join, "primary")) }
            }
        },
        None => match shown.guest {
            InvitedGuest::SignsIn => html! {
                p { "Sign in as " strong { (email) } " to accept it." }
                div.actions {
                    a.button.primary href=(list::address("/sign-in", &[("next", path)])) { "Sign in" }
                }
            },
            InvitedGuest::HasPassword => password_form(path, email, &join, false, refusal),
            InvitedGuest::IsNew => password_form(path, email, &join, true, refusal),
        },
    };
    let frame = Frame::for_nobody(console, request);
    Ok(frame.card(
        "You are invited",
        &html! {
            (refusal_box(refusal, &["password"]))
            p { strong { (account) } " invites " strong { (email) } " with the role "
                strong { (invitation.role.as_str()) } ". The invitation ends "
                (relative(invitation.expires_at, now)) "." }
            (way)
        },
    ))
}

/// A password of one's own, or the one that is there.
fn password_form(
    path: &str,
    email: &str,
    join: &str,
    is_new: bool,
    refusal: Option<&Refusal>,
) -> Markup {
    let (autocomplete, hint) = if is_new {
        ("new-password", "Choose one: 12 to 128 characters.")
    } else {
        ("current-password", "The one that you have.")
    };
    html! {
        form method="post" action=(path) {
            // For password managers; without a name it is not sent.
            input type="text" autocomplete="username" value=(email) hidden;
            (Field {
                name: "password", label: "Password", kind: "password", required: true,
                autocomplete: Some(autocomplete), hint: Some(hint), focus: true,
                ..Field::default()
            }.render(refusal))
            div.actions { (button::submit(join, "primary")) }
        }
    }
}

pub(crate) async fn accept(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    client: Client,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let shown = find(&console, &request).await?;
    let mut fields = sent.read().await?;
    let password = fields.text("password")?;
    fields.finish()?;
    let person = match &visitor {
        Some(caller) => Some(caller.may::<Person<Anyone>>()?),
        None => None,
    };
    let ports = AcceptInvitationPorts {
        invitations: &*console.ports.invitations,
        users: &*console.ports.users,
        attempts: &*console.ports.attempts,
        passwords: &console.ports.passwords,
    };
    let given = Acceptance {
        secret: token(&request),
        password: (!password.is_empty()).then_some(password.as_str()),
    };
    let (from, now) = (client.origin(), console.now());
    let accepted = accept_invitation(ports, person.as_ref(), given, from, &mut rng(), now).await;
    match accepted {
        Ok((account, _)) => match &person {
            Some(caller) => joined(&console, caller, account.id).await,
            None => welcome(&console, &client, &shown, &password).await,
        },
        Err(AcceptInvitationError::NotFound) => Err(gone(&console, &request)),
        Err(error) => {
            let refusal = Refusal::from(&ApiError::from(error));
            let markup =
                render(&console, &request, visitor.as_ref(), &shown, Some(&refusal)).await?;
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

fn told(console: &Console) -> HttpResponse {
    let mut answer = answer::see_other("/kubernetes");
    Done::InvitationAccepted.tell(console, &mut answer);
    answer
}

/// The session goes over to the account.
async fn joined(console: &Console, caller: &Caller<Person<Anyone>>, account: AccountId) -> Answer {
    let (sessions, users) = (&*console.ports.sessions, &*console.ports.users);
    let (mut random, now) = (rng(), console.now());
    switch_account(sessions, users, caller, account, &mut random, now).await?;
    Ok(told(console))
}

/// Whoever has just shown a password is signed in by it.
async fn welcome(
    console: &Console,
    client: &Client,
    shown: &ShownInvitation,
    password: &str,
) -> Answer {
    let ports = SignInPorts {
        users: &*console.ports.users,
        sessions: &*console.ports.sessions,
        attempts: &*console.ports.attempts,
        passwords: &console.ports.passwords,
        audit: &console.ports.audit,
    };
    let (email, now) = (shown.invitation.email.as_str(), console.now());
    let done = sign_in(ports, email, password, client.origin(), &mut rng(), now).await;
    // Whoever cannot be signed in at once does it by hand.
    let Ok(signed_in) = done else {
        return Ok(answer::see_other("/sign-in"));
    };
    let mut answer = told(console);
    let cookie = session_cookie(console, signed_in.secret.reveal());
    answer
        .add_cookie(&cookie)
        .map_err(|_| ApiError::from(ErrorCode::Internal))?;
    Ok(answer)
}
