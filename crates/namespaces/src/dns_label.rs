//! DNS labels as Kubernetes has them (RFC 1123), of which names are made.

/// Why a text is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidDnsLabel {
    /// Empty.
    Empty,
    /// A character that is no lowercase letter, digit or hyphen.
    Character,
    /// A hyphen at one end.
    Ends,
    /// Longer than it may be.
    TooLong,
}

/// Judges a text as a label of at most `longest` characters.
pub fn check_dns_label(text: &str, longest: usize) -> Result<(), InvalidDnsLabel> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().last()) else {
        return Err(InvalidDnsLabel::Empty);
    };
    if !text.bytes().all(|b| letter(b) || b == b'-') {
        return Err(InvalidDnsLabel::Character);
    }
    if !letter(first) || !letter(last) {
        return Err(InvalidDnsLabel::Ends);
    }
    if text.len() > longest {
        return Err(InvalidDnsLabel::TooLong);
    }
    Ok(())
}
