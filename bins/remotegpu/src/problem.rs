//! What a server says when it refuses: RFC 9457 problem documents (contract C2).

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::output::printable;

/// A refusal. Its text is one sentence, and a line for each field that is wrong.
#[derive(Debug)]
pub struct Problem {
    pub status: u16,
    retry_after: Option<Duration>,
    /// Whether who asked came with a service user's token, and cannot sign in.
    by_token: bool,
    document: Document,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    detail: Option<String>,
    code: Option<String>,
    request_id: Option<String>,
    errors: Vec<FieldProblem>,
}

#[derive(Debug, Deserialize)]
struct FieldProblem {
    field: String,
    message: String,
}

impl Problem {
    /// Reads an answer's body; one that is no problem document still makes a sentence.
    pub fn new(status: u16, body: &[u8]) -> Self {
        Self {
            status,
            retry_after: None,
            by_token: false,
            document: serde_json::from_slice(body).unwrap_or_default(),
        }
    }

    /// Says when to come again, as the server asks.
    #[must_use]
    pub fn come_again(self, retry_after: Option<Duration>) -> Self {
        Self {
            retry_after,
            ..self
        }
    }

    /// The same for who came with a service user's token.
    #[must_use]
    pub fn by_token(self, by_token: bool) -> Self {
        Self { by_token, ..self }
    }

    /// The code from the contract's closed table, if the server named one.
    pub fn code(&self) -> Option<&str> {
        self.document.code.as_deref()
    }

    /// The sentence alone.
    pub fn sentence(&self) -> String {
        match self.document.detail.as_deref() {
            Some(detail) if !detail.is_empty() => printable(detail),
            _ => format!("the server answered with HTTP status {}", self.status),
        }
    }

    /// The fields that are wrong, unless the sentence has named the only one already.
    fn fields_to_list(&self) -> &[FieldProblem] {
        let detail = self.document.detail.as_deref();
        match self.document.errors.as_slice() {
            [FieldProblem { field, message }]
                if detail == Some(format!("{field} {message}").as_str()) =>
            {
                &[]
            }
            all => all,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())?;
        // Whoever runs the server can find a failure by this; a refusal needs no looking up.
        if let (500.., Some(id)) = (self.status, &self.document.request_id) {
            write!(f, " (request {})", printable(id))?;
        }
        for FieldProblem { field, message } in self.fields_to_list() {
            write!(f, "\n  {}: {}", printable(field), printable(message))?;
        }
        if let Some(pause) = self.retry_after {
            let seconds = pause.as_secs();
            let plural = if seconds == 1 { "" } else { "s" };
            write!(f, "\nTry again in {seconds} second{plural}.")?;
        }
        match self.code() {
            Some("missing_access_token" | "invalid_access_token") if self.by_token => f.write_str(
                "\nThe token of the service user is unknown, has expired or was deleted.",
            ),
            Some("missing_access_token" | "invalid_access_token") => {
                f.write_str("\nSign in with `remotegpu login`.")
            }
            Some("password_change_required") => {
                f.write_str("\nChange your password with `remotegpu password`.")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    // C2
    #[test]
    fn a_problem_reads_as_a_sentence() {
        let check = |status, body: &str, expected: &str| {
            assert_eq!(Problem::new(status, body.as_bytes()).to_string(), expected);
        };
        check(
            409,
            r#"{"detail":"The name is taken","code":"name_taken","request_id":"r"}"#,
            "The name is taken",
        );
        check(
            400,
            r#"{"detail":"Two fields are wrong","errors":[{"field":"name","message":"too long"},{"field":"expires_at","message":"past"}]}"#,
            "Two fields are wrong\n  name: too long\n  expires_at: past",
        );
        check(
            400,
            r#"{"detail":"name is too long","errors":[{"field":"name","message":"is too long"}]}"#,
            "name is too long",
        );
        check(
            400,
            r#"{"detail":"A field is wrong","errors":[{"field":"name","message":"is too long"}]}"#,
            "A field is wrong\n  name: is too long",
        );
        check(
            503,
            r#"{"detail":"Down","request_id":"r-1"}"#,
            "Down (request r-1)",
        );
        check(502, "<html>", "the server answered with HTTP status 502");
        check(
            502,
            "{\"detail\":\"\"}",
            "the server answered with HTTP status 502",
        );
        check(400, "{\"detail\":\"a\\u001b[31m\\nb\"}", "a?[31m?b");
        check(
            401,
            r#"{"detail":"Invalid access token","code":"invalid_access_token"}"#,
            "Invalid access token\nSign in with `remotegpu login`.",
        );
    }
}
