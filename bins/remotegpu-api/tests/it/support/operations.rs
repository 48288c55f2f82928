//! What the server says of itself: its routes.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Server, client};

/// A route of the server's own description.
pub struct Operation {
    pub method: Method,
    pub path: String,
    pub asks: Asks,
    /// The names of the schemes by which a request proves itself there.
    pub schemes: Vec<String>,
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
    fn of(schemes: &[String]) -> Self {
        let takes = |scheme: &str| schemes.iter().any(|one| one == scheme);
        match (takes("access_token"), takes("api_key")) {
            (false, false) => Self::Nothing,
            (true, _) => Self::Session,
            (false, true) => Self::Key,
        }
    }
}

fn schemes(operation: &Value) -> Vec<String> {
    let ways = || operation["security"].as_array().into_iter().flatten();
    // Where nothing does, whatever is sent may be left out.
    if ways().any(|way| *way == json!({})) {
        return Vec::new();
    }
    let names = ways()
        .filter_map(Value::as_object)
        .flat_map(|way| way.keys());
    names.cloned().collect()
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
            let schemes = schemes(operation);
            operations.push(Operation {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
                path: path.clone(),
                asks: Asks::of(&schemes),
                schemes,
            });
        }
    }
    let seen = operations.len();
    assert!(seen >= 21, "a walk would see almost nothing: {seen}");
    operations
}

/// The path with this in each place.
pub fn filled(path: &str, with: &str) -> String {
    filled_by(path, |_| with)
}

/// The path with what belongs to each parameter, by its name.
pub fn filled_by<'a>(path: &'a str, with: impl Fn(&str) -> &'a str) -> String {
    let parts = path.split('/');
    let parameter = |part: &'a str| part.strip_prefix('{')?.strip_suffix('}');
    let filled = parts.map(|part| parameter(part).map_or(part, &with));
    filled.collect::<Vec<_>>().join("/")
}
