//! Lists in pages.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use remotegpu_namespaces::{
    ClusterName, IdentityObjects, IdentityPage, ListPlace, LocatedIdentity, LocatedObject,
};
use remotegpu_primitives::{AccountId, IdentityId};

/// How many objects a page has: so few that tests of a few have several.
const PAGE: usize = 2;

/// The page at that place of objects of one kind, given by name.
pub(super) fn identity_page(
    cluster: &ClusterName,
    kind: IdentityObjects,
    objects: &BTreeMap<String, LocatedObject>,
    owner: impl Fn(&str) -> Option<(IdentityId, AccountId)>,
    place: Option<&ListPlace>,
) -> IdentityPage {
    let after = place.map_or("", ListPlace::as_str).to_owned();
    let mut names = objects.range::<String, _>((Excluded(&after), Unbounded));
    let mut page = IdentityPage {
        found: Vec::new(),
        next: None,
    };
    for (name, object) in names.by_ref().take(PAGE) {
        let object = Some(object.clone());
        let (service_account, binding) = match kind {
            IdentityObjects::ServiceAccounts => (object, None),
            IdentityObjects::Bindings => (None, object),
        };
        let (id, account_id) = owner(name).unzip();
        page.next = Some(ListPlace::new(name.clone()));
        page.found.push(LocatedIdentity {
            id,
            account_id,
            cluster: cluster.clone(),
            binding,
            service_account,
            binding_obstacle: None,
            account_obstacle: None,
        });
    }
    if names.next().is_none() {
        page.next = None;
    }
    page
}
