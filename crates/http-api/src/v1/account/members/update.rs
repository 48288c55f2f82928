use actix_web::{patch, web};
use remotegpu_accounts::Role;
use remotegpu_control_plane::{Admin, NewRole, Person, change_member_role, find_member};
use remotegpu_edge::{ApiError, ErrorCode, PathId, SessionCaller};
use remotegpu_primitives::UserId;
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::{ChangedMemberResponse, MadeBeforeResponse, MemberResponse};
use crate::{
    Api,
    api::rng,
    json_body::JsonBody,
    v1::{auth::RoleWord, fields::Fields},
    wire,
};

/// What a member shall be.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateMemberRequest {
    #[schema(value_type = RoleWord)]
    role: String,
    /// Whether the caller takes over the API keys that would end by it.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(nullable = false, default = false)]
    take_over_keys: Option<bool>,
}

impl UpdateMemberRequest {
    fn judge(&self, mut fields: Fields, user_id: UserId) -> Result<NewRole, ApiError> {
        let role = fields.judge("role", self.role.parse::<Role>());
        match role {
            Some(role) if fields.is_empty() => Ok(NewRole {
                user_id,
                role,
                take_over_keys: self.take_over_keys == Some(true),
            }),
            _ => Err(fields.into()),
        }
    }
}

/// Give a member another role
///
/// With the role `read` ends what they made that opens the account, unless the caller takes
/// their API keys over. The answer names what has ended.
#[utoipa::path(
    tag = "members",
    params(("user_id" = uuid::Uuid, Path, description = "The person.")),
    request_body = UpdateMemberRequest,
    responses(
        (status = 200, description = "The person as they are now.", body = ChangedMemberResponse),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`last_admin`"),
    ),
)]
#[patch("/v1/account/members/{user_id}")]
pub(crate) async fn update_member(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<UserId>,
    body: JsonBody,
) -> Result<web::Json<ChangedMemberResponse>, ApiError> {
    let (members, signals) = (&*api.ports.members, &api.ports.signals);
    let id = id.known().ok_or(ErrorCode::NotFound)?;
    let known = find_member(members, &caller.may()?, id).await?;
    known.ok_or(ErrorCode::NotFound)?;
    let (request, fields) = body.read_to_judge::<UpdateMemberRequest>().await?;
    let wanted = request.judge(fields, id)?;
    let (rng, now) = (&mut rng(), api.now());
    let changed = change_member_role(members, signals, &caller, wanted, rng, now);
    let (member, before) = changed.await?;
    Ok(web::Json(ChangedMemberResponse {
        item: MemberResponse::new(&member),
        before: MadeBeforeResponse::new(&before),
    }))
}
