//! Refusals as this API words them; what each answers is the edge's.

use crate::v1::fields::Fields;
use remotegpu_edge::{ApiError, ErrorCode, FieldError};
use remotegpu_primitives::NamespaceId;
use remotegpu_scopes::{self as scopes, ScopesError, refused_namespaces};

/// What [`remotegpu_scopes::Scopes::parse`] refused (contract K10 to K12). The four
/// sentences of K10 stand before all that is wrong elsewhere.
pub(crate) fn refuse_scopes(fields: &mut Fields, error: &ScopesError) {
    use ScopesError as E;
    let code = match error {
        E::UnknownNamespaces { .. } => ErrorCode::ForeignNamespace,
        _ => ErrorCode::InvalidScopes,
    };
    let single = named(error.fields());
    let alone = ApiError::new(code, error.to_string()).with_fields(single.clone());
    let (ids, one) = (
        "scopes.kubernetes_exec.namespace_ids",
        "must name one of all, inference and kubernetes_exec",
    );
    let (named, is_first) = match error {
        E::Empty | E::Mixed | E::AllCombined => (vec![FieldError::new("scopes", one)], true),
        E::NoNamespace => {
            let message = "must name a namespace, unless all_namespaces is true";
            (vec![FieldError::new(ids, message)], true)
        }
        E::AllNamespacesCombined => {
            let message = "must not stand beside all_namespaces";
            (vec![FieldError::new(ids, message)], false)
        }
        E::TooManyNamespaces => (vec![FieldError::new(ids, "must be 100 at the most")], false),
        E::Members(_) | E::UnknownNamespaces { .. } => (single, false),
    };
    fields.refuse_all("scopes", alone, named, is_first);
}

/// Namespaces that are not the account's, named by their places in the payload
/// (contract K12), with what is no identifier at all.
pub(crate) fn foreign_namespaces(scopes: &str, ids: &[NamespaceId]) -> ApiError {
    let fields = named(&refused_namespaces(scopes, ids));
    ApiError::from(ErrorCode::ForeignNamespace).with_fields(fields)
}

fn named(errors: &[scopes::FieldError]) -> Vec<FieldError> {
    let named = |error: &scopes::FieldError| FieldError::new(&error.field, &error.message);
    errors.iter().map(named).collect()
}
