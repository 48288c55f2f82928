//! Servers, people and programs for the tests beside this.

mod answer;
mod cluster;
mod fault_proxy;
mod kubectl;
mod media_type;
mod operations;
mod person;
mod plain_proxy;
mod raw;
mod server;
mod slow_clients;
mod time;
mod webhook;

pub use answer::Answer;
pub use cluster::{Pods, Workload, cluster_client};
pub use fault_proxy::{CANARY, Fault, FaultyCluster, TEN_MEGABYTES};
pub use kubectl::Kubectl;
pub use media_type::media_type_fault;
pub use operations::{Asks, Operation, filled, filled_by, operations};
pub use person::{KeyHolder, Person, client};
pub use plain_proxy::PlainProxy;
pub use raw::Raw;
pub use remotegpu_test_support::ports::free_port;
pub use server::{
    ADMIN_PASSWORD, Backend, Server, ServerOptions, command, foreign_cluster, terminate,
};
pub use slow_clients::{Slow, Target, connector, keep_waiting};
pub use time::{Stopwatch, eventually, in_millis, time_of};
pub use webhook::{Asking, Webhook};
