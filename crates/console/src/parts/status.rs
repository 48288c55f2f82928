//! Where something is in its life: a word and a shape, never a colour alone.

use maud::{Markup, html};
use remotegpu_access_tokens::TokenStatus;
use remotegpu_keys::KeyStatus;
use remotegpu_namespaces::Namespace;

/// How it is.
#[derive(Clone, Copy)]
pub(crate) enum Look {
    Well,
    Waiting,
    Bad,
    Over,
}

pub(crate) fn status(look: Look, word: &str) -> Markup {
    let class = match look {
        Look::Well => "status ok",
        Look::Waiting => "status warn",
        Look::Bad => "status danger",
        Look::Over => "status over",
    };
    html! { span class=(class) { (word) } }
}

pub(crate) fn of_key(of: KeyStatus) -> Markup {
    let look = match of {
        KeyStatus::Active => Look::Well,
        KeyStatus::Expired | KeyStatus::Revoked => Look::Over,
    };
    status(look, of.as_str())
}

pub(crate) fn of_token(of: TokenStatus) -> Markup {
    let look = match of {
        TokenStatus::Active => Look::Well,
        TokenStatus::Expired => Look::Over,
    };
    status(look, of.as_str())
}

pub(crate) fn of_namespace(namespace: &Namespace) -> Markup {
    let word = namespace.status.as_str();
    let look = match word {
        "active" => Look::Well,
        "failed" => Look::Bad,
        _ => Look::Waiting,
    };
    status(look, word)
}

/// Whether it changes by itself, and a page should look again soon.
pub(crate) fn is_changing(namespace: &Namespace) -> bool {
    matches!(
        namespace.status.as_str(),
        "provisioning" | "failed" | "deleting"
    )
}
