//! The server as its users see it: a real process, real HTTP, real programs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "Everything here is a test: it fails by panicking, and tells a story to its end."
)]

mod addresses;
mod byte_order_marks;
mod claims;
mod command_line;
mod configuration;
mod connecting;
mod console;
mod content_types;
mod conventions;
mod crash;
mod draining;
mod faults;
mod fuzzing;
mod generated_client;
mod growth;
mod helm;
mod instances;
mod journeys;
mod metrics;
mod no_http;
mod operator;
mod output;
mod overload;
mod pipelines;
mod readme;
mod real_control_plane;
mod redaction;
mod restoring;
mod rotation;
mod slow_clients;
mod support;
mod token_reviews;
mod upgrades;
mod v1;
mod walks;
