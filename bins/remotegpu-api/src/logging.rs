//! Structured logs to stderr (contract R4).

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Starts the log. `level` is for what we log ourselves. Libraries stay at
/// `info` or below whatever is asked: at finer levels HTTP libraries print
/// headers, and headers hold keys (contract K2).
pub fn start(level: LevelFilter, json: bool) {
    let libraries = level.min(LevelFilter::INFO);
    let filter = Targets::new()
        .with_default(libraries)
        .with_target("remotegpu", level)
        // Both tell every ordinary event of their lives at INFO.
        .with_target("actix_server", level.min(LevelFilter::WARN))
        .with_target("tracing_actix_web", LevelFilter::OFF);
    let layer = if json {
        fmt::layer()
            .json()
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed()
    } else {
        fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed()
    };
    tracing_subscriber::registry().with(layer).init();
}
