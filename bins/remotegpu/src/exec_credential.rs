//! The exec plugin of kubectl: a key from the environment in, a credential out (contract X4).
//!
//! The script in `crates/kubeconfig` does the same for machines that have `sh` and `curl`; both
//! say the same sentences.

use std::env::VarError;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::Request;
use url::Url;

use crate::client::{self, TrustOptions};
use crate::problem::Problem;
use crate::secret::Secret;

/// kubectl waits for the plugin, and a person for kubectl.
const TIMEOUT: Duration = Duration::from_secs(15);
const LINE_LIMIT: usize = 300;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    api_version: String,
    kind: String,
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    token: String,
}

/// Takes the API key from the environment; the error is the line to print.
pub fn api_key_from_environment() -> Result<Secret, String> {
    let odd = || Err("REMOTEGPU_API_KEY holds a character that no API key has".to_owned());
    match std::env::var("REMOTEGPU_API_KEY") {
        Err(VarError::NotPresent) => {
            Err("REMOTEGPU_API_KEY is not set: export your API key first".to_owned())
        }
        Err(VarError::NotUnicode(_)) => odd(),
        Ok(key) if key.is_empty() => {
            Err("REMOTEGPU_API_KEY is not set: export your API key first".to_owned())
        }
        Ok(key) if !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => odd(),
        Ok(key) => Ok(Secret::new(key)),
    }
}

/// Asks `url` for a credential and returns the answer as it came; the error is the line to print.
pub fn mint(url: &Url, trust: &TrustOptions) -> Result<Vec<u8>, String> {
    let key = api_key_from_environment()?;
    let agent = client::agent(url, trust, TIMEOUT).map_err(|error| format!("{error:#}"))?;
    let request = Request::post(url.as_str())
        .header("x-api-key", key.reveal())
        .header("accept", "application/json")
        .body(Vec::new())
        .map_err(|error| format!("no answer from the server: {error}"))?;
    let answer = client::fetch(&agent, request)
        .map_err(|error| format!("no answer from the server: {error}"))?;
    if answer.status != 200 {
        return Err(Problem::new(answer.status, &answer.body).sentence());
    }
    match serde_json::from_slice::<ExecCredential>(&answer.body) {
        Ok(credential)
            if credential.api_version == "client.authentication.k8s.io/v1"
                && credential.kind == "ExecCredential"
                && !credential.status.token.is_empty() =>
        {
            Ok(answer.body)
        }
        _ => Err("the server answered with something that is no ExecCredential".to_owned()),
    }
}

/// One line of bounded length with nothing in it that acts on a terminal.
pub fn one_line(text: &str) -> String {
    let printable = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    text.chars().take(LINE_LIMIT).map(printable).collect()
}
