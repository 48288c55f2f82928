//! One-time identifiers of forms: a form that is sent twice does one thing, on whatever
//! instance (contract H3).
//!
//! An identifier is 256 random bits and two proofs of 128 bits each, made with the
//! installation's key: that it was made for this person, account and address, and that it
//! was made in this session. So nothing is stored of a form that is only shown, and it is a
//! proof against forged requests as well. When the form is sent, the act claims the
//! identifier's hash in its own transaction, and what was answered is kept for ten minutes,
//! sealed with a key that only the identifier gives.

use std::{sync::Arc, time::Duration as StdDuration};

use actix_web::{HttpResponse, http::header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng;
use remotegpu_accounts::{ClaimedForm, SessionContext};
use remotegpu_control_plane::{Caller, Right};
use remotegpu_edge::{ApiError, ErrorCode, Visitor, rng};
use remotegpu_primitives::{FormHash, StoreError};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use crate::{
    answer::{self, Stop},
    console::Console,
    done::Done,
    fields::{Fields, SentForm},
    pages::sign_in,
    refusal::Refusal,
};

/// The name of the hidden field.
pub(crate) const FIELD: &str = "form";

/// For how long the first answer is kept.
const KEPT: Duration = Duration::minutes(10);
/// How long a second post waits for the first one's answer, and how often it looks.
const WAIT: StdDuration = StdDuration::from_secs(5);
const POLL: StdDuration = StdDuration::from_millis(200);

const RANDOM: usize = 32;
const PROOF: usize = 16;
const WHOLE: usize = RANDOM + 2 * PROOF;

/// A form's identifier, as it stands in the page.
#[derive(Clone)]
pub(crate) struct FormId([u8; WHOLE]);

/// What an identifier says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// For this person, account and address, in this session.
    Here,
    /// The same in another session of theirs.
    Earlier,
    /// For somebody or something else.
    Elsewhere,
}

impl FormId {
    /// Makes one for a form that is sent to `address` by whoever has this session.
    pub(crate) async fn new(
        console: &Console,
        context: &SessionContext,
        address: &str,
    ) -> Result<Self, StoreError> {
        let key = console.form_key().await?;
        let mut id = [0; WHOLE];
        rng().fill_bytes(&mut id[..RANDOM]);
        let (person, session) = proofs(&key.0, context, address, &id[..RANDOM]);
        id[RANDOM..RANDOM + PROOF].copy_from_slice(&person);
        id[RANDOM + PROOF..].copy_from_slice(&session);
        Ok(Self(id))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(crate) fn hash(&self) -> FormHash {
        FormHash(Sha256::digest(self.0).into())
    }

    fn made(&self, key: &[u8; 32], context: &SessionContext, address: &str) -> Made {
        let (person, session) = proofs(key, context, address, &self.0[..RANDOM]);
        let same = |wanted: &[u8; PROOF], found: &[u8]| {
            // Without telling by its time how much of it is right.
            let wrong = wanted
                .iter()
                .zip(found)
                .fold(0, |wrong, (a, b)| wrong | (a ^ b));
            wrong == 0
        };
        let of_person = same(&person, &self.0[RANDOM..RANDOM + PROOF]);
        let of_session = same(&session, &self.0[RANDOM + PROOF..]);
        match (of_person, of_session) {
            (true, true) => Made::Here,
            (true, false) => Made::Earlier,
            (false, _) => Made::Elsewhere,
        }
    }

    /// The key that the answer is sealed with.
    fn seal(&self) -> Option<LessSafeKey> {
        let mut bytes = Sha256::new();
        bytes.update(b"answer");
        bytes.update(self.0);
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes.finalize()).ok()?;
        Some(LessSafeKey::new(key))
    }
}

fn proofs(
    key: &[u8; 32],
    context: &SessionContext,
    address: &str,
    random: &[u8],
) -> ([u8; PROOF], [u8; PROOF]) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let proof = |parts: &[&[u8]]| {
        let mut signed = hmac::Context::with_key(&key);
        for part in parts {
            signed.update(&(part.len() as u64).to_be_bytes());
            signed.update(part);
        }
        let mut cut = [0; PROOF];
        cut.copy_from_slice(&signed.sign().as_ref()[..PROOF]);
        cut
    };
    let user = context.user.id.as_uuid();
    let account = context.account.id.as_uuid();
    let session = context.session.id.as_uuid();
    let person: [&[u8]; 5] = [
        b"person",
        random,
        user.as_bytes(),
        account.as_bytes(),
        address.as_bytes(),
    ];
    let here: [&[u8]; 4] = [b"session", random, session.as_bytes(), address.as_bytes()];
    (proof(&person), proof(&here))
}

