//! When a token ends by itself: in so many seconds, or at a time (contract T5, T8).

use remotegpu_edge::{ErrorCode, FieldError};
use time::{Duration, OffsetDateTime};

use crate::v1::{fields::Fields, time_of_day::parse_time};

/// How a request says it: one of the two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry<'a> {
    pub(crate) in_seconds: Option<i64>,
    pub(crate) at: Option<&'a str>,
}

pub(crate) const IN_SECONDS: &str = "expires_in_seconds";
pub(crate) const AT: &str = "expires_at";

impl Expiry<'_> {
    /// The field that says it; the first of the two where neither does.
    pub(crate) fn field(self) -> &'static str {
        if self.at.is_some() { AT } else { IN_SECONDS }
    }

    /// The time, in the future; `Some(None)` where the request says nothing.
    #[expect(
        clippy::option_option,
        reason = "wrong, nothing and a time are three things"
    )]
    pub(crate) fn judge(
        self,
        fields: &mut Fields,
        now: OffsetDateTime,
    ) -> Option<Option<OffsetDateTime>> {
        if fields.is_refused(IN_SECONDS) || fields.is_refused(AT) {
            return None;
        }
        match (self.in_seconds, self.at) {
            (None, None) => Some(None),
            (Some(_), Some(_)) => {
                let message = "must not stand beside expires_in_seconds";
                fields.refuse(FieldError::new(AT, message));
                None
            }
            (Some(seconds), None) => {
                let message = if seconds < 1 {
                    "must be at least 1"
                } else {
                    match now.checked_add(Duration::seconds(seconds)) {
                        Some(end) if end.year() <= 9999 => return Some(Some(end)),
                        _ => "is too far away",
                    }
                };
                fields.refuse(FieldError::new(IN_SECONDS, message));
                None
            }
            (None, Some(text)) => {
                let end = fields.judge(AT, parse_time(text))?;
                if end <= now {
                    let error = FieldError::new(AT, "must be in the future");
                    fields.refuse_as(ErrorCode::ExpiryNotInFuture.into(), error);
                    return None;
                }
                Some(Some(end))
            }
        }
    }
}

/// When a key shall end by itself (contract K5).
#[expect(
    clippy::option_option,
    reason = "wrong, never and a time are three things"
)]
pub(crate) fn judge_expiry(
    fields: &mut Fields,
    text: Option<&str>,
    now: OffsetDateTime,
) -> Option<Option<OffsetDateTime>> {
    let expires_at = fields.judge(AT, text.map(parse_time).transpose())?;
    if expires_at.is_some_and(|end| end <= now) {
        let error = FieldError::new(AT, "must be in the future");
        fields.refuse_as(ErrorCode::ExpiryNotInFuture.into(), error);
    }
    Some(expires_at)
}

#[cfg(test)]
mod tests {
    use remotegpu_edge::ApiError;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn check(in_seconds: Option<i64>, at: Option<&str>, expected: Result<Option<i64>, &str>) {
        let mut fields = Fields::in_order(&[IN_SECONDS, AT]);
        let judged = Expiry { in_seconds, at }.judge(&mut fields, NOW);
        let found = match judged {
            Some(end) => Ok(end.map(|end| (end - NOW).whole_seconds())),
            None => Err(ApiError::from(fields).detail().to_owned()),
        };
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn one_of_two_says_when_a_token_ends() {
        // T5, T8, K5
        check(None, None, Ok(None));
        check(Some(1), None, Ok(Some(1)));
        check(None, Some("2026-01-01T01:00:01+01:00"), Ok(Some(1)));
        let beside = "expires_at must not stand beside expires_in_seconds";
        check(Some(1), Some("2026-01-02T00:00:00Z"), Err(beside));
        let least = "expires_in_seconds must be at least 1";
        check(Some(0), None, Err(least));
        check(Some(i64::MIN), None, Err(least));
        let far = "expires_in_seconds is too far away";
        check(Some(i64::MAX), None, Err(far));
        check(Some(300_000_000_000), None, Err(far));
        let future = "expires_at must be in the future";
        check(None, Some("2026-01-01T00:00:00Z"), Err(future));
    }
}
