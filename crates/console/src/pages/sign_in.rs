//! `/sign-in`, `/sign-out`.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite},
    http::{StatusCode, header},
    web,
};
use maud::{Markup, html};
use remotegpu_accounts::PasswordChange;
use remotegpu_control_plane::{SignInPorts, SignedIn};
use remotegpu_edge::{ApiError, Client, ErrorCode, Query, Visitor, cookie_name, rng};
use url::form_urlencoded;

use crate::{
    answer::{self, Answer},
    console::Console,
    fields::{Fields, SentForm},
    layout::{Frame, SIGN_OUT, refusal_box},
    once,
    parts::{
        button,
        field::{Field, hidden},
    },
    refusal::Refusal,
};

/// What was typed into a form whose session has ended; it is put back after signing in, for
/// the same person and account alone, and never sent by itself (contract H3).
#[derive(Default)]
struct Carried {
    form: String,
    address: String,
    typed: String,
}

/// What a sign-in page says to whoever sent a form after their session had ended.
pub(crate) const INTERRUPTED: &str = "Your session has ended. Nothing was done";

/// How much of what was typed goes with an address.
const CARRIED: usize = 4000;

#[derive(Default)]
struct Draft {
    email: String,
    next: String,
    carried: Carried,
    /// Why one is here.
    told: String,
}

impl Draft {
    fn read(fields: &mut Fields) -> Result<(Self, String), ApiError> {
        let draft = Self {
            told: String::new(),
            email: fields.text("email")?,
            next: fields.text("next")?,
            carried: Carried {
                form: fields.text("carried_form")?,
                address: fields.text("carried_address")?,
                typed: fields.text("carried")?,
            },
        };
        let password = fields.text("password")?;
        fields.finish()?;
        Ok((draft, password))
    }

    fn render(&self, frame: &Frame<'_>, sign_up_open: bool, refusal: Option<&Refusal>) -> Markup {
        frame.card("Sign in", &html! {
            (refusal_box(refusal, &[]))
            @if !self.told.is_empty() && refusal.is_none() {
                div.callout role="status" {
                    (self.told)
                    @if !self.carried.typed.is_empty() { "; what you typed comes back after you sign in" }
                    "."
                }
            }
            form method="post" action="/sign-in" {
                (hidden("next", &self.next))
                @if !self.carried.form.is_empty() {
                    (hidden("carried_form", &self.carried.form))
                    (hidden("carried_address", &self.carried.address))
                    (hidden("carried", &self.carried.typed))
                }
                (Field {
                    name: "email", label: "E-mail", kind: "email", value: &self.email,
                    autocomplete: Some("username"), required: true,
                    focus: self.email.is_empty(), ..Field::default()
                }.render(refusal))
                (Field {
                    name: "password", label: "Password", kind: "password",
                    autocomplete: Some("current-password"), required: true,
                    focus: !self.email.is_empty(), ..Field::default()
                }.render(refusal))
                div.actions { (button::submit("Sign in", "primary")) }
            }
            @if sign_up_open {
                p { "No account yet? " a href="/sign-up" { "Sign up" } }
            }
        })
    }
}

pub(crate) async fn show(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let next = query.get("next")?.unwrap_or_default().into_owned();
    if visitor.is_some() {
        return Ok(answer::see_other(own_path(&next).unwrap_or("/kubernetes")));
    }
    let draft = Draft {
        next,
        ..Draft::default()
    };
    let frame = Frame::for_nobody(&console, &request);
    let markup = draft.render(&frame, console.config.sign_up_open, None);
    Ok(answer::page(&console, &request, markup))
}

