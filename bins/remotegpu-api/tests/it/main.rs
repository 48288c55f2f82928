//! The server as its users see it: a real process, real HTTP, real programs.

mod configuration;
mod conventions;
mod crash;
mod journeys;
mod operator;
mod readme;
mod support;
mod v1;
mod walks;
