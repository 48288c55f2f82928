//! A database that is restored under a running server is noticed (contract R7).

use std::{convert::Infallible, error::Error, future::pending, sync::Arc, time::Duration};

use remotegpu_control_plane::{KeyCache, KnownIdentities, RestoreNotice};
use remotegpu_keys::KeyChange;
use remotegpu_storage::{RestoreWatch, Seen};

/// How often it is looked at. A look takes two seconds at the most, so that a restore is
/// noticed well within the five that the contract gives.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What an instance remembers of its database, and whom it tells.
#[derive(Clone)]
pub struct Remembered {
    pub keys: Arc<KeyCache>,
    pub identities: Arc<KnownIdentities>,
    pub notice: Arc<RestoreNotice>,
}

/// Looks at the database until it is another, and then has the instance forget all and
/// rest; what is left to do is the operator's.
pub async fn watch(mut watch: RestoreWatch, remembered: Remembered) -> Infallible {
    let mut told = false;
    loop {
        match watch.look().await {
            Ok(Seen::Same) => told = false,
            Ok(Seen::SteppedBack { by }) => {
                remembered.keys.note(KeyChange::Everything);
                remembered.identities.forget_all();
                tracing::warn!(
                    seconds = by.as_seconds_f64(),
                    "the database went back a little, as after a failover to a replica that was \
                     behind: what was written in its last seconds is lost, and what was \
                     remembered of it is forgotten"
                );
            }
            Ok(Seen::Restored(sign)) => {
                // First nothing is answered any more, then nothing is remembered.
                remembered.notice.give();
                remembered.keys.retire();
                remembered.identities.forget_all();
                tracing::error!(
                    sign = &sign as &dyn Error,
                    "the database was restored or replaced under this server, which answers \
                     nothing and does nothing until it is started anew; see docs/backup.md"
                );
                return pending().await;
            }
            // Once for each time: while the database is down this happens every second.
            Err(error) if !told => {
                told = true;
                tracing::warn!(
                    error = &error as &dyn Error,
                    "the database cannot be looked at; a restore of it would not be noticed \
                     until it can"
                );
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
