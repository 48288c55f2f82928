//! A key's secret, shown once: in the answer to the form that made it (contract H5).

use actix_web::{HttpResponse, http::header, web};
use maud::{Markup, html};
use remotegpu_accounts::SessionContext;
use remotegpu_control_plane::IssuedApiKey;
use remotegpu_edge::{ApiError, ErrorCode, Visitor};
use remotegpu_keys::PlainApiKey;
use time::OffsetDateTime;

use super::{api_keys::PAGE, sign_in};
use crate::{
    answer::{Answer, see_other},
    console::Console,
    done::Done,
    fields::{Fields, SentForm},
    layout::{Frame, Head, Place},
    once::{self, FormId},
    parts::{button, code, field::hidden},
};

/// What is said when the form comes again after its answer was forgotten.
pub(crate) fn spent(at: OffsetDateTime) -> String {
    format!(
        "This key was shown at {:02}:{:02}; rotate it for another",
        at.hour(),
        at.minute()
    )
}

const SAVED: &str = "/settings/saved-key";
const DOWNLOAD: &str = "/settings/download-key";

/// The forms on the page with the secret.
pub(crate) struct Forms {
    /// The one that made the key.
    made: FormId,
    saved: String,
    download: String,
}

impl Forms {
    pub(crate) async fn of(
        console: &Console,
        context: &SessionContext,
        made: FormId,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            made,
            saved: once::id_for(console, context, SAVED).await?,
            download: once::id_for(console, context, DOWNLOAD).await?,
        })
    }
}

/// The page with the secret.
pub(crate) fn render(
    frame: &Frame<'_>,
    console: &Console,
    issued: &IssuedApiKey,
    forms: &Forms,
    title: &str,
) -> Markup {
    let (key, secret) = (&issued.key, issued.secret.reveal());
    let page = format!("{PAGE}/{}", key.id);
    let url = console.edge.public_url().as_str();
    let export = format!("export REMOTEGPU_API_KEY={secret}");
    let try_it = format!("curl -H \"x-api-key: $REMOTEGPU_API_KEY\" {url}/v1/auth/key");
    let content = html! {
        div.secret data-secret {
            p { strong { "Copy the key now. " } "It is shown this once and is stored nowhere: \
                 whoever loses it rotates it for another." }
            (code::block("secret", key.name.as_str(), secret))
            (code::block("secret-export", "In a shell, for kubectl and curl", &export))
            (code::block("secret-try", "Does it work?", &try_it))
            div.actions {
                form.inline method="post" action=(DOWNLOAD) data-stays {
                    (hidden(once::FIELD, &forms.download))
                    (hidden("name", key.name.as_str()))
                    (hidden("key", secret))
                    (button::submit("Download as a file", "quiet"))
                }
                form.inline method="post" action=(SAVED) {
                    (hidden(once::FIELD, &forms.saved))
                    (hidden("made", &forms.made.text()))
                    (hidden("to", &page))
                    (button::submit("I have saved this key", "primary"))
                }
            }
        }
    };
    let head = Head {
        title,
        way: Some(html! { a href=(PAGE) { "Settings / API Keys" } " /" }),
        lead: None,
        action: None,
    };
    frame.page(Place::ApiKeys, &head, &content)
}

/// What was typed is nothing, and what was sent is a secret.
pub(crate) fn nobody(
    console: &Console,
    sent: &SentForm,
    page: &str,
    address: &str,
) -> HttpResponse {
    let told = sign_in::INTERRUPTED;
    let nothing = Fields::default();
    sign_in::interrupted(console, &nothing, page, address, told, sent.is_fragment)
}

/// `POST /settings/saved-key`: the answer that is kept is forgotten.
pub(crate) async fn saved(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    sent: SentForm,
) -> Answer {
    let Some(caller) = visitor else {
        // What was typed is nothing, and what was sent is a secret.
        return Ok(nobody(&console, &sent, PAGE, SAVED));
    };
    let mut fields = sent.read().await?;
    let (form, made) = (fields.text(once::FIELD)?, fields.text("made")?);
    let to = fields.text("to")?;
    fields.finish()?;
    once::check(&console, &form, caller.context(), SAVED).await?;
    if let Some(made) = FormId::parse(&made) {
        once::forget(&console, &made).await?;
    }
    let own = to.starts_with(PAGE) && sign_in::own_path(&to).is_some();
    let mut answer = see_other(if own { &to } else { PAGE });
    Done::KeySaved.tell(&console, &mut answer);
    Ok(answer)
}

/// `POST /settings/download-key`: the text comes back as a file, if it is a key of ours.
/// Nothing is stored, and nothing is asked of the store.
pub(crate) async fn download(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    sent: SentForm,
) -> Answer {
    let Some(caller) = visitor else {
        return Ok(nobody(&console, &sent, PAGE, DOWNLOAD));
    };
    let mut fields = sent.read().await?;
    let (form, name) = (fields.text(once::FIELD)?, fields.text("name")?);
    let key = fields.text("key")?;
    fields.finish()?;
    once::check(&console, &form, caller.context(), DOWNLOAD).await?;
    let key = PlainApiKey::parse(&key)
        .map_err(|_| ApiError::new(ErrorCode::InvalidBody, "This is no key"))?;
    let fit = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(fit).take(40).collect();
    let attachment = format!("attachment; filename=\"remotegpu-{name}.key\"");
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CONTENT_DISPOSITION, attachment))
        .body(format!("{}\n", key.reveal())))
}
