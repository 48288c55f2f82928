//! A cluster's own words, before anybody is shown them or they are logged.

/// The text with blanks in place of what would end a line, move a terminal's cursor
/// or turn the direction of writing, and of at most `longest` characters.
pub(crate) fn fit(text: &str, longest: usize) -> String {
    let shown = |c: char| if is_shown(c) { c } else { ' ' };
    text.chars().take(longest).map(shown).collect()
}

fn is_shown(c: char) -> bool {
    let is_invisible = matches!(
        c,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    );
    !c.is_control() && !is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_and_cannot_steer_who_reads_them() {
        for (text, expected) in [
            ("v1.33.1+k3s1", "v1.33.1+k3s"),
            ("a\nb\u{1b}[2Jc", "a b [2Jc"),
            ("a\u{202e}b\u{feff}\u{2028}\u{85}c", "a b   c"),
            ("größer als elf", "größer als "),
        ] {
            assert_eq!(fit(text, 11), expected);
        }
    }
}
