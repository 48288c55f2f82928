//! How acts of this instance wake its reconciler at once. Nothing depends on a
//! signal arriving: the reconciler looks by itself several times a second, and
//! other instances never hear one.

use std::time::Duration;

use tokio::sync::Notify;

/// Wakes the reconciler, and those who wait for what it does.
#[derive(Debug, Default)]
pub struct Signals {
    namespaces: Notify,
    identities: Notify,
    done: Notify,
}

impl Signals {
    /// There is work on a namespace.
    pub(crate) fn wake_namespaces(&self) {
        self.namespaces.notify_one();
    }

    /// A cluster identity has ended.
    pub(crate) fn wake_identities(&self) {
        self.identities.notify_one();
    }

    pub(crate) async fn namespaces_within(&self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.namespaces.notified()).await;
    }

    pub(crate) async fn identities_within(&self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.identities.notified()).await;
    }

    pub(crate) fn tell_done(&self) {
        self.done.notify_waiters();
    }

    /// Waits until the reconciler has done something, or for `longest`: then
    /// another instance may have.
    pub(crate) async fn done_within(&self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.done.notified()).await;
    }
}
