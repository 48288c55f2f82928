//! An access token and its kubeconfig, shown once: in the answer to the form that made it
//! (contract T1, H5).

use actix_web::{HttpResponse, http::header, web};
use maud::{Markup, html};
use remotegpu_access_tokens::PlainAccessToken;
use remotegpu_accounts::SessionContext;
use remotegpu_control_plane::IssuedAccessToken;
use remotegpu_edge::{ApiError, ErrorCode, Visitor};
use remotegpu_kubeconfig::token_in_file;
use time::OffsetDateTime;

use super::{access_tokens::PAGE, sign_in};
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
        "This token was shown at {:02}:{:02}; delete it and create another",
        at.hour(),
        at.minute()
    )
}

const SAVED: &str = "/settings/saved-token";
const DOWNLOAD: &str = "/settings/download-token-file";

/// The forms on the page with the secret.
pub(crate) struct Forms {
    /// The one that made the token.
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
pub(crate) fn render(frame: &Frame<'_>, issued: &IssuedAccessToken, forms: &Forms) -> Markup {
    let (token, file) = (&issued.token, &issued.file);
    let filename = file.name();
    let use_it = format!(
        "chmod 600 {filename}\nexport KUBECONFIG=$PWD/{filename}\nkubectl config get-contexts"
    );
    let content = html! {
        div.secret data-secret {
            p { strong { "Save both now. " } "They are shown this once and are stored nowhere: \
                 whoever loses them deletes the token and creates another." }
            div.actions {
                form.inline method="post" action=(DOWNLOAD) data-stays {
                    (hidden(once::FIELD, &forms.download))
                    (hidden("filename", filename))
                    (hidden("kubeconfig", file.reveal()))
                    (button::submit("Download Kubeconfig", "primary"))
                }
                form.inline method="post" action=(SAVED) {
                    (hidden(once::FIELD, &forms.saved))
                    (hidden("made", &forms.made.text()))
                    (hidden("id", token.handle.as_str()))
                    (button::submit("I have saved this token", "quiet"))
                }
            }
            (code::block("secret", "Token", issued.secret.reveal()))
            (code::block("secret-try", "Let nobody else read the file, and use it", &use_it))
            p.hint { "Other files stay beside it: " code { "KUBECONFIG=a:b" } " merges those whose names differ, and "
                code { "kubectl --kubeconfig" } " takes this one alone." }
            details {
                summary { "The kubeconfig" }
                (code::block("secret-kubeconfig", filename, file.reveal()))
            }
        }
    };
    let head = Head {
        title: "Access token created",
        way: Some(html! { a href=(PAGE) { "Settings / Access Tokens" } " /" }),
        lead: None,
        action: None,
    };
    frame.page(Place::AccessTokens, &head, &content)
}

/// What was typed is nothing, and what was sent is a secret.
fn nobody(console: &Console, sent: &SentForm, address: &str) -> HttpResponse {
    let told = sign_in::INTERRUPTED;
    let nothing = Fields::default();
    sign_in::interrupted(console, &nothing, PAGE, address, told, sent.is_fragment)
}

/// `POST /settings/saved-token`: the answer that is kept is forgotten.
pub(crate) async fn saved(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    sent: SentForm,
) -> Answer {
    let Some(caller) = visitor else {
        return Ok(nobody(&console, &sent, SAVED));
    };
    let mut fields = sent.read().await?;
    let (form, made) = (fields.text(once::FIELD)?, fields.text("made")?);
    let id = fields.text("id")?;
    fields.finish()?;
    once::check(&console, &form, caller.context(), SAVED).await?;
    if let Some(made) = FormId::parse(&made) {
        once::forget(&console, &made).await?;
    }
    let known = remotegpu_access_tokens::TokenHandle::parse(&id);
    let page = known.map_or(PAGE.to_owned(), |handle| format!("{PAGE}/{handle}"));
    let mut answer = see_other(&page);
    Done::TokenSaved.tell(&console, &mut answer);
    Ok(answer)
}

/// `POST /settings/download-token-file`: the text comes back as a file, if it is a file of
/// ours. Nothing is stored, and nothing is asked of the store.
pub(crate) async fn download(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    sent: SentForm,
) -> Answer {
    let Some(caller) = visitor else {
        return Ok(nobody(&console, &sent, DOWNLOAD));
    };
    let mut fields = sent.read().await?;
    let (form, filename) = (fields.text(once::FIELD)?, fields.text("filename")?);
    // A form sends the ends of lines in its own way.
    let kubeconfig = fields.text("kubeconfig")?.replace("\r\n", "\n");
    fields.finish()?;
    once::check(&console, &form, caller.context(), DOWNLOAD).await?;
    let token = token_in_file(&kubeconfig).and_then(|token| PlainAccessToken::parse(token).ok());
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let named = (1..=200).contains(&filename.len()) && filename.chars().all(fits);
    if token.is_none() || !named {
        let detail = "This is no kubeconfig of an access token";
        return Err(ApiError::new(ErrorCode::InvalidBody, detail).into());
    }
    let attachment = format!("attachment; filename=\"{filename}\"");
    Ok(HttpResponse::Ok()
        // Of a type that browsers know they would add the ending to the name.
        .insert_header((header::CONTENT_TYPE, "application/x-kubeconfig"))
        .insert_header((header::CONTENT_DISPOSITION, attachment))
        .body(kubeconfig))
}
