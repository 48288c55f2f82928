//! Servers, people and programs for the tests beside this.

mod answer;
mod cluster;
mod kubectl;
mod person;
mod server;

pub use answer::Answer;
pub use cluster::{Workload, cluster_client};
pub use kubectl::Kubectl;
pub use person::{KeyHolder, Person, client};
pub use server::{Backend, Server, ServerOptions};
