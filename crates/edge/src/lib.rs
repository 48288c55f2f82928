//! The way in and out of every request, whichever front answers it: listeners and
//! their deadlines, the request's id and host, cross-site requests, who is calling,
//! the policy of each route, and what a refusal answers.
//!
//! A front ([`Front`]) lists its routes, each with its [`RoutePolicy`], and says in
//! which shape its errors are. The edge knows no route and no rule of the product.

#![deny(missing_docs)]

mod credential;
mod edge;
mod error;
mod extract;
mod front;
mod middleware;
mod policy;
mod public_url;
mod readiness;
mod request_metrics;
mod route_table;
mod server;

pub use credential::{Credential, Place, Scheme, Secret};
pub use edge::{Edge, EdgeConfig, EdgePorts, rng};
pub use error::{ApiError, ErrorCode, FieldError, Refused};
pub use extract::{
    Client, ClusterCaller, KeyCaller, PathId, PathParameter, Query, ServiceUserId, SessionCaller,
    UnreadBody, Visitor, cookie_name, session_cookies,
};
pub use front::{Front, Routes};
pub use policy::{Csrf, Deadline, ErrorShape, RoutePolicy, WorkClass};
pub use public_url::{ExtraHost, InvalidExtraHost, InvalidPublicUrl, PublicUrl};
pub use readiness::{Readiness, Ready, Unready};
pub use request_metrics::RequestMetrics;
pub use server::{ServerLimits, ServerStopper, internal_server, public_server, webhook_server};
