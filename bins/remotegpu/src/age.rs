//! Spans of time as `kubectl` writes them: `12m`, `5h10m`, `3d`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How long ago a time was, or how far it is away; nothing where it is no time.
pub fn between(time: &str, now: OffsetDateTime) -> Option<(String, bool)> {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    let seconds = (time - now).whole_seconds();
    Some((human(seconds.unsigned_abs()), seconds > 0))
}

/// Two units at most, and fewer the longer it is.
fn human(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |count, unit, rest, small| match rest {
        0 => format!("{count}{unit}"),
        rest => format!("{count}{unit}{rest}{small}"),
    };
    match () {
        () if seconds < 2 * 60 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 3 * 60 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 8 * 24 => two(days, 'd', hours % 24, 'h'),
        () if days < 2 * 365 => format!("{days}d"),
        () if days < 8 * 365 => two(years, 'y', days % 365, 'd'),
        () => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn spans_are_kubectls() {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        // From the tests of k8s.io/apimachinery/pkg/util/duration.
        for (seconds, text) in [
            (1, "1s"),
            (70, "70s"),
            (190, "3m10s"),
            (70 * MINUTE, "70m"),
            (47 * HOUR, "47h"),
            (49 * HOUR, "2d1h"),
            (8 * DAY + 2 * HOUR, "8d"),
            (367 * DAY, "367d"),
            (365 * 2 * DAY + 25 * DAY, "2y25d"),
            (365 * 8 * DAY + 2 * DAY, "8y"),
            (10 * MINUTE, "10m"),
            (5 * HOUR, "5h"),
            (3 * DAY, "3d"),
        ] {
            assert_eq!(human(seconds), text);
        }
        let now = datetime!(2026-11-21 08:00 UTC);
        let told = |time| between(time, now).unwrap();
        assert_eq!(told("2026-11-20T08:00:00Z"), ("24h".to_owned(), false));
        assert_eq!(told("2026-11-21T11:00:00+02:00"), ("60m".to_owned(), true));
        assert_eq!(between("soon", now), None);
    }
}
