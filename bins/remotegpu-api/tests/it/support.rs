//! Servers, people and programs for the tests beside this.

mod answer;
mod kubectl;
mod person;
mod server;

pub use answer::Answer;
pub use kubectl::Kubectl;
pub use person::{KeyHolder, Person};
pub use server::{Backend, Server, ServerOptions};
