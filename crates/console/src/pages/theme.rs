//! `POST /settings/theme`: light, dark, or what the system says. A cookie, and nothing else.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
    web,
};
use remotegpu_edge::{ApiError, FieldError};

use crate::{
    answer::{Answer, see_other},
    console::Console,
    fields::SentForm,
    layout::{THEME_COOKIE, Theme},
    pages::sign_in::own_path,
};

pub(crate) async fn choose(console: web::Data<Console>, _: HttpRequest, sent: SentForm) -> Answer {
    let mut fields = sent.read().await?;
    let (word, to) = (fields.text("theme")?, fields.text("to")?);
    fields.finish()?;
    let chosen = Theme::ALL.into_iter().find(|theme| theme.word() == word);
    let chosen = chosen.ok_or_else(|| {
        ApiError::field(FieldError::new("theme", "must be light, dark or system"))
    })?;
    let mut answer = see_other(own_path(&to).unwrap_or("/"));
    let cookie = Cookie::build(THEME_COOKIE, chosen.word())
        .path("/")
        .http_only(true)
        .secure(console.edge.public_url().is_https())
        .same_site(SameSite::Lax)
        .max_age(Duration::days(365))
        .finish();
    // A word of three, in a cookie that is well-formed.
    let _ = answer.add_cookie(&cookie);
    Ok(answer)
}
