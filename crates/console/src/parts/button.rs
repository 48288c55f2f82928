//! Buttons.

use maud::{Markup, html};

/// A button that opens a page's dialog, by the address of the page with that dialog open.
pub(crate) fn open(page: &str, dialog: &str, label: &str, kind: &str) -> Markup {
    html! {
        form.inline method="get" action=(page) {
            button type="submit" class=(kind) name=(dialog) value="1" { (label) }
        }
    }
}

/// The button that sends a form.
pub(crate) fn submit(label: &str, kind: &str) -> Markup {
    html! { button type="submit" class=(kind) { (label) } }
}
