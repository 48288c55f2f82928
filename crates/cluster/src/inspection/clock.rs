//! How far a cluster's clock is off ours. What a token's answer says of its end is
//! compared with our time (contract X8), so a clock that is far off ends all minting.

use remotegpu_namespaces::TokenLifetime;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc2822};

use crate::{inspection::Finding, request::Answer};

/// More than this is worth a word.
const NOTABLE: Duration = Duration::seconds(5);

/// By how much the cluster's clock is ahead of ours, to the second; `asked_at` and
/// `answered_at` are our times around the answer. Nothing where it told no time.
pub(super) fn difference(
    answer: &Answer,
    asked_at: OffsetDateTime,
    answered_at: OffsetDateTime,
) -> Option<Duration> {
    let told = answer.date.as_ref()?.to_str().ok()?;
    let told = OffsetDateTime::parse(told, &Rfc2822).ok()?;
    // The header has cut its second off: on average half of one is missing.
    let theirs: OffsetDateTime = told + Duration::milliseconds(500);
    let underway: Duration = answered_at - asked_at;
    let ahead: Duration = theirs - (asked_at + underway / 2);
    Some(Duration::seconds(ahead.whole_seconds()))
}

pub(super) fn judge(difference: Option<Duration>) -> Finding {
    let Some(difference) = difference else {
        return Finding::warning(
            "Its answers do not tell the time, so that clocks were not compared",
        );
    };
    let off = difference.abs();
    let side = if difference.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let seconds = off.whole_seconds();
    if off > TokenLifetime::TOLERANCE {
        Finding::wrong(format!(
            "Its clock is {seconds} seconds {side} ours, so that no token's expiration is \
             believed: set both by a time server"
        ))
    } else if off > NOTABLE {
        Finding::warning(format!(
            "Its clock is {seconds} seconds {side} ours; beyond {} no token's expiration is \
             believed: set both by a time server",
            TokenLifetime::TOLERANCE.whole_seconds()
        ))
    } else {
        Finding::fine("Its clock and ours agree within a few seconds")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use time::macros::datetime;

    use super::*;
    use crate::inspection::Verdict;

    fn measured(date: Option<&str>) -> Option<Duration> {
        let at = datetime!(2026-11-21 14:38:23.4 UTC);
        let date = date.map(|date| HeaderValue::from_str(date).unwrap());
        difference(&Answer::dated(date), at, at + Duration::milliseconds(200))
    }

    #[test]
    fn the_time_is_taken_from_the_middle_of_the_question() {
        assert_eq!(
            measured(Some("Sat, 21 Nov 2026 14:38:23 GMT")),
            Some(Duration::ZERO)
        );
        assert_eq!(
            measured(Some("Sat, 21 Nov 2026 14:40:23 GMT")),
            Some(Duration::seconds(120))
        );
        assert_eq!(
            measured(Some("Sat, 21 Nov 2026 14:38:13 GMT")),
            Some(Duration::seconds(-10))
        );
        for odd in [None, Some(""), Some("yesterday")] {
            assert_eq!(measured(odd), None);
        }
    }

    #[test]
    fn more_than_what_a_token_may_be_off_is_wrong() {
        // X8
        for (seconds, verdict, says) in [
            (0, Verdict::Fine, "agree"),
            (-5, Verdict::Fine, "agree"),
            (6, Verdict::Warning, "6 seconds ahead of ours"),
            (-60, Verdict::Warning, "60 seconds behind ours"),
            (61, Verdict::Wrong, "61 seconds ahead of ours"),
            (-3600, Verdict::Wrong, "3600 seconds behind ours"),
        ] {
            let finding = judge(Some(Duration::seconds(seconds)));
            assert_eq!(finding.verdict, verdict, "{seconds}");
            assert!(finding.sentence.contains(says), "{}", finding.sentence);
        }
        assert_eq!(judge(None).verdict, Verdict::Warning);
    }
}
