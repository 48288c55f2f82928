//! For how long a cluster gives tokens.

use http::StatusCode;
use remotegpu_namespaces::{MintError, TokenLifetime};
use time::{Duration, OffsetDateTime};

use crate::{
    baseline_objects::DEFAULT_ACCOUNT,
    cluster::KubeCluster,
    identity_objects::service_accounts,
    inspection::{Finding, chain},
    request::Ask,
    token_answer::{read_token, token_request},
};

/// Asks for a token of the account that every namespace has: it has no rights, and
/// nothing is left of a token that nobody keeps. `now` is the cluster's own time.
pub(super) async fn inspect(
    cluster: &KubeCluster,
    lifetime: Duration,
    now: OffsetDateTime,
) -> Finding {
    let path = format!("{}/{DEFAULT_ACCOUNT}/token", service_accounts());
    let ask = Ask::post(path, &token_request(lifetime));
    let asked = cluster.bounded(async { cluster.ask(&ask).await });
    let answer = match asked.await {
        Ok(answer) => answer,
        Err(error) => {
            return Finding::wrong(format!("It gives no tokens: {}", chain(&error)));
        }
    };
    match answer.status {
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => {
            return Finding::warning(
                "How long its tokens live was not tried, because there is no account to ask for, \
                 or no right to",
            );
        }
        status if !status.is_success() => {
            return Finding::wrong(format!(
                "It gives no token for {} seconds: it answers {}",
                lifetime.whole_seconds(),
                status.as_u16()
            ));
        }
        _ => {}
    }
    match read_token(answer.body()) {
        Ok(minted) => judge(lifetime, minted.expires_at - now),
        Err(MintError::NoExpiration) => Finding::wrong(
            "Its tokens come without an expiration, and are not handed out: its API server does \
             not do as Kubernetes says",
        ),
        Err(_) => Finding::wrong("It answers a request for a token with something else"),
    }
}

/// Contract X8: what is more than a minute off what was asked is not handed out.
fn judge(asked: Duration, given: Duration) -> Finding {
    let (asked_for, seconds) = (asked.whole_seconds(), given.whole_seconds());
    if (given - asked).abs() <= TokenLifetime::TOLERANCE {
        return Finding::fine(format!("It gives tokens for {asked_for} seconds"));
    }
    let mends = if given < TokenLifetime::MIN {
        "have its API server allow at least 600 (--service-account-max-token-expiration)".to_owned()
    } else if given < asked {
        // What it gives is measured, and some milliseconds have passed.
        let rounded = (seconds + 5) / 10 * 10;
        format!("set token_seconds to {rounded}, or less")
    } else {
        "have its API server give what it is asked for".to_owned()
    };
    Finding::wrong(format!(
        "It gives tokens for about {seconds} seconds where {asked_for} are asked for, and none of \
         them is handed out: {mends}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspection::Verdict;

    #[test]
    fn a_lifetime_that_no_mint_would_accept_is_wrong() {
        // X8
        let seconds = Duration::seconds;
        for (asked, given, verdict, says) in [
            (3600, 3599, Verdict::Fine, "for 3600 seconds"),
            (1200, 1140, Verdict::Fine, "for 1200 seconds"),
            (3600, 1799, Verdict::Wrong, "token_seconds to 1800"),
            (3600, 300, Verdict::Wrong, "at least 600"),
            (3600, 31_536_000, Verdict::Wrong, "give what it is asked"),
        ] {
            let finding = judge(seconds(asked), seconds(given));
            assert_eq!(finding.verdict, verdict, "{}", finding.sentence);
            assert!(finding.sentence.contains(says), "{}", finding.sentence);
        }
    }
}
