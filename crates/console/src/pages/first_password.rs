//! `/first-password`: a password that was handed out once is replaced (contract A10).

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_accounts::{PasswordChange, SessionContext};
use remotegpu_control_plane::OneTimePassword;
use remotegpu_edge::{SessionCaller, Visitor};

use super::account::{change, password_fields};
use crate::{
    answer::{self, Answer},
    console::Console,
    fields::SentForm,
    layout::{Frame, refusal_box},
    once,
    parts::{button, field::hidden},
    refusal::Refusal,
};

const ADDRESS: &str = "/first-password";

fn render(
    frame: &Frame<'_>,
    context: &SessionContext,
    id: &str,
    refusal: Option<&Refusal>,
) -> Markup {
    frame.card("Choose a password", &html! {
        p { "You have signed in with a password that was made for this once. Choose one of your own; \
             until then nothing else opens." }
        (refusal_box(refusal, &["current", "new"]))
        form method="post" action=(ADDRESS) {
            (hidden(once::FIELD, id))
            (password_fields(context.user.email.as_str(), "One-time password", refusal))
            div.actions { (button::submit("Change password", "primary")) }
        }
    })
}

pub(crate) async fn show(
    console: web::Data<Console>,
    SessionCaller(caller): SessionCaller<OneTimePassword>,
    request: HttpRequest,
) -> Answer {
    if caller.user().password_change == PasswordChange::NotNeeded {
        return Ok(answer::see_other("/settings/account"));
    }
    let id = once::id_for(&console, caller.context(), ADDRESS).await?;
    let frame = Frame::for_nobody(&console, &request);
    Ok(answer::page(
        &console,
        &request,
        render(&frame, caller.context(), &id, None),
    ))
}

pub(crate) async fn send(
    console: web::Data<Console>,
    visitor: Visitor,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let asked = once::asked::<OneTimePassword>(&console, visitor, sent, ADDRESS, ADDRESS).await?;
    let context = asked.caller.context().clone();
    match change(&console, asked, "/kubernetes").await? {
        Ok(answer) => Ok(answer),
        Err(refusal) => {
            let id = once::id_for(&console, &context, ADDRESS).await?;
            let frame = Frame::for_nobody(&console, &request);
            let markup = render(&frame, &context, &id, Some(&refusal));
            Ok(answer::refused(&console, &refusal, markup))
        }
    }
}
