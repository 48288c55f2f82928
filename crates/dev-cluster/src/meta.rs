//! Small things every object needs: ids, times, names and their rules.

use serde_json::Value;

use crate::error::{ApiError, ApiResult};
use crate::kinds::{Kind, RBAC};

pub(crate) fn new_uid() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

/// `2026-01-31T12:00:00Z`, Kubernetes' form.
pub(crate) fn timestamp(unix: i64) -> String {
    let when = time::OffsetDateTime::from_unix_timestamp(unix).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    when.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

pub(crate) fn now() -> String {
    timestamp(unix_now())
}

/// Characters that make no words and cannot be mistaken for one another, as Kubernetes picks them.
pub(crate) fn random_suffix(length: usize) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut draw = || char::from(ALPHABET[rand::random::<u32>() as usize % ALPHABET.len()]);
    std::iter::repeat_with(&mut draw).take(length).collect()
}

pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// Whether the object is deleted already, and only waits for something.
pub(crate) fn is_going(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// Kubernetes bounds the parts of a subdomain only by the whole.
fn is_part(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: Option<char>| c.is_some_and(|c| c != '-');
    name.chars().all(inner) && edge(name.chars().next()) && edge(name.chars().last())
}

/// Refuses a name that the kind does not take, in Kubernetes' words.
pub(crate) fn check_name(kind: &Kind, name: &str) -> ApiResult<()> {
    const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
        and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
        validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
        '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
        validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    const SERVICE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
        alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used \
        for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    let refuse = |why: &str| {
        let message = format!("Invalid value: {name:?}: {why}");
        Err(ApiError::invalid(kind, name, &[("FieldValueInvalid", "metadata.name", message)]))
    };
    if name.is_empty() {
        let message = "Required value: name or generateName is required".to_owned();
        return Err(ApiError::invalid(kind, "", &[("FieldValueRequired", "metadata.name", message)]));
    }
    let label = name.len() <= 63 && is_part(name);
    let subdomain = name.len() <= 253 && name.split('.').all(is_part);
    match kind.plural {
        _ if kind.group == RBAC && matches!(name, "." | "..") => refuse(&format!("may not be '{name}'")),
        _ if kind.group == RBAC && name.contains(['/', '%']) => refuse("may not contain '/' or '%'"),
        _ if kind.group == RBAC => Ok(()),
        "namespaces" if name.len() > 63 => refuse("must be no more than 63 characters"),
        "namespaces" if !label => refuse(LABEL),
        "services" if !label || !name.starts_with(|c: char| c.is_ascii_lowercase()) => refuse(SERVICE),
        "namespaces" | "services" => Ok(()),
        _ if subdomain => Ok(()),
        _ => refuse(SUBDOMAIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    #[test]
    fn names_follow_their_kind() {
        let long = "x".repeat(64);
        for (plural, name, good) in [
            ("namespaces", "team-ml", true),
            ("namespaces", "team.ml", false),
            ("namespaces", "Team", false),
            ("namespaces", "-a", false),
            ("namespaces", long.as_str(), false),
            ("services", "1a", false),
            ("services", "a1", true),
            ("pods", "a.b-c", true),
            ("pods", "a..b", false),
            ("pods", "", false),
            ("clusterroles", "remotegpu:tenant", true),
            ("clusterroles", "a/b", false),
        ] {
            assert_eq!(check_name(kinds::by_plural(plural), name).is_ok(), good, "{plural} {name}");
        }
    }

    #[test]
    fn generated_suffixes_have_their_length() {
        assert_eq!(random_suffix(5).len(), 5);
        assert_ne!(random_suffix(12), random_suffix(12));
    }
}
