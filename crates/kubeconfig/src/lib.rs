#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod document;
mod exec;
mod namespace_token;
mod plugin;
mod token;

pub use exec::{ClusterEndpoint, ExecContext, RenderError, filename, render_exec};
pub use namespace_token::{PlainKubeconfig, render_namespace_token};
pub use plugin::{Plugin, UnknownPlugin};
pub use token::{
    FileWord, InvalidFileWord, TokenContext, TokenNames, UnknownTokenNames, render_token,
    token_filename, token_in_file,
};
