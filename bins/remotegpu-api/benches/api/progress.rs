//! What the person at the terminal sees meanwhile.

use std::fmt::Display;

/// Says what is being done now.
pub fn say(what: impl Display) {
    eprintln!("bench: {what}");
}
