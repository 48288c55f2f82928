//! Dialogs: part of the page, open where its address says so, so that a reload keeps them
//! and they need no script. A script makes them modal.

use maud::{Markup, html};

/// A dialog that is open. `back` is the page without it.
pub(crate) fn open(id: &str, title: &str, back: &str, content: &Markup) -> Markup {
    html! {
        dialog open id=(id) aria-labelledby=(format!("{id}-title")) data-back=(back) {
            div.title {
                h2 id=(format!("{id}-title")) { (title) }
                a.close href=(back) { span aria-hidden="true" { "×" } span.hidden { "Close" } }
            }
            (content)
        }
    }
}

/// The row of a dialog's buttons.
pub(crate) fn actions(back: &str, submit: &Markup) -> Markup {
    row(back, submit, false)
}

/// The same where nothing is typed before something ends: Enter ends nothing.
pub(crate) fn careful_actions(back: &str, submit: &Markup) -> Markup {
    row(back, submit, true)
}

fn row(back: &str, submit: &Markup, is_careful: bool) -> Markup {
    html! {
        div.actions {
            a.button.quiet href=(back) autofocus[is_careful] { "Cancel" }
            (submit)
        }
    }
}
