//! Structured logs to stderr (contract R4).

use std::io::IsTerminal;

use tracing::{
    Event, Metadata,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets},
    fmt,
    layer::{Context, Filter, SubscriberExt},
    util::SubscriberInitExt,
};

/// Starts the log. `level` is for what we log ourselves. Libraries stay at
/// `info` or below whatever is asked: at finer levels HTTP libraries print
/// headers, and headers hold keys (contract K2). A log that nobody takes is no reason to
/// stop: told on stderr, which is the log, it would be a panic.
pub fn start(level: LevelFilter, json: bool) {
    let libraries = level.min(LevelFilter::INFO);
    let filter = Targets::new()
        .with_default(libraries)
        .with_target("remotegpu", level)
        // Both tell every ordinary event of their lives at INFO.
        .with_target("actix_server", level.min(LevelFilter::WARN))
        .with_target("tracing_actix_web", LevelFilter::OFF)
        .and(NotTheClients);
    let layer = if json {
        fmt::layer()
            .json()
            .log_internal_errors(false)
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed()
    } else {
        fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .log_internal_errors(false)
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed()
    };
    tracing_subscriber::registry().with(layer).init();
}

/// Bytes that are no HTTP are everyday on an open port (contract C5). The library calls
/// them errors of its own.
struct NotTheClients;

impl<S> Filter<S> for NotTheClients {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    /// Else nothing would be told beforehand that nobody wants its events, and each of a
    /// library's many would be looked at.
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_the_parsers(metadata) {
            Interest::sometimes()
        } else {
            Interest::always()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        if !is_the_parsers(event.metadata()) {
            return true;
        }
        let mut clients = IsClients(false);
        event.record(&mut clients);
        !clients.0
    }
}

fn is_the_parsers(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("actix_http::h1")
}

/// Whether a message is about what a client sent.
struct IsClients(bool);

impl Visit for IsClients {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let said = format!("{value:?}");
            let about = ["stream error: request parse error", "MAX_BUFFER_SIZE"];
            self.0 = about.iter().any(|begin| said.starts_with(begin));
        }
    }
}
