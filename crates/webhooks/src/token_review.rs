//! `TokenReview` in and out (contract T6).

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{self, HeaderMap},
    web,
};
use remotegpu_access_tokens::Verdict;
use remotegpu_control_plane::{AskingCluster, ReviewTokenPorts, TokenQuestion, review_token};
use remotegpu_edge::{ApiError, ClusterCaller, ErrorCode, UnreadBody};
use remotegpu_primitives::StoreError;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::webhooks::Webhooks;

const VERSION: &str = "authentication.k8s.io/v1";
const KIND: &str = "TokenReview";

/// What of a review is looked at. Whatever else it holds is a newer Kubernetes' own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    api_version: String,
    kind: String,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default, deserialize_with = "null_as_default")]
    token: String,
    #[serde(default, deserialize_with = "null_as_default")]
    audiences: Vec<String>,
}

/// The answer. The token is not repeated.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    api_version: &'static str,
    kind: &'static str,
    status: Status,
}

#[derive(Serialize)]
struct Status {
    authenticated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    audiences: Vec<String>,
}

#[derive(Serialize)]
struct UserInfo {
    username: String,
    uid: String,
    groups: Vec<String>,
    extra: std::collections::BTreeMap<String, Vec<String>>,
}

/// A review that nobody has read yet.
pub(crate) struct ReviewBody {
    unread: UnreadBody,
    is_json: bool,
}

impl FromRequest for ReviewBody {
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self {
            unread: UnreadBody::of(request, payload),
            is_json: is_json(request.headers()),
        }))
    }
}

pub(crate) async fn token_review(
    ClusterCaller(asking): ClusterCaller,
    cluster: web::Path<String>,
    body: ReviewBody,
    webhooks: web::Data<Webhooks>,
) -> Result<HttpResponse, ApiError> {
    // Another cluster's credential is none.
    if asking.cluster().as_str() != *cluster {
        return Err(ErrorCode::InvalidAccessToken.into());
    }
    let spec = body.read().await?;
    let answered = webhooks.answer(&asking, &spec).await?;
    Ok(HttpResponse::Ok().json(answered))
}

impl Webhooks {
    async fn answer(&self, asking: &AskingCluster, spec: &Spec) -> Result<Answered, StoreError> {
        let ports = ReviewTokenPorts {
            tokens: &*self.ports.tokens,
            cache: &self.ports.cache,
            uses: &self.ports.uses,
        };
        let question = TokenQuestion {
            token: &spec.token,
            asked: &spec.audiences,
            configured: self.audiences_of(asking.cluster()),
        };
        let now = self.ports.clock.now();
        let verdict = review_token(ports, asking, question, now).await?;
        Ok(Answered {
            api_version: VERSION,
            kind: KIND,
            status: verdict.into(),
        })
    }

    /// Answers a cluster within this process: a `TokenReview` goes in, one with a status
    /// comes out.
    pub async fn review_in_process(&self, asking: &AskingCluster, review: &Value) -> Value {
        let told =
            |error: &str| json!({"apiVersion": VERSION, "kind": KIND, "status": {"error": error}});
        // Over the network the edge says so (contract R7).
        if self.ports.restore_notice.is_given() {
            return told("the database was restored");
        }
        let Ok(asked) = Asked::deserialize(review) else {
            return told("the review is none");
        };
        match self.answer(asking, &asked.spec).await {
            Ok(answered) => json!(answered),
            Err(error) => told(&error.to_string()),
        }
    }
}

impl ReviewBody {
    async fn read(self) -> Result<Spec, ApiError> {
        let bytes = self.unread.read().await?;
        if !self.is_json {
            return Err(ErrorCode::UnsupportedMediaType.into());
        }
        read(&bytes)
    }
}

/// What is malformed is said without what it holds, which may be a token.
fn read(bytes: &[u8]) -> Result<Spec, ApiError> {
    let invalid = |detail: &'static str| ApiError::new(ErrorCode::InvalidBody, detail);
    let asked: Asked = serde_json::from_slice(bytes)
        .map_err(|_| invalid("The body is no TokenReview of authentication.k8s.io/v1"))?;
    if asked.kind != KIND {
        return Err(invalid("The body is no TokenReview"));
    }
    if asked.api_version != VERSION {
        return Err(invalid(
            "TokenReviews are taken in the version authentication.k8s.io/v1: start the API server \
             with --authentication-token-webhook-version=v1 and \
             --authentication-token-webhook-cache-ttl=10s",
        ));
    }
    Ok(asked.spec)
}

impl From<Verdict> for Status {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Authenticated { user, audiences } => Self {
                authenticated: true,
                user: Some(UserInfo {
                    username: user.username(),
                    uid: user.uid(),
                    groups: user.groups().into(),
                    extra: [(
                        remotegpu_access_tokens::ClusterUser::TOKEN_EXTRA.to_owned(),
                        vec![user.token().to_string()],
                    )]
                    .into(),
                }),
                audiences,
            },
            // Why is nobody's business; and an error would have the API server ask again.
            Verdict::NotAuthenticated(_) => Self {
                authenticated: false,
                user: None,
                audiences: Vec::new(),
            },
        }
    }
}

/// Kubernetes writes `null` where there is nothing.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE);
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let essence = value
        .to_str()
        .ok()
        .and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
        && !headers.contains_key(header::CONTENT_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(body: &str) -> Result<(String, Vec<String>), String> {
        let read = read(body.as_bytes());
        read.map(|spec| (spec.token, spec.audiences))
            .map_err(|error| error.detail().to_owned())
    }

    #[test]
    fn a_review_may_hold_what_a_newer_kubernetes_adds() {
        // T6
        let (token, audiences) = spec(
            r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1",
                "metadata":{"creationTimestamp":null,"new":1},"other":[],
                "spec":{"token":"a","audiences":["b"],"later":{}},"status":{"user":{}}}"#,
        )
        .unwrap();
        assert_eq!((token.as_str(), audiences), ("a", vec!["b".to_owned()]));
        for nothing in [
            r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1"}"#,
            r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"token":null,"audiences":null}}"#,
        ] {
            assert_eq!(spec(nothing), Ok((String::new(), Vec::new())));
        }
    }

    #[test]
    fn what_is_no_review_is_refused_in_words_that_hold_nothing_of_it() {
        // T6
        for (body, says) in [
            ("", "no TokenReview of"),
            ("[]", "no TokenReview of"),
            ("{}", "no TokenReview of"),
            (r#"{"spec":{"token":"secret"}}"#, "no TokenReview of"),
            (
                r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"token":["secret"]}}"#,
                "no TokenReview of",
            ),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"authentication.k8s.io/v1","spec":{}}"#,
                "The body is no TokenReview",
            ),
            (
                r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1beta1","spec":{"token":"secret"}}"#,
                "--authentication-token-webhook-version=v1",
            ),
        ] {
            let said = spec(body).unwrap_err();
            assert!(said.contains(says) && !said.contains("secret"), "{said}");
        }
    }
}
