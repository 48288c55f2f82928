//! A file that holds a secret, shown once: in the answer to the form that made it (contract H5).

use actix_web::{HttpResponse, http::header, web};
use maud::{Markup, html};
use remotegpu_accounts::SessionContext;
use remotegpu_edge::{ApiError, ErrorCode, Visitor};
use time::OffsetDateTime;

use super::{shown_key::nobody, sign_in};
use crate::{
    answer::{Answer, see_other},
    console::Console,
    done::Done,
    fields::SentForm,
    once::{self, FormId},
    parts::{button, code, field::hidden, kubeconfig},
};

const SAVED: &str = "/settings/saved-kubeconfig";
const DOWNLOAD: &str = "/settings/download-kubeconfig";
/// Where somebody goes who is signed in again.
const ELSEWHERE: &str = "/kubernetes";

/// What is said when the form comes again after its answer was forgotten.
pub(crate) fn spent(at: OffsetDateTime) -> String {
    format!(
        "This kubeconfig was shown at {:02}:{:02}; make another",
        at.hour(),
        at.minute()
    )
}

/// The forms on the page with the file.
pub(crate) struct Forms {
    /// The one that made the file.
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

/// A file, and where one goes with it.
pub(crate) struct ShownFile<'a> {
    pub(crate) filename: &'a str,
    pub(crate) text: &'a str,
    /// The page that follows.
    pub(crate) to: &'a str,
}

pub(crate) fn render(file: &ShownFile<'_>, forms: &Forms) -> Markup {
    let name = file.filename;
    let keep = format!("chmod 600 ~/Downloads/{name}");
    let sh = format!("export KUBECONFIG=\"$HOME/Downloads/{name}\"\nkubectl get pods");
    html! {
        div.secret data-secret {
            p { strong { "Save the file now. " } "It is shown this once and is stored nowhere: \
                 whoever loses it makes another." }
            div.actions {
                form.inline method="post" action=(DOWNLOAD) data-stays {
                    (hidden(once::FIELD, &forms.download))
                    (hidden("filename", name))
                    (hidden("kubeconfig", file.text))
                    (button::submit("Download kubeconfig", "primary"))
                }
                form.inline method="post" action=(SAVED) {
                    (hidden(once::FIELD, &forms.saved))
                    (hidden("made", &forms.made.text()))
                    (hidden("to", file.to))
                    (button::submit("I have saved this file", "quiet"))
                }
            }
            (code::block("secret", name, file.text))
            (code::block("secret-keep", "For nobody else to read", &keep))
            (code::block("secret-use", "sh, bash, zsh", &sh))
            details { summary { "Merge it into the kubeconfig you have" }
                (code::block("secret-merge", "sh, bash, zsh", &kubeconfig::merge_lines(name))) }
        }
    }
}

/// `POST /settings/saved-kubeconfig`: the answer that is kept is forgotten.
pub(crate) async fn saved(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    sent: SentForm,
) -> Answer {
    let Some(caller) = visitor else {
        return Ok(nobody(&console, &sent, ELSEWHERE, SAVED));
    };
    let mut fields = sent.read().await?;
    let (form, made) = (fields.text(once::FIELD)?, fields.text("made")?);
    let to = fields.text("to")?;
    fields.finish()?;
    once::check(&console, &form, caller.context(), SAVED).await?;
    if let Some(made) = FormId::parse(&made) {
        once::forget(&console, &made).await?;
    }
    let mut answer = see_other(sign_in::own_path(&to).unwrap_or(ELSEWHERE));
    Done::KubeconfigSaved.tell(&console, &mut answer);
    Ok(answer)
}

/// `POST /settings/download-kubeconfig`: the text comes back as a file, if it is one of ours.
/// Nothing is stored, and nothing is asked of the store.
pub(crate) async fn download(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    sent: SentForm,
) -> Answer {
    let Some(caller) = visitor else {
        return Ok(nobody(&console, &sent, ELSEWHERE, DOWNLOAD));
    };
    let mut fields = sent.read().await?;
    let (form, filename) = (fields.text(once::FIELD)?, fields.text("filename")?);
    let text = fields.text("kubeconfig")?.replace("\r\n", "\n");
    fields.finish()?;
    once::check(&console, &form, caller.context(), DOWNLOAD).await?;
    let fits = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
    let is_ours = text.starts_with("# ") && text.contains("\napiVersion: v1\nkind: Config\n");
    if !is_ours || filename.is_empty() || !filename.chars().all(fits) {
        return Err(ApiError::new(ErrorCode::InvalidBody, "This is no kubeconfig").into());
    }
    let attachment = format!("attachment; filename=\"{filename}\"");
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CONTENT_DISPOSITION, attachment))
        .body(text))
}
