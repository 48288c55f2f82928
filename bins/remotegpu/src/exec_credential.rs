//! The exec plugin of kubectl: an API key in, a credential out (contract X4).
//!
//! The script in `crates/kubeconfig` does the same for machines that have `sh`, `date` and `curl`.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use ureq::http::Method;
use url::Url;

use crate::connection::{Answer, Call, Connection};
use crate::problem::Problem;
use crate::secret::Secret;
use crate::trust::TrustOptions;

/// kubectl waits for the plugin, and a person for kubectl. A little less than the five seconds
/// of the contract: this program has to start and to end in them as well.
const WITHIN: Duration = Duration::from_millis(4_900);
/// What every line begins with.
pub const PREFIX: &str = "remotegpu: ";
const LINE_LIMIT: usize = 300 - PREFIX.len();
/// How far clocks may be apart before it is told.
const TOLERATED: time::Duration = time::Duration::MINUTE;

/// This machine's clock, read once: what passes afterwards is measured.
#[derive(Debug, Clone, Copy)]
pub struct LocalClock {
    pub began: OffsetDateTime,
    pub started: Instant,
}

/// What kubectl is to read, and what a person should be told besides.
pub struct Minted {
    pub credential: String,
    pub warning: Option<String>,
}

/// Asks `url` for a credential; the error is the line to print.
pub fn mint(url: &Url, trust: &TrustOptions, key: &Secret, clock: LocalClock) -> Result<Minted> {
    let call = Call {
        method: Method::POST,
        url: url.clone(),
        headers: vec![
            ("x-api-key", key.reveal().to_owned()),
            ("accept", "application/json".to_owned()),
        ],
        body: Some(Vec::new()),
    };
    let connection = Connection::new(url, trust)?;
    let left = WITHIN.saturating_sub(clock.started.elapsed());
    let answer = connection.fetch(&call, left)?;
    if let Some(error) = connection.redirected(&call, &answer) {
        return Err(error);
    }
    let ahead = clock.ahead_of_server(&answer);
    let told = tell(ahead);
    let with_clock = |sentence: String| match &told {
        None => anyhow!(sentence),
        // The line is cut at its end.
        Some(told) => {
            let room = LINE_LIMIT.saturating_sub(told.len() + 30);
            let sentence: String = sentence.chars().take(room).collect();
            anyhow!("{sentence}; {told}")
        }
    };
    if answer.status != 200 {
        let problem = Problem::new(answer.status, &answer.body);
        return Err(with_clock(problem.sentence()));
    }
    let Some(credential) = credential(&answer.body, ahead) else {
        bail!(with_clock(
            "the server answered with something that is no ExecCredential".to_owned()
        ));
    };
    Ok(Minted {
        credential,
        warning: told.map(|told| format!("{told}: set it right")),
    })
}

/// The answer if it is a credential, its end by this machine's clock; kubectl compares the two.
fn credential(body: &[u8], ahead: time::Duration) -> Option<String> {
    let mut document: Value = serde_json::from_slice(body).ok()?;
    let is_credential = document["apiVersion"] == "client.authentication.k8s.io/v1"
        && document["kind"] == "ExecCredential"
        && document["status"]["token"]
            .as_str()
            .is_some_and(|token| !token.is_empty());
    if !is_credential {
        return None;
    }
    let end = &mut document["status"]["expirationTimestamp"];
    if let (false, Some(text)) = (ahead.is_zero(), end.as_str()) {
        let moved = OffsetDateTime::parse(text, &Rfc3339)
            .ok()?
            .checked_add(ahead)?;
        *end = moved
            .replace_nanosecond(0)
            .ok()?
            .format(&Rfc3339)
            .ok()?
            .into();
        return Some(document.to_string());
    }
    Some(String::from_utf8_lossy(body).trim_end().to_owned())
}

impl LocalClock {
    /// How much this clock is at least ahead of the server's; nothing where both may be right,
    /// given how long the answer took.
    fn ahead_of_server(self, answer: &Answer) -> time::Duration {
        let server = answer.server_time();
        let Some(server) = server.and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok()) else {
            return time::Duration::ZERO;
        };
        let asked = self.began + answer.asked.saturating_duration_since(self.started);
        let came = self.began + answer.came.saturating_duration_since(self.started);
        let ahead = (asked - server - time::Duration::SECOND).max(time::Duration::ZERO);
        let behind = (server - came).max(time::Duration::ZERO);
        time::Duration::seconds(ahead.whole_seconds() - behind.whole_seconds())
    }
}

fn tell(ahead: time::Duration) -> Option<String> {
    let minutes = (ahead.abs() + time::Duration::seconds(30)).whole_minutes();
    let way = if ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    (ahead.abs() > TOLERATED).then(|| {
        let unit = if minutes == 1 { "minute" } else { "minutes" };
        format!("this machine's clock is {minutes} {unit} {way} the server's")
    })
}

/// What follows [`PREFIX`] on a line of bounded length, with nothing in it that acts on a
/// terminal.
pub fn one_line(text: &str) -> String {
    let printable = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    text.chars().take(LINE_LIMIT).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    // X4
    #[test]
    fn a_credential_ends_by_the_clients_own_clock() {
        let body = br#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t","expirationTimestamp":"2030-01-01T00:00:00Z"}}"#;
        let end = |ahead| {
            let text = credential(body, ahead).unwrap();
            let document: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(document["status"]["token"], "t");
            document["status"]["expirationTimestamp"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(end(time::Duration::ZERO), "2030-01-01T00:00:00Z");
        assert_eq!(end(time::Duration::hours(2)), "2030-01-01T02:00:00Z");
        assert_eq!(end(time::Duration::hours(-2)), "2029-12-31T22:00:00Z");
    }

    // X4
    #[test]
    fn clocks_are_told_apart_by_more_than_the_answer_took() {
        let clock = LocalClock {
            began: datetime!(2030-01-01 12:00 UTC),
            started: Instant::now(),
        };
        let ahead = |seconds: i64| {
            let server = clock.began.unix_timestamp() + seconds;
            let answer = Answer::told_at(clock.started, Duration::from_secs(3), server);
            clock.ahead_of_server(&answer).whole_seconds()
        };
        assert_eq!((ahead(0), ahead(3), ahead(-1)), (0, 0, 0));
        assert_eq!((ahead(-7200), ahead(7200)), (7199, -7197));
        assert_eq!(tell(time::Duration::seconds(60)), None);
        let told = tell(time::Duration::seconds(7199)).unwrap();
        assert_eq!(
            told,
            "this machine's clock is 120 minutes ahead of the server's"
        );
        let told = tell(time::Duration::seconds(-61)).unwrap();
        assert_eq!(told, "this machine's clock is 1 minute behind the server's");
    }
}