pub(crate) async fn send(
    console: web::Data<Console>,
    client: Client,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let mut fields = sent.read().await?;
    let (draft, password) = Draft::read(&mut fields)?;
    let ports = SignInPorts {
        users: &*console.ports.users,
        sessions: &*console.ports.sessions,
        attempts: &*console.ports.attempts,
        passwords: &console.ports.passwords,
        audit: &console.ports.audit,
    };
    let (from, now) = (client.origin(), console.now());
    let email = &draft.email;
    let done =
        remotegpu_control_plane::sign_in(ports, email, &password, from, &mut rng(), now).await;
    match done {
        Ok(signed_in) => welcome(&console, &draft, &signed_in).await,
        Err(error) => {
            let refusal = Refusal::from(&ApiError::from(error));
            if refusal.status.is_server_error() && refusal.status != StatusCode::SERVICE_UNAVAILABLE
            {
                return Err(ErrorCode::Internal.into());
            }
            let frame = Frame::for_nobody(&console, &request);
            let markup = draft.render(&frame, console.config.sign_up_open, Some(&refusal));
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}

async fn welcome(console: &Console, draft: &Draft, signed_in: &SignedIn) -> Answer {
    let context = &signed_in.context;
    let mut to = own_path(&draft.next).unwrap_or("/kubernetes").to_owned();
    if context.user.password_change != PasswordChange::NotNeeded {
        "/first-password".clone_into(&mut to);
    } else if !draft.carried.form.is_empty() {
        let Carried {
            form,
            address,
            typed,
        } = &draft.carried;
        if once::is_of(console, form, context, address).await? {
            let typed = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(form_urlencoded::parse(typed.as_bytes()))
                .finish();
            let glue = if to.contains('?') { '&' } else { '?' };
            if typed.len() <= CARRIED {
                to = format!("{to}{glue}{typed}");
            }
        }
    }
    let mut answer = answer::see_other(&to);
    let cookie = session_cookie(console, signed_in.secret.reveal());
    answer
        .add_cookie(&cookie)
        .map_err(|_| ApiError::from(ErrorCode::Internal))?;
    Ok(answer)
}

/// The sign-in page for whoever sent a form without a session that counts: 401, with what
/// they typed (contract H3). `page` is where the form stands, `address` where it was sent.
pub(crate) fn interrupted(
    console: &Console,
    fields: &Fields,
    page: &str,
    address: &str,
    sentence: &str,
    is_fragment: bool,
) -> HttpResponse {
    let mut fields = fields.clone();
    let form = fields
        .all(once::FIELD)
        .into_iter()
        .next()
        .unwrap_or_default();
    let draft = Draft {
        email: String::new(),
        next: page.to_owned(),
        carried: Carried {
            form,
            address: address.to_owned(),
            typed: fields.encoded(),
        },
        told: sentence.to_owned(),
    };
    let refusal = Refusal::from(&ApiError::from(ErrorCode::InvalidAccessToken));
    let markup = draft.render(&Frame::bare(console), console.config.sign_up_open, None);
    let mut answer = answer::refused(console, &refusal, markup);
    if is_fragment {
        let name = header::HeaderName::from_static("hx-redirect");
        let way = header::HeaderValue::from_static("/sign-in");
        answer.headers_mut().insert(name, way);
    }
    answer
}

pub(crate) async fn sign_out(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    sent: SentForm,
) -> Answer {
    let Some(caller) = visitor else {
        let nothing = Fields::default();
        let is_fragment = sent.is_fragment;
        let told = "Your session has ended";
        return Ok(interrupted(
            &console,
            &nothing,
            "/",
            SIGN_OUT,
            told,
            is_fragment,
        ));
    };
    let mut fields = sent.read().await?;
    let form = fields.text(once::FIELD)?;
    fields.finish()?;
    once::check(&console, &form, caller.context(), SIGN_OUT).await?;
    let sessions = &*console.ports.sessions;
    let caller = caller.may()?;
    let now = console.now();
    remotegpu_control_plane::sign_out(sessions, &caller, &mut rng(), now).await?;
    let mut answer = answer::see_other("/sign-in");
    let mut gone = session_cookie(&console, "");
    gone.make_removal();
    // Well-formed, as the other one is.
    let _ = answer.add_cookie(&gone);
    Ok(answer)
}

/// The session cookie (contract A7). It has no end of its own: the server knows.
pub(crate) fn session_cookie(console: &Console, value: &str) -> Cookie<'static> {
    let https = console.edge.public_url().is_https();
    Cookie::build(cookie_name(https), value.to_owned())
        .path("/")
        .http_only(true)
        .secure(https)
        .same_site(SameSite::Lax)
        .finish()
}

/// A path of this very site, and nothing that a browser might take for another.
pub(crate) fn own_path(text: &str) -> Option<&str> {
    let odd = |c: char| c.is_control() || c == '\\' || !c.is_ascii();
    let fits = text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= 2000
        && !text.chars().any(odd)
        && !text.starts_with("/sign-");
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_led_back_to_this_site_alone() {
        // H2
        for own in ["/", "/kubernetes?create=1", "/settings/api-keys/x"] {
            assert_eq!(own_path(own), Some(own));
        }
        for other in [
            "",
            "https://evil.org",
            "//evil.org",
            "/\\evil.org",
            "\\\\evil.org",
            "kubernetes",
            "/\n/evil.org",
            "/sign-in?next=/",
            "javascript:alert(1)",
        ] {
            assert_eq!(own_path(other), None, "{other}");
        }
    }
}
