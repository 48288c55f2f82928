//! `/sign-up`, where the operator lets anybody in.

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_accounts::{AccountName, Email, PlainPassword};
use remotegpu_control_plane::{SignInPorts, SignUp, SignUpPorts};
use remotegpu_edge::{ApiError, Client, ErrorCode, FieldError, Visitor, rng};

use super::sign_in::session_cookie;
use crate::{
    answer::{self, Answer},
    console::Console,
    fields::{Fields, SentForm},
    layout::{Frame, refusal_box},
    parts::{button, field::Field},
    refusal::Refusal,
};

const SHOWN: [&str; 3] = ["email", "password", "account_name"];

#[derive(Default)]
struct Draft {
    email: String,
    account_name: String,
}

impl Draft {
    fn read(fields: &mut Fields) -> Result<(Self, String), ApiError> {
        let draft = Self {
            email: fields.text("email")?,
            account_name: fields.text("account_name")?,
        };
        let password = fields.text("password")?;
        fields.finish()?;
        Ok((draft, password))
    }

    fn judge(&self, password: &str) -> Result<SignUp, ApiError> {
        let mut wrong = Vec::new();
        let email = Email::parse(&self.email)
            .map_err(|error| wrong.push(FieldError::from_refusal("email", &error)));
        let password = PlainPassword::parse(password)
            .map_err(|error| wrong.push(FieldError::from_refusal("password", &error)));
        let name = AccountName::parse(&self.account_name)
            .map_err(|error| wrong.push(FieldError::from_refusal("account_name", &error)));
        match (email, password, name) {
            (Ok(email), Ok(password), Ok(account_name)) => Ok(SignUp {
                email,
                password,
                account_name,
            }),
            _ => Err(crate::refusal::refusal_of(wrong)),
        }
    }

    fn render(&self, frame: &Frame<'_>, refusal: Option<&Refusal>) -> Markup {
        frame.card("Sign up", &html! {
            (refusal_box(refusal, &SHOWN))
            form method="post" action="/sign-up" {
                (Field {
                    name: "email", label: "E-mail", kind: "email", value: &self.email,
                    autocomplete: Some("username"), required: true, focus: refusal.is_none(),
                    ..Field::default()
                }.render(refusal))
                (Field {
                    name: "password", label: "Password", kind: "password",
                    autocomplete: Some("new-password"), required: true,
                    hint: Some("12 to 128 characters."), ..Field::default()
                }.render(refusal))
                (Field {
                    name: "account_name", label: "Name of the account", value: &self.account_name,
                    autocomplete: Some("organization"), required: true, max: Some(64),
                    hint: Some("Your team or company; it owns keys and namespaces."),
                    ..Field::default()
                }.render(refusal))
                div.actions { (button::submit("Sign up", "primary")) }
            }
            p { "Signed up already? " a href="/sign-in" { "Sign in" } }
        })
    }
}

pub(crate) async fn show(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    request: HttpRequest,
) -> Answer {
    if visitor.is_some() {
        return Ok(answer::see_other("/kubernetes"));
    }
    let frame = Frame::for_nobody(&console, &request);
    Ok(answer::page(
        &console,
        &request,
        Draft::default().render(&frame, None),
    ))
}

pub(crate) async fn send(
    console: web::Data<Console>,
    client: Client,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let mut fields = sent.read().await?;
    let (draft, password) = Draft::read(&mut fields)?;
    let frame = Frame::for_nobody(&console, &request);
    let refuse = |error: &ApiError| {
        let refusal = Refusal::from(error);
        answer::refused(&console, &refusal, draft.render(&frame, Some(&refusal)))
    };
    let wanted = match draft.judge(&password) {
        Ok(wanted) => wanted,
        Err(error) => return Ok(refuse(&error)),
    };
    let email = wanted.email.as_str().to_owned();
    let ports = SignUpPorts {
        users: &*console.ports.users,
        attempts: &*console.ports.attempts,
        passwords: &console.ports.passwords,
    };
    let (from, now) = (client.origin(), console.now());
    let made = remotegpu_control_plane::sign_up(ports, wanted, from.clone(), &mut rng(), now).await;
    if let Err(error) = made {
        return Ok(refuse(&error.into()));
    }
    let ports = SignInPorts {
        users: &*console.ports.users,
        sessions: &*console.ports.sessions,
        attempts: &*console.ports.attempts,
        passwords: &console.ports.passwords,
        audit: &console.ports.audit,
    };
    let done =
        remotegpu_control_plane::sign_in(ports, &email, &password, from, &mut rng(), now).await;
    // Whoever is made and cannot be signed in at once does it by hand.
    let Ok(signed_in) = done else {
        return Ok(answer::see_other("/sign-in"));
    };
    let mut answer = answer::see_other("/kubernetes");
    let cookie = session_cookie(&console, signed_in.secret.reveal());
    answer
        .add_cookie(&cookie)
        .map_err(|_| ApiError::from(ErrorCode::Internal))?;
    Ok(answer)
}
