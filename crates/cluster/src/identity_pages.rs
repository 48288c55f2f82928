//! What a cluster holds of identities, a page at a time (contract X10, X12).

use std::collections::BTreeMap;

use remotegpu_namespaces::{
    ClusterError, ClusterName, IdentityObjects, IdentityPage, ListPlace, LocatedIdentity,
    LocatedObject,
};
use serde::Deserialize;

use crate::{
    cluster::KubeCluster,
    identity_objects::{role_bindings, service_accounts},
    labels::{ACCOUNT_ID, IDENTITY_ID, Owner},
    listing::{Listed, Listing, Place, page},
    request::Fault,
};

/// What of a service account or a binding is looked at: a million times in a sweep, so
/// that the rest is passed over as it is read.
#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    uid: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Listed for Object {
    fn name(&self) -> (&str, &str) {
        (&self.metadata.namespace, &self.metadata.name)
    }
}

/// Reads one page; each object stands for itself.
pub(crate) async fn list_identities(
    cluster: &KubeCluster,
    name: &ClusterName,
    kind: IdentityObjects,
    place: Option<&ListPlace>,
) -> Result<IdentityPage, ClusterError> {
    let place = match place {
        None => None,
        Some(place) => Some(Place::from_words(place.as_str()).ok_or(Fault::Unsettled)?),
    };
    let collection = match kind {
        IdentityObjects::ServiceAccounts => service_accounts(),
        IdentityObjects::Bindings => role_bindings(None),
    };
    let listing = Listing {
        collection: &collection,
        selector: &format!("labelSelector={IDENTITY_ID}"),
        act: "listing identities",
    };
    let page = page::<Object>(cluster, listing, place).await?;
    let found = page.items.into_iter();
    Ok(IdentityPage {
        found: found
            .filter_map(|object| located(name, kind, object))
            .collect(),
        next: page.next.map(|place| ListPlace::new(place.to_words())),
    })
}

fn located(
    cluster: &ClusterName,
    kind: IdentityObjects,
    object: Object,
) -> Option<LocatedIdentity> {
    let Metadata {
        name,
        namespace,
        uid,
        labels,
    } = object.metadata;
    let label = |name: &str| labels.get(name).map(String::as_str);
    let Owner::Identity(id) = Owner::by(label) else {
        return None;
    };
    let account_id = label(ACCOUNT_ID).and_then(|id| id.parse().ok());
    let object = Some(LocatedObject {
        namespace,
        name,
        uid,
    });
    let (service_account, binding) = match kind {
        IdentityObjects::ServiceAccounts => (object, None),
        IdentityObjects::Bindings => (None, object),
    };
    Some(LocatedIdentity {
        id,
        account_id,
        cluster: cluster.clone(),
        binding,
        service_account,
        binding_obstacle: None,
        account_obstacle: None,
    })
}
