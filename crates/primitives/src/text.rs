//! What holds for every text that somebody calls something by.

/// Whether a name may not hold this character, because it would break a line or turn the
/// direction of writing: control characters, separators of lines and paragraphs, bidi
/// controls (contract K4).
pub fn is_unfit_in_a_name(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}')
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
