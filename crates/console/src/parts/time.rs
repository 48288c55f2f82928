//! Times: how long ago or ahead, with the exact one beside it.

use maud::{Markup, html};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// A time as one reads it; the script keeps it true.
pub(crate) fn relative(at: OffsetDateTime, now: OffsetDateTime) -> Markup {
    let exact = exact(at);
    html! { time datetime=(exact) title=(exact) data-relative { (words(at, now)) } }
}

/// The time itself, in UTC to the second.
pub(crate) fn exact(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_default()
}

/// `3 d ago`, `in 5 h`, `just now`.
pub(crate) fn words(at: OffsetDateTime, now: OffsetDateTime) -> String {
    let apart = now - at;
    let length = length(apart.abs());
    match length {
        None => "just now".to_owned(),
        Some(length) if apart.is_positive() => format!("{length} ago"),
        Some(length) => format!("in {length}"),
    }
}

fn length(apart: Duration) -> Option<String> {
    let (count, unit) = match apart.whole_seconds() {
        ..=1 => return None,
        seconds @ ..=119 => (seconds, "s"),
        seconds if seconds < 2 * 3600 => (seconds / 60, "min"),
        seconds if seconds < 2 * 86_400 => (seconds / 3600, "h"),
        seconds => ((seconds + 43_200) / 86_400, "d"),
    };
    Some(format!("{count} {unit}"))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_is_told_by_its_distance() {
        let now = datetime!(2026-01-01 00:00 UTC);
        let check = |apart: Duration, said: &str| assert_eq!(words(now - apart, now), said);
        check(Duration::ZERO, "just now");
        check(Duration::seconds(3), "3 s ago");
        check(Duration::seconds(150), "2 min ago");
        check(Duration::hours(5), "5 h ago");
        check(Duration::days(90), "90 d ago");
        check(-Duration::days(3), "in 3 d");
        check(-Duration::seconds(90 * 86_400 - 1), "in 90 d");
        assert_eq!(
            exact(datetime!(2026-01-01 00:00:00.5 UTC)),
            "2026-01-01T00:00:00Z"
        );
    }
}
