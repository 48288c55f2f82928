//! What the server says of itself: its routes.

use reqwest::Method;
use serde_json::Value;

use super::{Answer, Server, client};

/// A route of the server's own description.
pub struct Operation {
    pub method: Method,
    pub path: String,
    pub asks: Asks,
}

/// What a route wants to be shown, as the server's description says, which is made from
/// the same list as what the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    Nothing,
    Session,
    Key,
}

impl Asks {
    fn of(operation: &Value) -> Self {
        let ways = operation["security"].as_array();
        let takes = |scheme: &str| {
            ways.is_some_and(|ways| ways.iter().any(|way| way.get(scheme).is_some()))
        };
        match (takes("access_token"), takes("api_key")) {
            (false, false) => Self::Nothing,
            (true, _) => Self::Session,
            (false, true) => Self::Key,
        }
    }
}

/// Every method and path of the server's own description.
pub async fn operations(server: &Server) -> Vec<Operation> {
    let asked = client().get(format!("{}/openapi.json", server.url)).send();
    let document = Answer::read(asked.await.unwrap()).await.expect(200);
    let version = document["openapi"].as_str().unwrap();
    assert!(version.starts_with("3.1"), "{version}");
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().iter();
        for (method, operation) in methods.filter(|(key, _)| *key != "parameters") {
            operations.push(Operation {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
                path: path.clone(),
                asks: Asks::of(operation),
            });
        }
    }
    let seen = operations.len();
    assert!(seen >= 21, "a walk would see almost nothing: {seen}");
    operations
}

/// The path with this in each place.
pub fn filled(path: &str, with: &str) -> String {
    let parts = path.split('/');
    let filled = parts.map(|part| if part.starts_with('{') { with } else { part });
    filled.collect::<Vec<_>>().join("/")
}
