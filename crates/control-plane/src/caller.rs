//! Who asks for an act. An act takes its caller as an argument, so that whatever stands
//! in front of it, a route or a command, cannot forget to ask who it is.

use rand::CryptoRng;
use remotegpu_primitives::{Act, Actor, Origin};
use time::OffsetDateTime;

/// The installation's operator, who works on the server (contract A13).
#[derive(Debug, Clone, Copy)]
pub struct Operator(Actor);

impl Operator {
    /// Whoever runs the program beside its database: nothing that comes over the network
    /// is ever the operator.
    pub fn at_the_command_line() -> Self {
        Self(Actor::Operator)
    }

    /// What the operator does now.
    pub(crate) fn act(self, rng: &mut impl CryptoRng, now: OffsetDateTime) -> Act {
        Act::new(self.0, Origin::default(), rng, now)
    }
}
