//! Identities of key secrets, and their tokens (contract X6 to X10).

use std::{pin::pin, time::Duration};

use async_trait::async_trait;
use http::StatusCode;
use remotegpu_namespaces::{
    ClusterError, ClusterName, CredentialIdentity, CredentialMint, IdentityObjects, IdentityPage,
    ListPlace, LocatedIdentity, LocatedObject, MintError, MintedToken, PlainClusterToken,
};
use remotegpu_primitives::IdentityId;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    KubeClusters,
    cluster::KubeCluster,
    identity_objects::{
        gives_the_same, located, role_binding, role_bindings, service_account, service_accounts,
    },
    identity_pages::list_identities,
    inspection::chain,
    labels::{Owner, is_going, metadata},
    request::{Ask, Fault, item},
    token_answer::{read_token, token_request},
};

/// How long each object of an identity may take to be read before it ends.
const READ_WITHIN: Duration = Duration::from_secs(2);
/// How long the removal of the service account waits for that of the binding, and how
/// long that may take in all. Both are over within the time of an act.
const BINDING_AHEAD: Duration = Duration::from_secs(1);
const UNBOUND_WITHIN: Duration = Duration::from_secs(3);
/// How often an object that is in the way is looked at again.
const ATTEMPTS: usize = 4;

/// Where an account asks what it may.
pub(crate) const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

#[async_trait]
impl CredentialMint for KubeClusters {
    async fn make(&self, identity: &CredentialIdentity) -> Result<(), ClusterError> {
        let cluster = self.cluster(&identity.cluster)?;
        let bindings = role_bindings(Some(identity.kubernetes_namespace.as_str()));
        cluster
            .bounded(async {
                let (accounts, account) = (service_accounts(), service_account(identity));
                ensure(cluster, &accounts, &account, identity.id).await?;
                ensure(cluster, &bindings, &role_binding(identity), identity.id).await
            })
            .await
    }

    async fn mint(
        &self,
        identity: &CredentialIdentity,
        lifetime: time::Duration,
    ) -> Result<MintedToken, MintError> {
        let cluster = self.cluster(&identity.cluster)?;
        let account = item(&service_accounts(), &identity.object_name())?;
        let ask = Ask::post(format!("{account}/token"), &token_request(lifetime));
        // A single request, which has its own bound.
        let answer = cluster.ask(&ask).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(MintError::IdentityMissing);
        }
        if !answer.is_success() {
            return Err(answer.refused("minting a token").into());
        }
        read_token(answer.body())
    }

    async fn opens(
        &self,
        identity: &CredentialIdentity,
        token: &PlainClusterToken,
    ) -> Result<bool, ClusterError> {
        let cluster = self.cluster(&identity.cluster)?;
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": identity.kubernetes_namespace.as_str(),
                "verb": "get",
                "resource": "pods",
            }},
        });
        let ask = Ask::post(REVIEWS.to_owned(), &review);
        cluster
            .bounded(async {
                let answer = cluster.ask_as(token, &ask).await?;
                // The API server may not have heard of the account yet.
                if answer.status == StatusCode::UNAUTHORIZED {
                    return Ok(false);
                }
                let review = answer.object("asking what the token opens")?;
                Ok(review["status"]["allowed"] == true)
            })
            .await
    }

    async fn locate(&self, identity: &CredentialIdentity) -> Result<LocatedIdentity, ClusterError> {
        let cluster = self.cluster(&identity.cluster)?;
        let name = identity.object_name();
        let accounts = service_accounts();
        let bindings = role_bindings(Some(identity.kubernetes_namespace.as_str()));
        let (account, binding) = tokio::join!(
            cluster.bounded_by(READ_WITHIN, look(cluster, &accounts, &name)),
            cluster.bounded_by(READ_WITHIN, look(cluster, &bindings, &name)),
        );
        // X9: one that cannot be read does not keep the other.
        let account = account.or_else(Place::unread)?;
        let binding = binding.or_else(Place::unread)?;
        let id = account.making().or_else(|| binding.making());
        let (service_account, account_obstacle) = account.into_parts(&name);
        let (binding, binding_obstacle) = binding.into_parts(&name);
        Ok(LocatedIdentity {
            id,
            account_id: Some(identity.account_id),
            cluster: identity.cluster.clone(),
            binding,
            service_account,
            binding_obstacle,
            account_obstacle,
        })
    }

    async fn remove(&self, located: &LocatedIdentity) -> Result<(), ClusterError> {
        let cluster = self.cluster(&located.cluster)?;
        let removed = Box::pin(remove_both(cluster, located));
        cluster.bounded(removed).await
    }

    async fn list(
        &self,
        name: &ClusterName,
        kind: IdentityObjects,
        place: Option<&ListPlace>,
    ) -> Result<IdentityPage, ClusterError> {
        list_identities(self.cluster(name)?, name, kind, place).await
    }
}

