//! Refusals as this API words them; what each answers is the edge's.

pub(crate) use remotegpu_edge::{ApiError, ErrorCode, FieldError};
use remotegpu_primitives::NamespaceId;
use remotegpu_scopes::{ScopesError, field_of_namespace};

/// What [`remotegpu_scopes::Scopes::parse`] refused (contract K10 to K12).
pub(crate) fn scopes_error(error: &ScopesError) -> ApiError {
    let code = match error {
        ScopesError::UnknownNamespaces(_) => ErrorCode::ForeignNamespace,
        _ => ErrorCode::InvalidScopes,
    };
    let fields = error.fields().iter();
    ApiError::new(code, error.to_string()).with_fields(
        fields
            .map(|error| FieldError::new(&error.field, &error.message))
            .collect(),
    )
}

/// Namespaces that are not the account's, named by their places in the payload
/// (contract K12).
pub(crate) fn foreign_namespaces(scopes: &str, ids: &[NamespaceId]) -> ApiError {
    let fields = ids.iter().map(|id| {
        FieldError::new(
            field_of_namespace(scopes, *id),
            "is not a namespace of this account",
        )
    });
    ApiError::from(ErrorCode::ForeignNamespace).with_fields(fields.collect())
}