/// What an act answers; it can be kept and given again. It may hold a secret, and so is shown
/// by no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// Look there.
    SeeOther(String, Done),
    /// This page, which is nowhere else: it holds a secret.
    Page(String),
}

impl Reply {
    pub(crate) fn into_response(self, console: &Console) -> HttpResponse {
        match self {
            Self::SeeOther(address, done) => {
                let mut answer = answer::see_other(&address);
                done.tell(console, &mut answer);
                answer
            }
            Self::Page(html) => answer::html(console, HttpResponse::Ok(), html),
        }
    }
}

/// A form that somebody sent who may ask for what it is for.
pub(crate) struct Asked<R: Right> {
    pub(crate) caller: Caller<R>,
    pub(crate) fields: Fields,
    id: FormId,
    is_earlier: bool,
}

/// Reads a form that was shown for `address`, and asks who sent it. `page` is where the
/// form stands.
pub(crate) async fn asked<R: Right>(
    console: &Console,
    visitor: Visitor,
    sent: SentForm,
    address: &str,
    page: &str,
) -> Result<Asked<R>, Stop> {
    let Visitor(caller) = visitor;
    let Some(caller) = caller else {
        // Whoever has no session any more must not lose what they typed.
        let is_fragment = sent.is_fragment;
        let mut fields = sent.read().await?;
        let id = FormId::parse(&fields.clone().text(FIELD)?);
        let claimed = match id {
            Some(id) => {
                console
                    .ports
                    .forms
                    .find_claimed(id.hash(), console.now())
                    .await?
            }
            None => None,
        };
        if claimed.is_some() {
            fields = Fields::default();
        }
        let done = claimed.map(|claimed| done_at(claimed.at));
        let sentence = done.as_deref().unwrap_or(sign_in::INTERRUPTED);
        let answer = sign_in::interrupted(console, &fields, page, address, sentence, is_fragment);
        return Err(answer.into());
    };
    let context = caller.context().clone();
    let may = caller.may::<R>()?;
    let mut fields = sent.read().await?;
    let id = FormId::parse(&fields.text(FIELD)?);
    let key = &console.form_key().await?.0;
    let made = id
        .as_ref()
        .map_or(Made::Elsewhere, |id| id.made(key, &context, address));
    match (id, made) {
        (Some(id), Made::Here | Made::Earlier) => Ok(Asked {
            caller: may,
            fields,
            is_earlier: made == Made::Earlier,
            id,
        }),
        _ => Err(elsewhere().into()),
    }
}

fn elsewhere() -> ApiError {
    let detail = "This form was not made for you, this account and this page; nothing was \
                  done. Open the page again";
    ApiError::new(ErrorCode::Csrf, detail)
}

/// Whether a form was made for this person, account and address, where it does no harm that
/// it does its work twice.
pub(crate) async fn check(
    console: &Console,
    text: &str,
    context: &SessionContext,
    address: &str,
) -> Result<(), ApiError> {
    if is_of(console, text, context, address).await? {
        Ok(())
    } else {
        Err(elsewhere())
    }
}

impl<R: Right> Asked<R> {
    /// Has the form's act done, once. What was answered the first time is answered again
    /// for ten minutes; after that `spent` says what to do.
    pub(crate) async fn once(
        self,
        console: &Console,
        spent: impl Fn(OffsetDateTime) -> String,
        act: impl AsyncFnOnce(&Caller<R>) -> Result<Reply, ApiError>,
    ) -> Result<HttpResponse, Refusal> {
        let (id, hash) = (self.id(), self.id_hash());
        let refused = |error: StoreError| Refusal::from(&ApiError::from(error));
        let forms = &console.ports.forms;
        let claimed = forms
            .find_claimed(hash, console.now())
            .await
            .map_err(refused)?;
        if let Some(claimed) = claimed {
            if self.is_earlier {
                // What an earlier session was shown, a later one is not.
                return Err(Refusal::conflict(spent(claimed.at)));
            }
            return again(console, &id, claimed, spent).await;
        }
        if self.is_earlier {
            return Err(Refusal::conflict(
                "You have signed in again since this page was opened. Nothing was done yet: \
                 look at it and send it again",
            ));
        }
        let caller = self.caller.by_form(hash);
        match act(&caller).await {
            Ok(reply) => {
                keep(console, &id, &reply).await;
                Ok(reply.into_response(console))
            }
            Err(error) => {
                // Perhaps because the same form did it a moment ago, or is about to: a limit
                // counts it as soon as it comes.
                let looks = if error.code() == ErrorCode::RateLimited {
                    5
                } else {
                    1
                };
                for look in 0..looks {
                    if look > 0 {
                        tokio::time::sleep(POLL).await;
                    }
                    let claimed = forms.find_claimed(hash, console.now()).await;
                    if let Some(claimed) = claimed.map_err(refused)? {
                        return again(console, &id, claimed, spent).await;
                    }
                }
                Err(Refusal::from(&error))
            }
        }
    }

