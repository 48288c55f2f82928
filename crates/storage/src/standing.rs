//! Whether whoever acts still may, when the act is stored.

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl};
use remotegpu_primitives::{Act, Shown};

use crate::{
    either::{EitherConnection, RunQuery},
    error::Failure,
    schema::{accounts, memberships, service_user_tokens, sessions},
    types::{DbTime, DbUuid},
};

/// Asks again for what the actor was let in by, within the transaction that is the act: a
/// session or token, a membership whose role suffices, an account that is not suspended. What
/// takes one of them away is seen if it came before; whoever has to see what comes after holds
/// the account.
pub async fn ask_again(c: &mut EitherConnection<'_>, act: &Act) -> Result<(), Failure> {
    let Some(standing) = &act.standing else {
        return Ok(());
    };
    let (account, user) = (DbUuid::from(standing.account), DbUuid::from(standing.user));
    let member: Option<DbUuid> = memberships::table
        .inner_join(accounts::table.on(accounts::id.eq(memberships::account_id)))
        .filter(memberships::account_id.eq(account))
        .filter(memberships::user_id.eq(user))
        .filter(memberships::role.eq_any(standing.roles))
        .filter(accounts::suspended_at.is_null())
        .select(memberships::user_id)
        .first(c)
        .await
        .optional()?;
    let shown: i64 = match standing.shown {
        Shown::Session(id) => {
            sessions::table
                .filter(sessions::id.eq(DbUuid::from(id)))
                .filter(sessions::user_id.eq(user))
                .filter(sessions::account_id.eq(account))
                .count()
                .get_result(c)
                .await?
        }
        Shown::Token(id) => {
            service_user_tokens::table
                .filter(service_user_tokens::id.eq(DbUuid::from(id)))
                .filter(service_user_tokens::expires_at.gt(DbTime::from(act.at)))
                .count()
                .get_result(c)
                .await?
        }
    };
    if member.is_some() && shown > 0 {
        Ok(())
    } else {
        Err(Failure::NotAllowed)
    }
}
