//! What holds for every text that somebody calls something by, or has written into a file.

/// Whether a name may not hold this character, because it would break a line or turn the
/// direction of writing: control characters, separators of lines and paragraphs, bidi
/// controls (contract K4).
pub fn is_unfit_in_a_name(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}')
        || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// What a file holds without the byte order mark that some editors put before it: nobody who
/// writes a password, a token or a certificate down means the mark.
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}
