//! When a key ends, as people write it.

use std::str::FromStr;

use anyhow::{Context, Result};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::secret::masked;

/// When a token ends.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct TokenExpiry {
    /// For how long it lives: 90m, 12h, 30d, 2w.
    #[arg(long, value_name = "SPAN")]
    expires_in: Option<Span>,
    /// When it ends: 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires_at: Option<String>,
}

impl TokenExpiry {
    /// What a request says of it.
    pub fn member(self) -> Option<(String, Value)> {
        match (self.expires_in, self.expires_at) {
            (Some(span), _) => Some(("expires_in_seconds".into(), span.whole_seconds().into())),
            (None, at) => at.map(|at| ("expires_at".into(), at.into())),
        }
    }
}

/// A span such as `90m`, `12h`, `30d` or `2w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(Duration);

impl Span {
    pub fn whole_seconds(self) -> i64 {
        self.0.whole_seconds()
    }

    /// The time this span after `now`, as RFC 3339 in whole seconds.
    pub fn after(self, now: OffsetDateTime) -> Result<String> {
        let now = now.replace_nanosecond(0)?;
        let end = now
            .checked_add(self.0)
            .context("the expiry is too far away")?;
        Ok(end.format(&Rfc3339)?)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no span: write 90m, 12h, 30d or 2w", masked(text));
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let count: i64 = digits.parse().map_err(|_| wrong())?;
        let seconds = match &text[digits.len()..] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(wrong()),
        };
        match count.checked_mul(seconds) {
            Some(total) if count > 0 => Ok(Self(Duration::seconds(total))),
            _ => Err(wrong()),
        }
    }
}

/// Takes a time as RFC 3339 with an offset.
pub fn parse_time(text: &str) -> Result<String, String> {
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("write a time as 2030-01-31T12:00:00Z".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    // K5
    #[test]
    fn spans_are_added_to_now() {
        let now = datetime!(2026-11-21 08:00:00.5 UTC);
        for (span, end) in [
            ("90m", "2026-11-21T09:30:00Z"),
            ("12h", "2026-11-21T20:00:00Z"),
            ("30d", "2026-12-21T08:00:00Z"),
            ("2w", "2026-12-05T08:00:00Z"),
        ] {
            assert_eq!(span.parse::<Span>().unwrap().after(now).unwrap(), end);
        }
        for wrong in [
            "",
            "d",
            "30",
            "-1d",
            "0d",
            "1.5h",
            "1 d",
            "1y",
            "9223372036854775807w",
            "٣d",
        ] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
        let far: Span = "999999999w".parse().unwrap();
        assert!(far.after(now).is_err());
    }
}
