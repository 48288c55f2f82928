//! The tokens of a service user: its list, the form that makes one, and the page on which its
//! secret is shown once (contract H5, T8).

use actix_web::{HttpRequest, web};
use maud::{Markup, html};
use remotegpu_access_tokens::TokenStatus;
use remotegpu_accounts::ServiceUserToken;
use remotegpu_control_plane::{
    Admin, Caller, IssueServiceUserToken, IssuedServiceUserToken, Person,
    delete_service_user_token, find_service_user_token, issue_service_user_token,
};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, PathId, Query, ServiceUserId, Visitor, rng};
use remotegpu_keys::KeyName;
use remotegpu_primitives::{Page, PageRequest, ServiceUserTokenId, StoreError, UserId};
use time::{Duration, OffsetDateTime};

use super::{
    members,
    service_user::{self, Open, shown},
    service_users::address,
    shown_token::spent,
    sign_in,
};
use crate::{
    answer::{Answer, see_other},
    console::Console,
    done::Done,
    fields::{Fields, SentForm},
    layout::{Frame, Head, Place, whom},
    once::{self, FormId, Reply, done_at},
    parts::{
        button, code,
        expiration::{CHOSEN, LENGTHS, select},
        field::{Field, hidden},
        list::{cell, count, empty, more, table},
        status::of_token,
        time::relative,
    },
    refusal::{Refusal, refusal_of},
};

pub(crate) const SAVED: &str = "/settings/saved-service-user-token";

/// What is typed into the form.
pub(super) struct TokenDraft {
    name: String,
    /// In days.
    expiration: String,
}

impl TokenDraft {
    /// What an address says, for what is put back.
    pub(super) fn from_address(query: &Query) -> Result<Self, ApiError> {
        let (name, expiration) = (query.get("name")?, query.get("expiration")?);
        Ok(Self {
            name: name.map_or_else(String::new, Into::into),
            expiration: expiration.map_or_else(|| CHOSEN.to_string(), Into::into),
        })
    }

    fn read(fields: &mut Fields) -> Result<Self, ApiError> {
        Ok(Self {
            name: fields.text("name")?,
            expiration: fields.text("expiration")?,
        })
    }

    /// What it asks for, or all that is wrong with it.
    fn judge(&self, now: OffsetDateTime) -> Result<(KeyName, OffsetDateTime), ApiError> {
        let mut wrong = Vec::new();
        let name = KeyName::parse(&self.name)
            .map_err(|error| wrong.push(FieldError::from_refusal("name", &error)));
        let days = LENGTHS
            .into_iter()
            .find(|(days, _)| days.to_string() == self.expiration);
        if days.is_none() {
            wrong.push(FieldError::new("expires_at", "must be one of the choices"));
        }
        match (name, days) {
            (Ok(name), Some((days, _))) => Ok((name, now + Duration::days(days))),
            _ => Err(refusal_of(wrong)),
        }
    }

    /// The fields.
    pub(super) fn render(&self, refusal: Option<&Refusal>) -> Markup {
        html! {
            (Field {
                name: "name", label: "Name", value: &self.name, required: true,
                focus: true, max: Some(64), autocomplete: Some("off"),
                hint: Some("Where it will be used: main branch, nightly."), ..Field::default()
            }.render(refusal))
            (select(LENGTHS.into_iter(), None, &self.expiration, refusal))
        }
    }
}

/// One token of a service user.
pub(super) async fn find(
    console: &Console,
    caller: &Caller<Person<Admin>>,
    machine: UserId,
    token: ServiceUserTokenId,
) -> Result<Option<ServiceUserToken>, StoreError> {
    find_service_user_token(&*console.ports.service_users, caller, machine, token).await
}

pub(crate) async fn create(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<ServiceUserId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let back = format!("{}?create=1", own.trim_end_matches("/tokens"));
    let mut asked = once::asked::<Person<Admin>>(&console, visitor, sent, &own, &back).await?;
    let draft = TokenDraft::read(&mut asked.fields)?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Person<Admin>>()?;
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let machine = service_user::find(&console, &caller, id).await?;
    let (service_users, now) = (&*console.ports.service_users, console.now());
    let (service_user_id, limit) = (machine.id, console.config.service_user_token_limit);
    let forms = (
        asked.id(),
        once::id_for(&console, whom(&caller)?, SAVED).await?,
    );
    let frame = Frame::of(&console, &caller, &request).await?;
    let done = asked.once(&console, spent, async |caller| {
        let (name, expires_at) = draft.judge(now)?;
        let wanted = IssueServiceUserToken {
            service_user_id,
            name,
            expires_at,
            limit,
        };
        let mut random = rng();
        let issued = issue_service_user_token(service_users, caller, wanted, &mut random, now);
        let markup = secret(&frame, &console, service_user_id, &issued.await?, &forms);
        Ok(Reply::Page(markup.into_string()))
    });
    let done = done.await;
    let open = Open::Create(draft);
    shown(&console, done, &caller, &request, &machine, open).await
}

