//! What the server answered, and what a test may expect of it.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

use super::media_type_fault;

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// # Panics
    /// It has a media type that Go's programs refuse, or two of them.
    pub async fn read(response: reqwest::Response) -> Self {
        for name in ["content-type", "content-disposition"] {
            let values: Vec<_> = response.headers().get_all(name).iter().collect();
            assert!(values.len() < 2, "{name}: {values:?}");
            let value = values
                .first()
                .map_or("text/plain", |value| value.to_str().unwrap());
            if let Some(fault) = media_type_fault(value) {
                panic!("{} answers {name}: {value}: {fault}", response.url());
            }
        }
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer that has this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// A problem document with this status and code (contract C2); answers its
    /// `detail`.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> String {
        let body = self.expect(status);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(body["status"], status, "{self:?}");
        assert_eq!(body["code"], code, "{self:?}");
        assert_eq!(body["type"], format!("urn:remotegpu:error:{code}"));
        assert_eq!(body["title"], self.status.canonical_reason().unwrap());
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        body["detail"].as_str().unwrap().to_owned()
    }

    /// The answer without what differs from request to request.
    pub fn without_request_id(&self) -> (u16, Value, Vec<(String, String)>) {
        let mut body: Value = serde_json::from_str(&self.text).unwrap_or_default();
        if let Some(body) = body.as_object_mut() {
            body.remove("request_id");
        }
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .filter(|(name, _)| {
                !["x-request-id", "x-remotegpu-time", "date"].contains(&name.as_str())
            })
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.sort();
        (self.status.as_u16(), body, headers)
    }
}
