//! All that clusters may ask, each with what holds for it.

use std::sync::Arc;

use actix_web::web;
use remotegpu_edge::{Credential, Csrf, Front, RoutePolicy, WorkClass};

use crate::{status, token_review::token_review, webhooks::Webhooks};

/// For a cluster that shows its credential.
const REVIEW: RoutePolicy = RoutePolicy {
    class: WorkClass::Review,
    csrf: Csrf::WithCookie,
    credentials: &[Credential::Cluster],
    body_limit: RoutePolicy::BODY_LIMIT,
    deadline: RoutePolicy::DEADLINE,
    no_store: true,
    errors: status::answer,
};

/// Of paths that are none.
const ELSEWHERE: RoutePolicy = RoutePolicy {
    credentials: &[],
    ..REVIEW
};

/// What the clusters' listener serves, and no other one does.
pub fn front(webhooks: &Arc<Webhooks>) -> Front {
    let webhooks = web::Data::from(Arc::clone(webhooks));
    Front::new(move |routes| {
        routes
            .state(webhooks.clone())
            .post("/webhooks/token-review/{cluster}", REVIEW, token_review)
            .elsewhere("", ELSEWHERE);
    })
}
