#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod document;
mod exec;
mod plugin;

pub use exec::{ClusterEndpoint, ExecContext, RenderError, filename, render_exec};
pub use plugin::{Plugin, UnknownPlugin};
