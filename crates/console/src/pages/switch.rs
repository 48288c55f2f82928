//! `POST /settings/switch`: somebody acts for another account of theirs.

use actix_web::web;
use remotegpu_accounts::SessionContext;
use remotegpu_control_plane::{Anyone, Person, switch_account};
use remotegpu_edge::{ErrorCode, Visitor, rng};
use remotegpu_primitives::AccountId;
use time::OffsetDateTime;

use super::sign_in;
use crate::{
    answer::{Answer, see_other},
    console::Console,
    done::Done,
    fields::{Fields, SentForm},
    once,
};

pub(crate) const SWITCH: &str = "/settings/switch";

/// Somebody's session without its account: the form is sent again while the first one has
/// changed that, and may.
pub(crate) fn without_account(context: &SessionContext) -> SessionContext {
    let mut context = context.clone();
    context.account.id = AccountId::first_at(OffsetDateTime::UNIX_EPOCH);
    context
}

pub(crate) async fn choose(
    console: web::Data<Console>,
    Visitor(visitor): Visitor,
    sent: SentForm,
) -> Answer {
    let Some(caller) = visitor else {
        let (nothing, is_fragment) = (Fields::default(), sent.is_fragment);
        let told = sign_in::INTERRUPTED;
        return Ok(sign_in::interrupted(
            &console,
            &nothing,
            "/",
            SWITCH,
            told,
            is_fragment,
        ));
    };
    let person = caller.may::<Person<Anyone>>()?;
    let mut fields = sent.read().await?;
    let (form, account) = (fields.text(once::FIELD)?, fields.text("account")?);
    fields.finish()?;
    once::check(&console, &form, &without_account(person.context()), SWITCH).await?;
    let id: AccountId = account.parse().map_err(|_| ErrorCode::NotFound)?;
    let (sessions, users) = (&*console.ports.sessions, &*console.ports.users);
    let (mut random, now) = (rng(), console.now());
    let switched = switch_account(sessions, users, &person, id, &mut random, now).await?;
    switched.ok_or(ErrorCode::NotFound)?;
    let mut answer = see_other("/kubernetes");
    Done::AccountSwitched.tell(&console, &mut answer);
    Ok(answer)
}
