//! The console: pages for people, on the same acts as the JSON API (contract section 11).
//!
//! `routes.rs` shows all pages with their policies; a page is one file under `pages/`, what
//! pages are made of is under `parts/`. A page is whole without scripts: every act is a form
//! that is answered with a redirect, and `assets/console.js` only makes it pleasanter.

#![deny(missing_docs)]

mod answer;
mod assets;
mod console;
mod done;
mod fields;
mod layout;
mod once;
mod pages;
mod parts;
mod refusal;
mod routes;

pub use console::{Console, ConsoleConfig, ConsolePorts};
pub use routes::front;