/// Makes the object, or finds it made for this very making. What somebody bent
/// since goes and is made again; what is not ours stays, and is an error. So is what
/// the cluster itself made other than it was asked for (an admission policy that
/// rewrites labels): it could not be found again when it has to end.
async fn ensure(
    cluster: &KubeCluster,
    collection: &str,
    wanted: &Value,
    id: IdentityId,
) -> Result<(), ClusterError> {
    let name = metadata(wanted, "name");
    let path = item(collection, name)?;
    for _ in 0..ATTEMPTS {
        let ask = Ask::post(collection.to_owned(), wanted);
        let answer = cluster.ask(&ask).await?;
        if answer.status != StatusCode::CONFLICT {
            let made = answer.object("making an identity")?;
            if Owner::of(&made) == Owner::Identity(Some(id)) && gives_the_same(&made, wanted) {
                return Ok(());
            }
            return Err(ClusterError::Refused {
                reason: format!("the cluster changed {name} as it was made"),
            });
        }
        let found = cluster.find(path.clone(), "reading an identity").await?;
        let Some(found) = found else { continue };
        match Owner::of(&found) {
            Owner::Identity(Some(same)) if same == id => {
                if gives_the_same(&found, wanted) && !is_going(&found) {
                    return Ok(());
                }
                let act = "removing what was bent";
                let uid = metadata(&found, "uid");
                cluster.delete(path.clone(), uid, act).await?;
            }
            // The name holds the making's id: nobody else of ours bears it.
            Owner::Foreign | Owner::Identity(_) => {
                return Err(ClusterError::Refused {
                    reason: format!("{name} stands there already and is not ours"),
                });
            }
        }
    }
    Err(Fault::Unsettled.into())
}

/// An object of ours, and the making that it names.
struct Found {
    id: Option<IdentityId>,
    object: LocatedObject,
}

impl Found {
    fn read(object: &Value) -> Option<Self> {
        match Owner::of(object) {
            Owner::Foreign => None,
            Owner::Identity(id) => Some(Self {
                id,
                object: located(object),
            }),
        }
    }
}

/// Ends an identity: the binding first, because that is what counts at once (contract
/// X9). One whose removal fails, or takes long, does not keep the service account.
async fn remove_both(cluster: &KubeCluster, located: &LocatedIdentity) -> Result<(), ClusterError> {
    let unbinding = async {
        if let Some(binding) = &located.binding {
            let bindings = role_bindings(Some(&binding.namespace));
            delete(cluster, &bindings, binding, "removing the binding").await?;
        }
        no_obstacle(located.binding_obstacle.as_deref())
    };
    let ending = async {
        if let Some(account) = &located.service_account {
            let act = "removing the service account";
            delete(cluster, &service_accounts(), account, act).await?;
        }
        no_obstacle(located.account_obstacle.as_deref())
    };
    let mut unbinding = pin!(cluster.bounded_by(UNBOUND_WITHIN, unbinding));
    let (unbound, ended) = if let Ok(unbound) = timeout(BINDING_AHEAD, &mut unbinding).await {
        (unbound, ending.await)
    } else {
        tokio::join!(unbinding, ending)
    };
    ended?;
    unbound.map_err(|error| ClusterError::BindingLeft(Box::new(error)))
}

async fn delete(
    cluster: &KubeCluster,
    collection: &str,
    object: &LocatedObject,
    act: &str,
) -> Result<(), ClusterError> {
    let path = item(collection, &object.name)?;
    cluster.delete(path, &object.uid, act).await
}

fn no_obstacle(obstacle: Option<&str>) -> Result<(), ClusterError> {
    obstacle.map_or(Ok(()), |reason| {
        Err(ClusterError::Refused {
            reason: reason.to_owned(),
        })
    })
}

/// What stands under the name of an identity.
enum Place {
    Free,
    Ours(Found),
    /// Something without our labels. Nobody else makes such names: somebody has
    /// taken them off, and what it gives goes on.
    Taken,
    /// That cannot be told, for this reason.
    Unread(String),
}

impl Place {
    /// An object that cannot be read, unless nothing can.
    fn unread(error: ClusterError) -> Result<Self, ClusterError> {
        match error {
            ClusterError::Unavailable(_) => Err(error),
            error => Ok(Self::Unread(chain(&error))),
        }
    }

    fn making(&self) -> Option<IdentityId> {
        match self {
            Self::Ours(found) => found.id,
            _ => None,
        }
    }

    /// The object if it is ours, or else what stands in the way.
    fn into_parts(self, name: &str) -> (Option<LocatedObject>, Option<String>) {
        match self {
            Self::Free => (None, None),
            Self::Ours(found) => (Some(found.object), None),
            Self::Taken => {
                let obstacle = format!("{name} stands there without our labels");
                (None, Some(obstacle))
            }
            Self::Unread(why) => (None, Some(format!("{name} cannot be read: {why}"))),
        }
    }
}

async fn look(cluster: &KubeCluster, collection: &str, name: &str) -> Result<Place, ClusterError> {
    let path = item(collection, name)?;
    let object = cluster.find(path, "reading an identity").await?;
    Ok(object.map_or(Place::Free, |object| {
        Found::read(&object).map_or(Place::Taken, Place::Ours)
    }))
}
