//! What is there to be copied.

use maud::{Markup, html};

/// A text in one line with a button that copies it.
pub(crate) fn copyable(id: &str, text: &str) -> Markup {
    html! {
        span.copyable {
            code id=(id) { (text) }
            (copy_button(id))
        }
    }
}

/// Lines with a button that copies them.
pub(crate) fn block(id: &str, label: &str, text: &str) -> Markup {
    html! {
        figure.code {
            figcaption { span { (label) } (copy_button(id)) }
            pre tabindex="0" { code id=(id) { (text) } }
        }
    }
}

/// Works with scripts alone, and is not there without them.
fn copy_button(of: &str) -> Markup {
    html! {
        button.copy.quiet type="button" data-copy=(of) hidden { "Copy" }
    }
}

/// A sentence in which code stands between backquotes.
pub(crate) fn in_sentence(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
