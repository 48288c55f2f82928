use super::MadeBeforeResponse;
use crate::{Api, api::rng};
use actix_web::{delete, web};
use remotegpu_control_plane::{Anyone, Caller, Person, find_member, leave_account, remove_member};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, PathId, Query, SessionCaller};
use remotegpu_primitives::UserId;

/// Remove a member, or leave
///
/// An admin removes anybody; everybody may go themselves. What whoever goes has made that
/// opens the account ends, unless the caller takes their API keys over. The answer names
/// what has ended.
#[utoipa::path(
    tag = "members",
    params(
        ("user_id" = uuid::Uuid, Path, description = "The person."),
        ("take_over_keys" = Option<bool>, Query, nullable = false, description = "Whether the caller takes over the API keys of whoever goes; not their own."),
    ),
    responses(
        (status = 200, description = "They are gone.", body = MadeBeforeResponse),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`last_admin`"),
    ),
)]
#[delete("/v1/account/members/{user_id}")]
pub(crate) async fn remove_member_or_leave(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Anyone>>,
    id: PathId<UserId>,
    query: Query,
) -> Result<web::Json<MadeBeforeResponse>, ApiError> {
    let (members, signals) = (&*api.ports.members, &api.ports.signals);
    let (rng, now) = (&mut rng(), api.now());
    let id = id.known();
    let before = if id == Some(caller.id()) {
        if takes_over(&query)? {
            let error = FieldError::new("take_over_keys", "is for the keys of others");
            return Err(ApiError::field(error));
        }
        leave_account(members, signals, &caller, rng, now).await?
    } else {
        let caller: Caller<Person<_>> = caller.may()?;
        let id = id.ok_or(ErrorCode::NotFound)?;
        let known = find_member(members, &caller.may()?, id).await?;
        known.ok_or(ErrorCode::NotFound)?;
        let wanted = (id, takes_over(&query)?);
        remove_member(members, signals, &caller, wanted, rng, now).await?
    };
    Ok(web::Json(MadeBeforeResponse::new(&before)))
}

/// What the query says of the keys of whoever goes.
pub(crate) fn takes_over(query: &Query) -> Result<bool, ApiError> {
    match query.get("take_over_keys")?.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => {
            let error = FieldError::new("take_over_keys", "must be true or false");
            Err(ApiError::field(error))
        }
    }
}
