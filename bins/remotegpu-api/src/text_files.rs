//! Files that people write: what is meant is the text, without the byte order mark that some
//! editors put before it.

use std::{
    io::{Error, ErrorKind, Result},
    path::Path,
};

use remotegpu_primitives::without_byte_order_mark;

/// What the file holds.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    Ok(without_byte_order_mark(&bytes).to_vec())
}

/// What the file holds, which has to be UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read_bytes(path)?;
    let is_utf16 = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
    let why = if is_utf16 {
        "it is UTF-16; save it as UTF-8"
    } else {
        "it is no UTF-8"
    };
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, why))
}
