//! How long something is valid: a choice of lengths.

use maud::{Markup, html};

use crate::refusal::Refusal;

/// How long a token may live, in days.
pub(crate) const LENGTHS: [(i64, &str); 5] = [
    (1, "1 day"),
    (7, "7 days"),
    (30, "30 days"),
    (90, "90 days"),
    (365, "1 year"),
];
/// Which of them is chosen where nothing was.
pub(crate) const CHOSEN: i64 = 30;

/// The field, with these lengths and what may be chosen besides.
pub(crate) fn select(
    lengths: impl Iterator<Item = (i64, &'static str)>,
    besides: Option<(&str, &str)>,
    chosen: &str,
    refusal: Option<&Refusal>,
) -> Markup {
    let wrong = refusal.and_then(|refusal| refusal.of("expires_at", "The expiration"));
    html! {
        div.field {
            label for="field-expiration" { "Expiration" }
            select id="field-expiration" name="expiration"
                autofocus[refusal.is_some_and(|refusal| refusal.leads_to("expires_at"))]
                aria-invalid=[wrong.as_ref().map(|_| "true")]
                aria-describedby=[wrong.as_ref().map(|_| "expiration-error")] {
                @for (days, label) in lengths {
                    @let value = days.to_string();
                    option value=(value) selected[chosen == value] { (label) }
                }
                @if let Some((value, label)) = besides {
                    option value=(value) selected[chosen == value] { (label) }
                }
            }
            @if let Some(wrong) = wrong { p.error id="expiration-error" { (wrong) } }
        }
    }
}
