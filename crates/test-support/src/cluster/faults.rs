//! What goes wrong in a test's cluster on request.

use super::TestCluster;

impl TestCluster {
    /// Lets the cluster refuse namespaces for this reason, or no more.
    pub fn set_refusal(&self, reason: Option<&str>) {
        self.state().refuses = reason.map(str::to_owned);
    }

    /// Changes a namespace behind the control plane's back.
    pub fn bend(&self, name: &str) {
        if let Some(found) = self.state().namespaces.get_mut(name) {
            found.is_whole = false;
        }
    }

    /// Loses a namespace behind the control plane's back.
    pub fn lose_namespace(&self, name: &str) {
        self.state().lose_namespace(name);
    }

    /// Lets this hold up namespaces that are to go, or nothing any more.
    pub fn hold_up(&self, held_by: Option<&str>) {
        self.state().held_by = held_by.map(str::to_owned);
    }

    /// Never answers from now on where these identities or namespaces are to go.
    pub fn hang<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        self.state().hanging = names.into_iter().map(str::to_owned).collect();
    }

    /// Never ends where it was told to hang.
    pub(super) async fn hang_on(&self, name: &str) {
        let hangs = self.state().hanging.contains(name);
        if hangs {
            std::future::pending::<()>().await;
        }
    }

    /// Refuses from now on to remove any binding, or no more.
    pub fn keep_bindings(&self, kept: bool) {
        self.state().keeps_bindings = kept;
    }

    /// Loses a service account behind the control plane's back.
    pub fn lose_service_account(&self, identity: &str) {
        self.state().service_accounts.remove(identity);
    }

    /// Fails from now on with these names' objects as a server does that cannot, while
    /// it counts as up.
    pub fn fail_for<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        self.state().failing = names.into_iter().map(str::to_owned).collect();
    }

    /// Loses all bindings behind the control plane's back.
    pub fn lose_bindings(&self) {
        self.state().bindings.clear();
    }

    /// Refuses from now on to remove what has these names.
    pub fn keep<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        self.state().kept = names.into_iter().map(str::to_owned).collect();
    }
}
