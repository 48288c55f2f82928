//! Tokens of service accounts: JSON Web Tokens signed with ES256, with Kubernetes' own claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// For whom a token is made.
pub(crate) struct Subject<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
}

/// What a valid token says. Whether its service account still lives is not known here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub id: String,
    pub audiences: Vec<String>,
}

/// Signs a token that is valid from `now` for `seconds`; both count seconds since 1970.
pub(crate) fn sign(key: &SigningKey, subject: &Subject, audiences: &[String], now: i64, seconds: i64) -> String {
    let Subject { namespace, name, uid } = subject;
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": key_id(key.verifying_key())});
    let claims = json!({
        "iss": ISSUER,
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
        "aud": audiences,
        "iat": now,
        "nbf": now,
        "exp": now + seconds,
        "jti": crate::meta::new_uid(),
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
    });
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// The claims of a token that is signed with `key`, valid now and made by us.
pub(crate) fn verify(key: &VerifyingKey, token: &str, now: i64) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
    if header["alg"] != "ES256" {
        return None;
    }
    let signature = Signature::from_slice(&decode(signature)?).ok()?;
    key.verify(signed.as_bytes(), &signature).ok()?;
    let claims: Value = serde_json::from_slice(&decode(claims)?).ok()?;
    let alive = claims["nbf"].as_i64()? <= now && now < claims["exp"].as_i64()?;
    if !alive || claims["iss"] != ISSUER {
        return None;
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let bound = &claims["kubernetes.io"];
    Some(Claims {
        namespace: text(&bound["namespace"])?,
        name: text(&bound["serviceaccount"]["name"])?,
        uid: text(&bound["serviceaccount"]["uid"])?,
        id: text(&claims["jti"])?,
        audiences: claims["aud"].as_array()?.iter().filter_map(text).collect(),
    })
}

/// A short name of the key; the public point's first bytes are as good as a digest of it.
fn key_id(key: &VerifyingKey) -> String {
    URL_SAFE_NO_PAD.encode(key.to_encoded_point(true).as_bytes().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_valid_in_its_time_with_its_key_only() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let other = SigningKey::from_slice(&[8; 32]).unwrap();
        let subject = Subject { namespace: "team", name: "bot", uid: "u-1" };
        let token = sign(&key, &subject, &[ISSUER.to_owned()], 1_000, 600);
        let check = |token: &str, key: &SigningKey, now| verify(key.verifying_key(), token, now).is_some();
        for (now, valid) in [(999, false), (1_000, true), (1_599, true), (1_600, false)] {
            assert_eq!(check(&token, &key, now), valid, "at {now}");
        }
        assert!(!check(&token, &other, 1_100));
        assert!(!check(&token[..token.len() - 2], &key, 1_100));
        assert!(!check("", &key, 1_100));
        assert!(!check("a.b.c", &key, 1_100));
        let claims = verify(key.verifying_key(), &token, 1_100).unwrap();
        assert_eq!((claims.namespace.as_str(), claims.name.as_str(), claims.uid.as_str()), ("team", "bot", "u-1"));
    }

    #[test]
    fn unsigned_algorithm_is_refused() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let subject = Subject { namespace: "team", name: "bot", uid: "u-1" };
        let token = sign(&key, &subject, &[ISSUER.to_owned()], 1_000, 600);
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let forged = format!("{none}{}", &token[token.find('.').unwrap()..]);
        assert!(verify(key.verifying_key(), &forged, 1_100).is_none());
    }
}
