//! Media types by the rules of Go's `mime.ParseMediaType`, which most programs around Kubernetes
//! read them by.

/// What is wrong with a `content-type` or a `content-disposition`, if anything.
pub fn media_type_fault(value: &str) -> Option<&'static str> {
    let (name, mut rest) = value.split_at(value.find(';').unwrap_or(value.len()));
    let name = name.trim();
    let is_whole = match name.split_once('/') {
        Some((kind, subtype)) => is_token(kind) && is_token(subtype),
        None => is_token(name),
    };
    if !is_whole {
        return Some("its name is no token, slash and token");
    }
    let mut seen = Vec::new();
    while !rest.trim().is_empty() && rest.trim() != ";" {
        let Some((key, behind)) = parameter(rest.trim_start()) else {
            return Some("a parameter is no token, equals sign and token or quoted text");
        };
        let key = key.to_ascii_lowercase();
        if seen.contains(&key) {
            return Some("a parameter stands there twice");
        }
        seen.push(key);
        rest = behind;
    }
    None
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// A token that the text begins with, and what is behind it.
fn token(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !is_token_byte(byte));
    let (token, behind) = text.split_at(end.unwrap_or(text.len()));
    (!token.is_empty()).then_some((token, behind))
}

/// A parameter's name, and what is behind its value.
fn parameter(text: &str) -> Option<(&str, &str)> {
    let (key, behind) = token(text.strip_prefix(';')?.trim_start())?;
    let value = behind.trim_start().strip_prefix('=')?.trim_start();
    let behind = match value.strip_prefix('"') {
        Some(quoted) => behind_quoted(quoted)?,
        None => token(value)?.1,
    };
    Some((key, behind))
}

fn behind_quoted(text: &str) -> Option<&str> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(&text[at + 1..]),
            b'\\' => drop(bytes.next()),
            b'\r' | b'\n' => return None,
            _ => {}
        }
    }
    None
}

#[test]
fn media_types_are_judged_as_go_judges_them() {
    // What `mime.ParseMediaType` of Go 1.26 has said to each.
    for value in [
        "application/json",
        "text/plain; charset=utf-8",
        "text/plain;charset=\"utf-8\"",
        "Application/JSON ; g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
        "attachment; filename=\"kubeconfig-team-ml.yaml\"",
        "attachment; filename=\"a \\\" b; c\"",
        "text/html;",
    ] {
        assert_eq!(media_type_fault(value), None, "{value}");
    }
    for value in [
        "",
        ";",
        "application/",
        "/json",
        "application/json/more",
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
        "text/plain, text/html",
        "text plain",
        "text/pl\u{e4}in",
        "text/plain; charset",
        "text/plain; charset=",
        "text/plain; charset=\"utf-8",
        "text/plain; charset=utf-8; Charset=latin1",
        "text/plain; =utf-8",
        "text/plain charset=utf-8",
        "text/plain; charset=utf/8",
    ] {
        assert!(media_type_fault(value).is_some(), "{value}");
    }
}
