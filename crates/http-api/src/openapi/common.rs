//! What the description of every route has in common.

use remotegpu_edge::{
    ApiError, Credential, ErrorCode, RoutePolicy, Scheme, WorkClass, cookie_name,
};
use utoipa::openapi::{
    ArrayBuilder, Components, Content, Object, OpenApi, Ref, RefOr, Required, Response, Schema,
    path::{Operation, PathItem},
    security::{
        ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
    },
};

use super::headers;
use crate::problem::{self, Problem};

/// Adds the ways to prove who is calling, and the headers that answers have.
pub(super) fn complete(document: &mut OpenApi) {
    add_security(document);
    let components = document.components.get_or_insert_default();
    headers::define(components);
    refer_to_items(components);
    write_out(components);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            // A body of which nothing has to be there may be left out itself.
            if let Some(RefOr::T(body)) = &mut operation.request_body
                && body
                    .content
                    .values()
                    .all(|content| may_be_empty(content, components))
            {
                body.required = Some(Required::False);
            }
        }
    }
}

/// The library writes the items of a generic list out; clients want one type for what is
/// created and what is listed.
fn refer_to_items(components: &mut Components) {
    for (name, schema) in &mut components.schemas {
        if let Some(item) = name.strip_prefix("ListResponse_")
            && let RefOr::T(Schema::Object(list)) = schema
        {
            let items = ArrayBuilder::new().items(Ref::from_schema_name(item));
            list.properties.insert("items".to_owned(), items.into());
        }
    }
}

/// The library describes a flattened member as `allOf`, of which generators of clients forget
/// what may be `null`: it is written out.
fn write_out(components: &mut Components) {
    let named = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        let RefOr::T(Schema::AllOf(all)) = schema else {
            continue;
        };
        let mut whole = Object::default();
        whole.description.clone_from(&all.description);
        for part in &all.items {
            let part = match part {
                RefOr::Ref(reference) => named.get(name_in(reference)),
                RefOr::T(_) => Some(part),
            };
            if let Some(RefOr::T(Schema::Object(part))) = part {
                whole.required.extend_from_slice(&part.required);
                whole.properties.extend(part.properties.clone());
            }
        }
        *schema = RefOr::T(whole.into());
    }
}

fn name_in(reference: &Ref) -> &str {
    let location = &reference.ref_location;
    location.rsplit('/').next().unwrap_or_default()
}

fn may_be_empty(content: &RefOr<Content>, components: &Components) -> bool {
    let RefOr::T(Content {
        schema: Some(RefOr::Ref(reference)),
        ..
    }) = content
    else {
        return false;
    };
    match components.schemas.get(name_in(reference)) {
        Some(RefOr::T(Schema::Object(object))) => {
            object.required.is_empty() && object.min_properties.is_none()
        }
        _ => false,
    }
}

fn add_security(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
        cookie_name(true),
        "A browser's session; `remotegpu_session` where the server is reached over http on loopback.",
    ));
    let bearer = |description: &str| {
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(description))
                .build(),
        )
    };
    let key = ApiKeyValue::with_description("x-api-key", "An API key.");
    for scheme in Scheme::ALL {
        let described = match scheme {
            Scheme::SessionCookie => SecurityScheme::ApiKey(cookie.clone()),
            Scheme::SessionBearer => {
                bearer("The `access_token` of a sign-in with `\"cookie\": false`.")
            }
            Scheme::ServiceUserBearer => {
                bearer("A service user's token, which begins with `rgsu_`.")
            }
            Scheme::ApiKeyHeader => SecurityScheme::ApiKey(ApiKey::Header(key.clone())),
            Scheme::ApiKeyBearer => bearer("An API key, which begins with `rgpu_`."),
        };
        components.add_security_scheme(scheme.name(), described);
    }
}

pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

/// Adds the errors that any route of a kind answers, and what answers have in common.
pub(super) fn add_errors(policy: RoutePolicy, operation: &mut Operation) {
    let is_probe = policy.class == WorkClass::Probe;
    let schemes = policy.credentials.iter().flat_map(|kind| kind.schemes());
    let ways = schemes.map(|scheme| SecurityRequirement::new(scheme.name(), [""; 0]));
    // Whoever has nothing may come as well.
    let is_open = policy.credentials.contains(&Credential::Nothing);
    let ways = ways.chain(is_open.then(SecurityRequirement::default));
    // An empty list says that none is needed; nothing at all would say nothing.
    operation.security = Some(ways.collect());
    let for_people = policy.credentials.contains(&Credential::PersonsSession);
    let by_session = for_people || policy.credentials.contains(&Credential::Session);
    let by_key = policy.credentials.contains(&Credential::ApiKey);
    let changes = operation.request_body.is_some();
    // The library keeps its types' fields to itself; their JSON shows them.
    let parameters = serde_json::to_string(&operation.parameters).unwrap_or_default();
    let asks = parameters.contains("\"in\":\"query\"");
    let usual = [
        (changes, "400", "`invalid_body`, `invalid_field`"),
        (asks && !changes, "400", "`invalid_field`"),
        (
            by_session,
            "401",
            "`missing_access_token`, `invalid_access_token`",
        ),
        (by_key, "401", "`missing_api_key`, `invalid_api_key`"),
        (
            for_people,
            "403",
            "`role_too_small`, `password_change_required`, `csrf`, `not_for_service_users`",
        ),
        (
            by_session,
            "403",
            "`role_too_small`, `password_change_required`, `csrf`",
        ),
        (changes, "413", "`body_too_large`"),
        (changes, "415", "`unsupported_media_type`"),
        (!is_probe, "421", "`misdirected`"),
        (!is_probe, "500", "`internal`"),
        (!is_probe, "503", "`database_unavailable`, `overloaded`"),
    ];
    for (holds, status, codes) in usual {
        if holds {
            let known = &mut operation.responses.responses;
            known
                .entry(status.to_owned())
                .or_insert_with(|| RefOr::T(Response::new(codes)));
        }
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        headers::add(policy, status, response);
        if status.as_str() >= "400" {
            let document = problem_content(&response.description);
            let media_type = problem::MEDIA_TYPE.to_owned();
            response.content.insert(media_type, RefOr::T(document));
        }
    }
}

/// A problem document, with the first code that the description names as its
/// example.
fn problem_content(description: &str) -> Content {
    let named = description.split('`').nth(1);
    let code = ErrorCode::ALL
        .iter()
        .find(|code| Some(code.as_str()) == named);
    let example = code.and_then(|code| {
        let error = ApiError::from(*code);
        serde_json::to_value(Problem::new(&error, "0198c0de-0000-7000-8000-000000000000")).ok()
    });
    Content::builder()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(example)
        .build()
}
