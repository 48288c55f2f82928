use actix_web::{delete, web};
use remotegpu_control_plane::{Admin, Person};
use remotegpu_edge::{ApiError, PathId, Query, ServiceUserId, SessionCaller};

use super::existing;
use crate::{
    Api,
    api::rng,
    v1::account::members::{MadeBeforeResponse, remove::takes_over},
};

/// Delete a service user
///
/// With its tokens. What it made that opens the account ends, unless the caller takes its
/// API keys over. The answer names what has ended.
#[utoipa::path(
    tag = "service-users",
    params(
        ("service_user_id" = uuid::Uuid, Path, description = "The service user."),
        ("take_over_keys" = Option<bool>, Query, nullable = false, description = "Whether the caller takes over the API keys that it made."),
    ),
    responses(
        (status = 200, description = "It is gone.", body = MadeBeforeResponse),
        (status = 404, description = "`not_found`"),
    ),
)]
#[delete("/v1/account/service-users/{service_user_id}")]
pub(crate) async fn delete_service_user(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Admin>>,
    id: PathId<ServiceUserId>,
    query: Query,
) -> Result<web::Json<MadeBeforeResponse>, ApiError> {
    let id = existing(&api, &caller, id).await?.id;
    let which = (id, takes_over(&query)?);
    let (service_users, signals) = (&*api.ports.service_users, &api.ports.signals);
    let (caller, rng, now) = (&caller, &mut rng(), api.now());
    let deleted = remotegpu_control_plane::delete_service_user(
        service_users,
        signals,
        caller,
        which,
        rng,
        now,
    );
    Ok(web::Json(MadeBeforeResponse::new(&deleted.await?)))
}
