//! Texts whose rules no length can say. The patterns are exact: what they match
//! passes, and nothing else does. They are ECMA-262 with the flag `u`, as JSON
//! Schema has them.

use remotegpu_access_tokens::TokenNote;
use remotegpu_accounts::Email;
use remotegpu_keys::KeyName;
use remotegpu_namespaces::NamespaceName;
use utoipa::openapi::{Object, ObjectBuilder, Type, schema::SchemaType};

/// `White_Space`, which is trimmed, as the inside of a class of characters.
const BLANK: &str =
    r"\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// Control characters (Cc).
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
/// What turns the reading direction, or breaks a line.
const TURNING: &str = r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069";
/// What has a meaning of its own in a list of addresses.
const SPECIAL: &str = r#"@<>()\[\],;:\\""#;

/// Contract K4.
pub(crate) fn key_name() -> Object {
    let most = KeyName::MAX_CHARS;
    let description = format!("1 to {most} characters once trimmed, all of them on one line.");
    text("ci", &description, &one_line(most))
}

/// Contract T5: a name's characters, and there may be none.
pub(crate) fn token_note() -> Object {
    let most = TokenNote::MAX_CHARS;
    let description = format!("At most {most} characters once trimmed, all of them on one line.");
    let line = one_line(most);
    let inside = line.trim_start_matches('^').trim_end_matches('$');
    let mut note = text(
        "my laptop",
        &description,
        &format!("^({inside}|[{BLANK}]*)$"),
    );
    note.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
    note
}

/// What a key's name is to a key, to an account.
pub(crate) fn account_name() -> Object {
    let description = "1 to 64 characters once trimmed, all of them on one line.";
    text("Analytical Engines", description, &one_line(64))
}

/// An address to sign in with.
pub(crate) fn email() -> Object {
    let part = format!("[^{BLANK}{CONTROL}{SPECIAL}]+");
    let length = format!("[^{BLANK}]{{3,{}}}[{BLANK}]*$", Email::MAX_CHARS);
    let pattern = format!("^[{BLANK}]*(?={length}){part}@{part}[{BLANK}]*$");
    let description = "Trimmed and taken in lower case.";
    text("ada@example.org", description, &pattern)
}

/// Contract N2.
pub(crate) fn namespace_name() -> Object {
    let description = "A lowercase DNS label, but not `all`, `default` or `kube-...`.";
    let inside = NamespaceName::MAX_LEN - 2;
    let label = format!("[a-z0-9]([a-z0-9-]{{0,{inside}}}[a-z0-9])?");
    let pattern = format!("^(?!(all|default)$|kube-){label}$");
    text("team-ml", description, &pattern)
}

/// Trimmed and not empty, with nothing in it that breaks a line or turns the
/// reading direction.
fn one_line(most: usize) -> String {
    let inside = most - 2;
    let (any, end) = (
        format!("[^{CONTROL}{TURNING}]"),
        format!("[^{BLANK}{CONTROL}{TURNING}]"),
    );
    format!("^[{BLANK}]*{end}({any}{{0,{inside}}}{end})?[{BLANK}]*$")
}

fn text(example: &str, description: &str, pattern: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
        .examples([example])
        .build()
}
