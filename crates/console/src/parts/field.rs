//! Fields of forms.

use maud::{Markup, html};

use crate::refusal::Refusal;

/// A field with a label above it, and what is wrong with it below.
#[derive(Default)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    /// What sentences call it, where its label does not do.
    pub(crate) called: Option<&'a str>,
    pub(crate) kind: &'a str,
    pub(crate) value: &'a str,
    pub(crate) hint: Option<&'a str>,
    pub(crate) autocomplete: Option<&'a str>,
    pub(crate) max: Option<u16>,
    pub(crate) required: bool,
    pub(crate) focus: bool,
    /// A regular expression, which browsers check while one types.
    pub(crate) pattern: Option<&'a str>,
}

impl Field<'_> {
    pub(crate) fn render(&self, refusal: Option<&Refusal>) -> Markup {
        let id = format!("field-{}", self.name);
        let wrong =
            refusal.and_then(|refusal| refusal.of(self.name, self.called.unwrap_or(self.label)));
        let mut described = Vec::new();
        described.extend(self.hint.map(|_| format!("{id}-hint")));
        described.extend(wrong.as_ref().map(|_| format!("{id}-error")));
        let described = (!described.is_empty()).then(|| described.join(" "));
        let kind = if self.kind.is_empty() {
            "text"
        } else {
            self.kind
        };
        let is_password = kind == "password";
        html! {
            div.field {
                label for=(id) { (self.label) }
                div.control {
                    input id=(id) name=(self.name) type=(kind) value=[(!is_password).then_some(self.value)]
                        autocomplete=[self.autocomplete] maxlength=[self.max] pattern=[self.pattern]
                        required[self.required] autofocus[refusal.map_or(self.focus, |refusal| refusal.leads_to(self.name))]
                        spellcheck="false" autocapitalize="none"
                        aria-describedby=[described] aria-invalid=[wrong.as_ref().map(|_| "true")];
                    @if is_password {
                        button.quiet.show type="button" data-show=(id) hidden { "Show" }
                    }
                }
                @if let Some(hint) = self.hint { p.hint id=(format!("{id}-hint")) { (hint) } }
                @if let Some(wrong) = wrong {
                    p.error id=(format!("{id}-error")) { (wrong) }
                }
            }
        }
    }
}

/// A field that nobody sees.
pub(crate) fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// One of several: a card to choose, with a line on when to.
pub(crate) fn radio_card(
    name: &str,
    (value, label, hint): (&str, &str, &str),
    chosen: bool,
) -> Markup {
    let id = format!("{name}-{value}");
    html! {
        div.choice {
            input id=(id) type="radio" name=(name) value=(value) checked[chosen] required
                aria-describedby=(format!("{id}-hint"));
            span {
                label for=(id) { (label) }
                span.hint id=(format!("{id}-hint")) { (hint) }
            }
        }
    }
}
