//! Times for requests, and waiting for what comes soon.

use std::time::UNIX_EPOCH;

pub use remotegpu_test_support::stopwatch::{Stopwatch, eventually};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The time so many milliseconds from now, as the API writes times.
pub fn in_millis(millis: i64) -> String {
    let now = OffsetDateTime::from(UNIX_EPOCH) + UNIX_EPOCH.elapsed().unwrap();
    (now + time::Duration::milliseconds(millis))
        .format(&Rfc3339)
        .unwrap()
}

/// A time that the API wrote.
pub fn time_of(value: &serde_json::Value) -> OffsetDateTime {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no time"));
    assert!(text.ends_with('Z'), "C4: {text} is not in UTC");
    OffsetDateTime::parse(text, &Rfc3339).unwrap_or_else(|error| panic!("{text}: {error}"))
}
