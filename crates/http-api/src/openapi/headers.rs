//! The headers that answers have in common (contract C3, C7).

use remotegpu_edge::RoutePolicy;
use utoipa::openapi::{
    Components, Header, Object, ObjectBuilder, Ref, RefOr, Response, Type, extensions::Extensions,
};

use crate::problem;

const REQUEST_ID: &str = "RequestId";
const TIME: &str = "Time";
const NO_STORE: &str = "NoStore";
const CHALLENGE: &str = "Challenge";
const RETRY_AFTER: &str = "RetryAfter";

/// Describes each header once.
pub(super) fn define(components: &mut Components) {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let usual = |value: &str| text().examples([value]).build();
    let whole = || {
        let integer = ObjectBuilder::new().schema_type(Type::Integer);
        integer.minimum(Some(1)).build()
    };
    let id = text().pattern(Some("^[A-Za-z0-9._-]{1,128}$"));
    for (name, schema, description) in [
        (
            REQUEST_ID,
            id.build(),
            "The request's own, if it sent one that fits; else a new one.",
        ),
        (TIME, whole(), "The server's clock, in seconds since 1970."),
        (
            NO_STORE,
            usual("no-store"),
            "The answer is for the caller alone.",
        ),
        (
            CHALLENGE,
            usual(problem::CHALLENGE),
            "How to prove who is calling.",
        ),
        (
            RETRY_AFTER,
            whole(),
            "How many seconds to wait before coming again.",
        ),
    ] {
        let header = RefOr::T(required(schema, description));
        components.headers.insert(name.to_owned(), header);
    }
}

/// The library's type knows no `required`; whatever it does not know passes
/// through its extensions.
fn required(schema: Object, description: &str) -> Header {
    let mut header = Header::new(schema);
    header.description = Some(description.to_owned());
    header.extensions = Some(Extensions::from_iter([("required", true)]));
    header
}

/// Adds the headers that every answer of this route and status has.
pub(super) fn add(policy: RoutePolicy, status: &str, response: &mut Response) {
    for (holds, header, name) in [
        (true, "x-request-id", REQUEST_ID),
        (true, "x-remotegpu-time", TIME),
        (policy.no_store, "cache-control", NO_STORE),
        (status == "401", "www-authenticate", CHALLENGE),
        (matches!(status, "429" | "503"), "retry-after", RETRY_AFTER),
    ] {
        if holds {
            let reference = Ref::new(format!("#/components/headers/{name}"));
            let reference = RefOr::Ref(reference);
            response.headers.insert(header.to_owned(), reference);
        }
    }
}
