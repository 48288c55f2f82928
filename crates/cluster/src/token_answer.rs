//! What a cluster answers to a `TokenRequest`, read leniently and judged
//! strictly (contract X6, X8).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use remotegpu_namespaces::{MintError, MintedToken, PlainClusterToken};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// The longest token that fits a header of the usual servers.
const LONGEST: usize = 16 * 1024;

/// The request for a token that lives so long. It names no audience: the API
/// server's own is the default. It is written by hand, because a typed answer
/// could give a missing expiration a value.
pub(crate) fn token_request(lifetime: Duration) -> TokenRequest {
    TokenRequest {
        api_version: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: Spec {
            expiration_seconds: lifetime.whole_seconds(),
        },
    }
}

/// `TokenRequest` as it is asked for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenRequest {
    api_version: &'static str,
    kind: &'static str,
    spec: Spec,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    expiration_seconds: i64,
}

/// What of an answer is read; the rest is passed over, which is most of it.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    status: Value,
}

/// What of a token's claims is read.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    jti: Value,
}

/// Reads an object. A list, which serde would take for one too, is none.
fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    let is_object = json.trim_ascii_start().first() == Some(&b'{');
    is_object.then(|| serde_json::from_slice(json).ok())?
}

/// Reads the answer. No error says anything about what was in it (contract X8).
pub(crate) fn read_token(answer: Option<&[u8]>) -> Result<MintedToken, MintError> {
    let answer: Option<TokenAnswer> = answer.and_then(object);
    let status = answer.ok_or(MintError::Unusable)?.status;
    if !status.is_object() {
        return Err(MintError::Unusable);
    }
    // X6: a missing expiration has a sentence of its own.
    let expires_at = match &status["expirationTimestamp"] {
        Value::Null => return Err(MintError::NoExpiration),
        Value::String(text) if text.is_empty() => return Err(MintError::NoExpiration),
        Value::String(text) => text,
        _ => return Err(MintError::Unusable),
    };
    let expires_at =
        OffsetDateTime::parse(expires_at, &Rfc3339).map_err(|_| MintError::Unusable)?;
    let token = status["token"].as_str().filter(|token| is_token(token));
    let token = token.ok_or(MintError::Unusable)?.to_owned();
    Ok(MintedToken {
        token_id: token_id(&token),
        token: PlainClusterToken::new(token),
        expires_at,
    })
}

/// The longest `jti` that is kept: an API server's is a UUID.
const LONGEST_ID: usize = 64;

/// The token's `jti`, where the token is one that has it. Nothing is verified: the
/// cluster has just made it, and the name only finds it again in the cluster's own
/// audit log. A name of other characters could be anything, and is none.
fn token_id(token: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Claims = object(&claims)?;
    let fits = |id: &&str| {
        (1..=LONGEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    claims.jti.as_str().filter(fits).map(str::to_owned)
}

fn is_token(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn read(status: &Value) -> Result<MintedToken, MintError> {
        let answer = json!({"kind": "TokenRequest", "status": status});
        read_token(Some(answer.to_string().as_bytes()))
    }

    #[test]
    fn a_whole_answer_is_a_token() {
        let minted =
            read(&json!({"token": "aZ0.b_c-d", "expirationTimestamp": "2026-01-01T01:00:00Z"}));
        let minted = minted.unwrap();
        assert_eq!(minted.token.reveal(), "aZ0.b_c-d");
        assert_eq!(minted.expires_at, datetime!(2026-01-01 01:00 UTC));
    }

    #[test]
    fn an_answer_without_an_expiration_is_told_apart() {
        // X6
        for status in [
            json!({"token": "a"}),
            json!({"token": "a", "expirationTimestamp": null}),
            json!({"token": "a", "expirationTimestamp": ""}),
        ] {
            let shown = status.to_string();
            assert!(
                matches!(read(&status), Err(MintError::NoExpiration)),
                "{shown}"
            );
        }
    }

    #[test]
    fn an_odd_answer_is_unusable_and_says_nothing_of_itself() {
        // X8
        let at = "2026-01-01T01:00:00Z";
        let long = "a".repeat(LONGEST + 1);
        for status in [
            json!(null),
            json!("canary"),
            json!(["canary"]),
            json!({"token": "canary", "expirationTimestamp": "tomorrow"}),
            json!({"token": "canary", "expirationTimestamp": 1}),
            json!({"expirationTimestamp": at}),
            json!({"token": "", "expirationTimestamp": at}),
            json!({"token": 1, "expirationTimestamp": at}),
            json!({"token": "canary canary", "expirationTimestamp": at}),
            json!({"token": "canary\n", "expirationTimestamp": at}),
            json!({"token": "canäry", "expirationTimestamp": at}),
            json!({"token": "canary=", "expirationTimestamp": at}),
            json!({"token": long, "expirationTimestamp": at}),
        ] {
            let shown = status.to_string();
            let error = read(&status).unwrap_err();
            assert!(matches!(error, MintError::Unusable), "{shown}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{shown}");
        }
        assert!(matches!(read_token(None), Err(MintError::Unusable)));
        for odd in ["", "1", "null", "[]", r#"[{"token": "a"}]"#, "{", "<html>"] {
            let read = read_token(Some(odd.as_bytes()));
            assert!(matches!(read, Err(MintError::Unusable)), "{odd}");
        }
    }

    #[test]
    fn a_token_says_what_it_is_called_where_it_does() {
        // R5
        let token = |claims: &Value| {
            let encoded = URL_SAFE_NO_PAD.encode(claims.to_string());
            token_id(&format!("h.{encoded}.s"))
        };
        let id = "6a1c2f0e-6b0c-4d3e-9e63-0b8a5f4d9c11";
        assert_eq!(token(&json!({"jti": id, "sub": "x"})).as_deref(), Some(id));
        for claims in [
            json!({}),
            json!({"jti": 7}),
            json!({"jti": ""}),
            json!({"jti": "a b"}),
            json!({"jti": "a".repeat(LONGEST_ID + 1)}),
            json!(["jti"]),
        ] {
            assert_eq!(token(&claims), None, "{claims}");
        }
        for odd in ["", "a", "a.b", "a.!.c", "..."] {
            assert_eq!(token_id(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_request_asks_for_seconds_and_no_audience() {
        // X8
        let request = serde_json::to_value(token_request(Duration::seconds(3600))).unwrap();
        assert_eq!(
            request,
            json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                "spec": {"expirationSeconds": 3600},
            })
        );
    }
}
