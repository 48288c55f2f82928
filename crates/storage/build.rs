//! Migrations are compiled in: a new one must make this crate compile anew.
#![expect(
    clippy::print_stdout,
    reason = "this is how a build script speaks to cargo"
)]

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
