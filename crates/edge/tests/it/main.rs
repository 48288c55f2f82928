//! The edge on a real socket, with fronts that are as small as they can be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod page;
mod streams;
mod world;
