use actix_web::{get, web};
use remotegpu_accounts::{AuditAction, AuditFilter};
use remotegpu_control_plane::Admin;

use super::{AuditEventResponse, action_schema};
use crate::{
    Api,
    error::ApiError,
    extract::{Query, SessionCaller},
    v1::{
        fields::Fields,
        list::{ListParams, ListResponse},
        time_of_day::parse_time,
    },
};

/// Which events.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it is read by name: this is its description")]
struct FilterParams {
    /// Only those of this action.
    #[param(required = false, schema_with = action_schema)]
    action: String,
    /// Only those that happened then or later.
    #[param(required = false, format = DateTime)]
    since: String,
}

/// An action that there is none of.
#[derive(Debug, thiserror::Error)]
#[error("action must be one that events have, such as api_key.issued")]
struct UnknownAction;

fn filter(query: &Query) -> Result<AuditFilter, ApiError> {
    let (action, since) = (query.get("action")?, query.get("since")?);
    let mut fields = Fields::default();
    let action = action.map(|word| AuditAction::parse(&word).ok_or(UnknownAction));
    let action = fields.judge("action", action.transpose());
    let since = since.map(|text| parse_time(&text)).transpose();
    let since = fields.judge("since", since);
    match (action, since) {
        (Some(action), Some(since)) => Ok(AuditFilter { action, since }),
        _ => Err(fields.into()),
    }
}

/// List audit events
///
/// Newest first. Events of acts are there as soon as the act is; those of minted
/// credentials and of refused passwords within a second or two.
#[utoipa::path(
    tag = "account",
    params(ListParams, FilterParams),
    responses((status = 200, description = "A page of them.", body = ListResponse<AuditEventResponse>)),
)]
#[get("/v1/account/audit-events")]
pub(crate) async fn list_audit_events(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Admin>,
    query: Query,
) -> Result<web::Json<ListResponse<AuditEventResponse>>, ApiError> {
    let (filter, page) = (filter(&query)?, query.page()?);
    let audit_log = &*api.ports.audit_log;
    let events = remotegpu_control_plane::list_audit_events(audit_log, &caller, filter, page);
    let page = events.await?;
    Ok(web::Json(ListResponse::new(&page, AuditEventResponse::new)))
}
