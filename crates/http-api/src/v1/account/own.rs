use actix_web::{get, web};
use remotegpu_control_plane::Read;
use remotegpu_edge::SessionCaller;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Api;

/// The account, and how much it may have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnAccountResponse {
    id: Uuid,
    #[schema(example = "Analytical Engines")]
    name: String,
    limits: LimitsResponse,
}

/// How many of a kind the account may have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitsResponse {
    /// Active API keys.
    api_keys: u32,
    namespaces: u32,
    /// Open invitations.
    invitations: u32,
    /// Active access tokens, for each user.
    access_tokens: u32,
    /// Kubeconfigs with a token, for each user.
    kubeconfig_tokens: u32,
}

/// What the session acts for
///
/// The account, and how much it may have.
#[utoipa::path(
    tag = "account",
    responses((status = 200, description = "The account.", body = OwnAccountResponse)),
)]
#[get("/v1/account")]
pub(crate) async fn get_account(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
) -> web::Json<OwnAccountResponse> {
    let (account, config) = (caller.account(), &api.config);
    web::Json(OwnAccountResponse {
        id: account.id.as_uuid(),
        name: account.name.as_str().to_owned(),
        limits: LimitsResponse {
            api_keys: account.limits.keys.unwrap_or(config.key_limit),
            namespaces: account.limits.namespaces.unwrap_or(config.namespace_limit),
            invitations: config.invitation_limit,
            access_tokens: config.access_tokens.limit,
            kubeconfig_tokens: config.kubeconfig_token_limit,
        },
    })
}
