//! What commands print, and the server beside its log. Nothing else here writes to the two
//! streams: the standard library's macros panic where nobody takes what they print.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
};

use anyhow::{Context, Result};

/// Prints a line that was asked for.
macro_rules! say {
    ($($part:tt)*) => {
        $crate::output::print(format_args!("{}\n", format_args!($($part)*)))
    };
}
pub(crate) use say;

/// Prints what was asked for. A reader that has seen enough, such as `head`, is no failure;
/// a disk that is full is one.
pub fn print(text: fmt::Arguments<'_>) -> Result<()> {
    match write(io::stdout().lock(), text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("what was to be printed could not be"),
    }
}

/// Prints a secret, alone on its line. Without a reader it would be lost.
pub fn print_secret(secret: &str) -> io::Result<()> {
    write(io::stdout().lock(), format_args!("{secret}\n"))
}

/// Tells it to whoever looks on, if anybody does.
pub fn note(text: fmt::Arguments<'_>) {
    let _ = tell(format_args!("{text}\n"));
}

/// Tells it to whoever looks on, past the log.
pub fn tell(text: fmt::Arguments<'_>) -> io::Result<()> {
    write(io::stderr().lock(), text)
}

/// At once, so that lines of several writers stay whole.
fn write(mut stream: impl Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    stream.write_all(text.to_string().as_bytes())?;
    stream.flush()
}