pub(crate) async fn delete(
    console: web::Data<Console>,
    visitor: Visitor,
    id: PathId<ServiceUserId>,
    token: PathId<ServiceUserTokenId>,
    sent: SentForm,
    request: HttpRequest,
) -> Answer {
    let own = request.path().to_owned();
    let back = own.split("/tokens/").next().unwrap_or(members::PAGE);
    let asked = once::asked::<Person<Admin>>(&console, visitor, sent, &own, back).await?;
    asked.fields.finish()?;
    let caller = asked.caller.may::<Person<Admin>>()?;
    // What it is about is gone since.
    if let Some(answer) = asked.answered(&console).await? {
        return Ok(answer);
    }
    let machine = service_user::find(&console, &caller, id).await?;
    let token = token.known().ok_or(ErrorCode::NotFound)?;
    let (service_users, now) = (&*console.ports.service_users, console.now());
    let which = (machine.id, token);
    let done = asked.once(&console, done_at, async |caller| {
        let mut random = rng();
        let deleted = delete_service_user_token(service_users, caller, which, &mut random, now);
        if !deleted.await? {
            return Err(ErrorCode::NotFound.into());
        }
        let page = address(which.0);
        Ok(Reply::SeeOther(page, Done::ServiceUserTokenDeleted))
    });
    let (done, open) = (done.await, Open::DeleteToken(token));
    shown(&console, done, &caller, &request, &machine, open).await
}

/// The page with the secret. `forms` are the one that made it and the one that has it forgotten.
fn secret(
    frame: &Frame<'_>,
    console: &Console,
    machine: UserId,
    issued: &IssuedServiceUserToken,
    (made, saved): &(FormId, String),
) -> Markup {
    let (page, secret) = (address(machine), issued.secret.reveal());
    let url = console.edge.public_url().as_str();
    let use_it = format!(
        "export REMOTEGPU_SERVER={url}\nexport REMOTEGPU_TOKEN={secret}\nremotegpu whoami\nremotegpu keys list"
    );
    let content = html! {
        div.secret data-secret {
            p { strong { "Save it now. " } "It is shown this once and is stored nowhere: whoever loses it \
                 deletes the token and creates another." }
            div.actions {
                form.inline method="post" action=(SAVED) {
                    (hidden(once::FIELD, saved))
                    (hidden("made", &made.text()))
                    (hidden("id", &machine.to_string()))
                    (button::submit("I have saved this token", "primary"))
                }
            }
            (code::block("secret", "Token", secret))
            (code::block("secret-try", "Use it with the command line", &use_it))
            p.hint { "Over HTTP it is " code { "Authorization: Bearer" } ". It ends "
                (relative(issued.token.expires_at, console.now())) "." }
        }
    };
    let head = Head {
        title: "Service user token created",
        way: Some(html! { a href=(page) { "Settings / Members / Service user" } " /" }),
        lead: None,
        action: None,
    };
    frame.page(Place::Members, &head, &content)
}

/// `POST /settings/saved-service-user-token`: the answer that is kept is forgotten.
pub(crate) async fn saved(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    sent: SentForm,
) -> Answer {
    let Some(caller) = visitor else {
        let (told, nothing) = (sign_in::INTERRUPTED, Fields::default());
        let (page, is_fragment) = (members::PAGE, sent.is_fragment);
        let answer = sign_in::interrupted(&console, &nothing, page, SAVED, told, is_fragment);
        return Ok(answer);
    };
    let mut fields = sent.read().await?;
    let (form, made) = (fields.text(once::FIELD)?, fields.text("made")?);
    let id = fields.text("id")?;
    fields.finish()?;
    once::check(&console, &form, caller.context(), SAVED).await?;
    if let Some(made) = FormId::parse(&made) {
        once::forget(&console, &made).await?;
    }
    let page = id.parse().map_or(members::PAGE.to_owned(), address);
    let mut answer = see_other(&page);
    Done::TokenSaved.tell(&console, &mut answer);
    Ok(answer)
}

/// The section on the page of a service user, which is `page`.
pub(super) fn section(
    page: &str,
    tokens: &Page<ServiceUserToken>,
    asked: PageRequest,
    now: OffsetDateTime,
) -> Markup {
    let create = button::open(page, "create", "Create token", "primary");
    html! {
        section aria-labelledby="tokens-title" {
            h2 id="tokens-title" { "Tokens" }
            @if tokens.items.is_empty() && asked.after().is_none() {
                (empty("It gets in with a token, in place of a password. There is none yet.", Some(&create)))
            } @else {
                div id="tokens" data-live="30" { (listed(page, tokens, now)) }
                div.actions { (create) }
            }
        }
    }
}

fn status_of(token: &ServiceUserToken, now: OffsetDateTime) -> TokenStatus {
    if now < token.expires_at {
        TokenStatus::Active
    } else {
        TokenStatus::Expired
    }
}

fn listed(page: &str, tokens: &Page<ServiceUserToken>, now: OffsetDateTime) -> Markup {
    html! {
        (count(tokens.items.len(), tokens.next.is_some(), "token"))
        (table("Tokens", &["Name", "Token", "Status", "Last used", "Expiration", ""], &html! {
            @for token in &tokens.items {
                tr role="row" {
                    (cell("Name", &html! { (token.name.as_str()) }))
                    (cell("Token", &html! { code { (token.prefix.as_str()) } }))
                    (cell("Status", &of_token(status_of(token, now))))
                    (cell("Last used", &html! {
                        @match token.last_used_at { Some(at) => (relative(at, now)), None => span.muted { "never" } }
                    }))
                    (cell("Expiration", &relative(token.expires_at, now)))
                    (cell("", &html! {
                        form.inline method="get" action=(page) {
                            button.quiet type="submit" name="delete-token" value=(token.id)
                                aria-label=(format!("Delete token {}", token.name.as_str())) {
                                "Delete token"
                            }
                        }
                    }))
                }
            }
        }))
        (more(page, tokens.next))
    }
}
