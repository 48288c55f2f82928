//! Whether a key has reached a namespace, and which.

use maud::{Markup, html};
use remotegpu_control_plane::{Caller, Reach, Read, look_at_last_reach};
use remotegpu_namespaces::Namespace;
use time::OffsetDateTime;

use super::SOON;
use crate::{
    console::Console,
    parts::{
        status::{Look, status},
        time::relative,
    },
};

/// Who has reached it last; nothing where that is not known soon.
pub(super) async fn find(
    console: &Console,
    reader: &Caller<Read>,
    namespace: &Namespace,
) -> Option<Option<Reach>> {
    let (log, keys) = (&*console.ports.audit_log, &*console.ports.keys);
    let asked = look_at_last_reach(log, keys, reader, Some(namespace));
    tokio::time::timeout(SOON, asked).await.ok()?.ok()
}

pub(super) fn render(reach: Option<&Option<Reach>>, now: OffsetDateTime) -> Markup {
    let every = if matches!(reach, Some(None)) {
        "5"
    } else {
        "30"
    };
    html! {
        p.reach id="reach" data-live=(every) data-say=(matches!(reach, Some(Some(_)))) {
            @match reach {
                None => {}
                Some(None) => {
                    (status(Look::Waiting, "No key has reached this namespace yet."))
                }
                Some(Some(reach)) => {
                    (status(Look::Well, "Reached by"))
                    " "
                    @match &reach.key {
                        Some(key) => a href=(format!("/settings/api-keys/{}", key.id)) { (key.name.as_str()) },
                        None => "a key that is gone",
                    }
                    ", " (relative(reach.at, now)) "."
                }
            }
        }
    }
}
