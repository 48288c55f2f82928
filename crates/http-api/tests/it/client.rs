//! An HTTP client that takes nothing from the environment.

use std::net::SocketAddr;

use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::Value;

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Status, code and detail of a problem document.
    pub fn problem(&self) -> (u16, String, String) {
        let media = Some("application/problem+json");
        assert_eq!(self.header("content-type"), media, "{self:?}");
        let document = self.json();
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(document["status"], self.status);
        let id = self.header("x-request-id");
        assert_eq!(Some(text("request_id").as_str()), id);
        (self.status, text("code"), text("detail"))
    }
}

/// A request that is being written.
pub struct Request(RequestBuilder);

impl Request {
    pub fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().redirect(Policy::none());
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("http://{address}{target}");
        Self(client.build().unwrap().request(method, url))
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn bearer(self, token: &str) -> Self {
        Self(self.0.bearer_auth(token))
    }

    pub fn json(self, body: Value) -> Self {
        Self(self.0.json(&body))
    }

    pub async fn send(self) -> Answer {
        let answer = self.0.send().await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.text().await.unwrap(),
        }
    }
}
