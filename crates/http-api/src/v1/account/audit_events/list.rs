use actix_web::{get, web};
use remotegpu_accounts::{AuditAction, AuditFilter};
use remotegpu_control_plane::Admin;
use remotegpu_edge::{ApiError, Query, SessionCaller};
use remotegpu_primitives::PageRequest;

use super::{AuditActionWord, AuditEventResponse};
use crate::{
    Api,
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
    #[param(required = false, value_type = AuditActionWord)]
    action: String,
    /// Only those that happened then or later.
    #[param(required = false, format = DateTime)]
    since: String,
}

/// An action that there is none of.
#[derive(Debug, thiserror::Error)]
#[error("action must be one that events have, such as api_key.issued")]
struct UnknownAction;

fn judge(query: &Query) -> Result<(AuditFilter, PageRequest), ApiError> {
    let mut fields = Fields::in_order(&["limit", "cursor", "action", "since"]);
    let page = fields.take(query.page());
    let action = fields.take(query.get("action")).flatten();
    let action = action.map(|word| AuditAction::parse(&word).ok_or(UnknownAction));
    let action = fields.judge("action", action.transpose());
    let since = fields.take(query.get("since")).flatten();
    let since = since.map(|text| parse_time(&text)).transpose();
    let since = fields.judge("since", since);
    match (page, action, since) {
        (Some(page), Some(action), Some(since)) if fields.is_empty() => {
            let filter = AuditFilter {
                action,
                since,
                ..AuditFilter::default()
            };
            Ok((filter, page))
        }
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
    let (filter, page) = judge(&query)?;
    let audit_log = &*api.ports.audit_log;
    let events = remotegpu_control_plane::list_audit_events(audit_log, &caller, filter, page);
    let page = events.await?;
    Ok(web::Json(ListResponse::new(&page, AuditEventResponse::new)))
}
