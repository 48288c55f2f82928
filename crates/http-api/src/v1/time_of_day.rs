//! Times as requests write them.

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// A text that is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expires_at must be an RFC 3339 time with an offset, up to the year 9999")]
pub(crate) struct InvalidTime;

/// Reads a time with an offset (contract K5), in whole microseconds: no store
/// keeps more.
pub(crate) fn parse_time(text: &str) -> Result<OffsetDateTime, InvalidTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTime)?;
    let time = time
        .checked_to_offset(UtcOffset::UTC)
        .filter(|time| (0..=9999).contains(&time.year()))
        .ok_or(InvalidTime)?;
    let micros = time.microsecond();
    time.replace_microsecond(micros).map_err(|_| InvalidTime)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_has_an_offset_and_four_digits_of_a_year() {
        // K5
        let noon = datetime!(2026-01-01 12:00 UTC);
        for good in [
            "2026-01-01T12:00:00Z",
            "2026-01-01T14:00:00+02:00",
            "2026-01-01t12:00:00.0000000004z",
        ] {
            assert_eq!(parse_time(good), Ok(noon), "{good}");
        }
        assert!(parse_time("9999-12-31T23:59:59.999999Z").is_ok());
        for bad in [
            "",
            "never",
            "2026-01-01",
            "2026-01-01T12:00:00",
            "2026-02-30T12:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "0000-01-01T00:00:00+01:00",
            "+10000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "1767268800",
        ] {
            assert_eq!(parse_time(bad), Err(InvalidTime), "{bad}");
        }
    }
}
