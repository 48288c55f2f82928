//! Passwords in addresses, which nothing that is printed repeats.

use std::{borrow::Cow, ffi::OsStr};

use url::form_urlencoded;

const HIDDEN: &str = "hidden";

/// A value as it may be shown: without the password of an address, or of what looks like one.
pub fn without_passwords(value: &str) -> String {
    // An `@` in a parameter would be taken for the end of a password before the host.
    let value = hide_parameters(value);
    hide_userinfo(&value).into_owned()
}

/// A sentence that may repeat what this process was given: as a whole, for who writes blanks
/// into a password, and then word by word.
pub fn sentence_without_passwords(sentence: &str) -> String {
    let mut sentence = sentence.to_owned();
    for given in given() {
        let shown = without_passwords(&given);
        if shown != given {
            sentence = sentence.replace(&given, &shown);
        }
    }
    let words = sentence.split_inclusive(char::is_whitespace);
    words.map(without_passwords).collect()
}

/// The values of all arguments and of all variables of ours.
fn given() -> Vec<String> {
    let arguments = std::env::args_os().skip(1).map(|argument| {
        let argument = argument.to_string_lossy().into_owned();
        match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => value.to_owned(),
            _ => argument,
        }
    });
    let ours = |name: &OsStr| name.to_string_lossy().starts_with("REMOTEGPU_");
    let variables = std::env::vars_os().filter(|(name, _)| ours(name));
    let variables = variables.map(|(_, value)| value.to_string_lossy().into_owned());
    arguments.chain(variables).collect()
}

/// Up to the last `@`, whatever a password holds: it need not be well-formed.
fn hide_userinfo(value: &str) -> Cow<'_, str> {
    let Some(at) = value.rfind('@') else {
        return value.into();
    };
    let (before, host) = value.split_at(at);
    let begin = before.find("://").map_or(0, |colon| colon + "://".len());
    let scheme = before[..begin].to_ascii_lowercase();
    // Over HTTP the name may be the secret.
    let shown = if scheme.ends_with("http://") || scheme.ends_with("https://") {
        begin
    } else if let Some(colon) = before[begin..].find(':') {
        begin + colon + 1
    } else {
        return value.into();
    };
    format!("{}{HIDDEN}{host}", &before[..shown]).into()
}

/// libpq's way of saying it a second time: `password=`, and `sslpassword=` for a key. A
/// parameter's name may be written with percent signs.
fn hide_parameters(value: &str) -> Cow<'_, str> {
    let Some((before, parameters)) = value.split_once('?') else {
        return hide_plain_parameters(value);
    };
    let hidden = parameters.split('&').map(|pair| {
        let (name, held) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = form_urlencoded::parse(name.as_bytes()).next();
        let is_password =
            decoded.is_some_and(|(name, _)| name.to_ascii_lowercase().ends_with("password"));
        if is_password {
            // What ends a quotation in a sentence.
            let end = held.trim_end_matches(['"', ',', '.', ':', '\n']);
            format!("{name}={HIDDEN}{}", &held[end.len()..])
        } else {
            hide_plain_parameters(pair).into_owned()
        }
    });
    let hidden: Vec<String> = hidden.collect();
    format!("{before}?{}", hidden.join("&")).into()
}

/// The same in what is no address.
fn hide_plain_parameters(value: &str) -> Cow<'_, str> {
    const NAME: &str = "password=";
    let Some(found) = value.to_ascii_lowercase().find(NAME) else {
        return value.into();
    };
    let (before, rest) = value.split_at(found + NAME.len());
    let end = rest.find('&').unwrap_or(rest.len());
    let after = hide_plain_parameters(&rest[end..]);
    format!("{before}{HIDDEN}{after}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_hidden() {
        // R3
        for (value, shown) in [
            ("postgres://ada:canary@db/x", "postgres://ada:hidden@db/x"),
            ("postgres://ada:can@a/ry@db/x", "postgres://ada:hidden@db/x"),
            (
                "postgres://ada:can ary@[db/x",
                "postgres://ada:hidden@[db/x",
            ),
            ("postgres://ada@db/x", "postgres://ada@db/x"),
            (
                "postgres://db/x?sslmode=require&password=canary&port=1",
                "postgres://db/x?sslmode=require&password=hidden&port=1",
            ),
            (
                "postgres://db/x?sslPassword=canary",
                "postgres://db/x?sslPassword=hidden",
            ),
            (
                "postgres://ada:pw@db:5432/x?password=s3@canary",
                "postgres://ada:hidden@db:5432/x?password=hidden",
            ),
            (
                "postgres://db:5432/x?password=a@canary&port=1",
                "postgres://db:5432/x?password=hidden&port=1",
            ),
            (
                "postgres://db/x?pass%77ord=canary",
                "postgres://db/x?pass%77ord=hidden",
            ),
            (
                "postgres://db/x?password=a\"canary",
                "postgres://db/x?password=hidden",
            ),
            ("host=db password=canary", "host=db password=hidden"),
            (
                "https://ada:canary@example.org",
                "https://hidden@example.org",
            ),
            ("https://canary@example.org", "https://hidden@example.org"),
            ("ada:canary@example.org", "ada:hidden@example.org"),
            (
                "https://example.org:443/path",
                "https://example.org:443/path",
            ),
            ("ada@example.org", "ada@example.org"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("", ""),
        ] {
            assert_eq!(without_passwords(value), shown);
        }
    }

    #[test]
    fn a_sentence_keeps_its_other_words() {
        let said = "listen: \"postgres://ada:canary@db/x\" is wrong: ask admin@localhost\n";
        assert_eq!(
            sentence_without_passwords(said),
            "listen: \"postgres://ada:hidden@db/x\" is wrong: ask admin@localhost\n"
        );
    }
}
