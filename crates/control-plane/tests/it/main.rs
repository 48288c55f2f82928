//! The acts over SQLite in a temporary folder, with a clock that stands still.

mod mint;
mod reconcile;
mod sign_in;
mod world;
