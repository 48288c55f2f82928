//! Identities of key secrets, and their tokens (contract X6 to X10).

use async_trait::async_trait;
use http::StatusCode;
use remotegpu_namespaces::{
    ClusterError, ClusterName, CredentialIdentity, CredentialMint, IdentityObjects, IdentityPage,
    ListPlace, LocatedIdentity, LocatedObject, MintError, MintedToken, PlainClusterToken,
};
use remotegpu_primitives::IdentityId;
use serde_json::{Value, json};
use time::Duration;

use crate::{
    KubeClusters,
    cluster::KubeCluster,
    identity_objects::{
        gives_the_same, located, role_binding, role_bindings, service_account, service_accounts,
    },
    identity_pages::list_identities,
    labels::{Owner, is_going, metadata},
    request::{Ask, Fault, item},
    token_answer::{read_token, token_request},
};

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
        lifetime: Duration,
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
        cluster
            .bounded(async {
                let (account, binding) = tokio::try_join!(
                    look(cluster, &accounts, &name),
                    look(cluster, &bindings, &name),
                )?;
                let taken = |place: &Place| matches!(place, Place::Taken);
                let obstacle = (taken(&account) || taken(&binding)).then(|| name.clone());
                let (account, binding) = (account.ours(), binding.ours());
                let making = |found: &Option<Found>| found.as_ref().and_then(|found| found.id);
                Ok(LocatedIdentity {
                    id: making(&account).or_else(|| making(&binding)),
                    account_id: Some(identity.account_id),
                    cluster: identity.cluster.clone(),
                    binding: binding.map(|found| found.object),
                    service_account: account.map(|found| found.object),
                    obstacle,
                })
            })
            .await
    }

    async fn remove(&self, located: &LocatedIdentity) -> Result<(), ClusterError> {
        let cluster = self.cluster(&located.cluster)?;
        cluster
            .bounded(async {
                // X9: the binding goes first, because that is what counts at once.
                if let Some(binding) = &located.binding {
                    let bindings = role_bindings(Some(&binding.namespace));
                    let path = item(&bindings, &binding.name)?;
                    let act = "removing the binding";
                    cluster.delete(path, &binding.uid, act).await?;
                }
                if let Some(account) = &located.service_account {
                    let path = item(&service_accounts(), &account.name)?;
                    let act = "removing the service account";
                    cluster.delete(path, &account.uid, act).await?;
                }
                match &located.obstacle {
                    None => Ok(()),
                    Some(name) => Err(ClusterError::Refused {
                        reason: format!("{name} stands there without our labels"),
                    }),
                }
            })
            .await
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

/// What stands under the name of an identity.
enum Place {
    Free,
    Ours(Found),
    /// Something without our labels. Nobody else makes such names: somebody has
    /// taken them off, and what it gives goes on.
    Taken,
}

impl Place {
    fn ours(self) -> Option<Found> {
        match self {
            Self::Ours(found) => Some(found),
            Self::Free | Self::Taken => None,
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
