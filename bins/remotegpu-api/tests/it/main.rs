//! The server as its users see it: a real process, real HTTP, real programs.

mod crash;
mod journeys;
mod readme;
mod support;
mod walks;
