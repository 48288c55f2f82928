//! That the database was restored under this instance (contract R7).

use tokio::sync::SetOnce;

/// Given once, and never taken back: what this process remembers, has begun and has
/// told others belongs to a database that is not there any more. An instance that has
/// it answers nothing and does nothing in any cluster until it is started anew.
///
/// Whatever it answered would be worse than nothing. Keys that were revoked since the
/// backup live again in the restored database, and nobody has ended them yet; keys that
/// were made since are unknown there, and whoever is told so gives up, who would have
/// come again after the right backup was found.
#[derive(Debug, Default)]
pub struct RestoreNotice(SetOnce<()>);

impl RestoreNotice {
    /// Gives the notice.
    pub fn give(&self) {
        // It may be there already.
        let _ = self.0.set(());
    }

    /// Whether it was given.
    pub fn is_given(&self) -> bool {
        self.0.get().is_some()
    }

    /// Waits until it is.
    pub async fn given(&self) {
        self.0.wait().await;
    }
}
