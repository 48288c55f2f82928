//! Times for requests, and waiting for what comes soon.

use std::time::{Duration, Instant, UNIX_EPOCH};

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

/// Asks until it holds.
pub async fn eventually(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