    /// What was answered to this form before, if it was: what it is about may be gone since.
    pub(crate) async fn answered(&self, console: &Console) -> Result<Option<HttpResponse>, Stop> {
        let claimed = console
            .ports
            .forms
            .find_claimed(self.id_hash(), console.now())
            .await?;
        match claimed {
            None => Ok(None),
            Some(_) if self.is_earlier => Ok(None),
            Some(claimed) => Ok(again(console, &self.id, claimed, done_at).await.ok()),
        }
    }

    /// The form's identifier.
    pub(crate) fn id(&self) -> FormId {
        self.id.clone()
    }

    fn id_hash(&self) -> FormHash {
        self.id.hash()
    }
}

/// Keeps the answer, whether the one who asked still waits for it or not: they may ask again.
async fn keep(console: &Console, id: &FormId, reply: &Reply) {
    let sealed = serde_json::to_vec(reply).ok().zip(id.seal());
    let Some((mut bytes, key)) = sealed else {
        return;
    };
    // The key is this one form's, and seals this one answer.
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    if key
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes)
        .is_err()
    {
        return;
    }
    let (forms, hash) = (Arc::clone(&console.ports.forms), id.hash());
    let until = console.now() + KEPT;
    let kept = tokio::spawn(async move {
        for is_last in [false, true] {
            let Err(error) = forms.keep_answer(hash, &bytes, until).await else {
                return;
            };
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, is_last, "what a form was answered could not be kept");
        }
    });
    // A panic in there is told where it happens.
    let _ = kept.await;
}

fn open(id: &FormId, mut sealed: Vec<u8>) -> Option<Reply> {
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let opened = id
        .seal()?
        .open_in_place(nonce, Aad::empty(), &mut sealed)
        .ok()?;
    serde_json::from_slice(opened).ok()
}

/// The first answer, which may still be on its way.
async fn again(
    console: &Console,
    id: &FormId,
    mut claimed: ClaimedForm,
    spent: impl Fn(OffsetDateTime) -> String,
) -> Result<HttpResponse, Refusal> {
    let mut waited = StdDuration::ZERO;
    loop {
        if let Some(sealed) = claimed.answer.take() {
            if let Some(reply) = open(id, sealed) {
                return Ok(reply.into_response(console));
            }
            break;
        }
        let is_fresh = console.now() - claimed.at < Duration::seconds(30);
        if !is_fresh || waited >= WAIT {
            break;
        }
        tokio::time::sleep(POLL).await;
        waited += POLL;
        let found = console
            .ports
            .forms
            .find_claimed(id.hash(), console.now())
            .await;
        match found {
            Ok(Some(found)) => claimed = found,
            Ok(None) => break,
            Err(error) => return Err(Refusal::from(&ApiError::from(error))),
        }
    }
    Err(Refusal::conflict(spent(claimed.at)))
}

/// Whoever has read an answer that held a secret has it forgotten.
pub(crate) async fn forget(console: &Console, id: &FormId) -> Result<(), StoreError> {
    console.ports.forms.forget_answer(id.hash()).await
}

/// The form's identifier, for a page that is shown to this person.
pub(crate) async fn id_for(
    console: &Console,
    context: &SessionContext,
    address: &str,
) -> Result<String, ApiError> {
    Ok(FormId::new(console, context, address).await?.text())
}

/// Whether a form of an earlier session was of the same person and account.
pub(crate) async fn is_of(
    console: &Console,
    text: &str,
    context: &SessionContext,
    address: &str,
) -> Result<bool, StoreError> {
    let Some(id) = FormId::parse(text) else {
        return Ok(false);
    };
    let key = &console.form_key().await?.0;
    Ok(id.made(key, context, address) != Made::Elsewhere)
}

/// What a form that only leads elsewhere says when it comes again too late.
pub(crate) fn done_at(at: OffsetDateTime) -> String {
    format!(
        "This form was sent at {:02}:{:02} UTC and did its work then; nothing was done again",
        at.hour(),
        at.minute()
    )
}

/// Keeps clients from asking for a page over and over.
pub(crate) fn retry_after(answer: &mut HttpResponse, refusal: &Refusal) {
    if let Some(seconds) = refusal.retry_after
        && let Ok(value) = header::HeaderValue::from_str(&seconds.to_string())
    {
        answer.headers_mut().insert(header::RETRY_AFTER, value);
    }
}
