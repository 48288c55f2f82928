//! The operator gives a held namespace to an account (contract R8). It is written down;
//! whichever server runs does the work.

use rand::CryptoRng;
use remotegpu_accounts::{AccountName, AccountRepository};
use remotegpu_namespaces::{
    AdoptNamespace, Adoption, ClusterName, HeldKind, HeldNamespace, HeldNamespaceRepository,
    InvalidNamespaceName, KubernetesNamespaceName, NamespaceName, WantedOfHeld,
};
use remotegpu_primitives::{AccountId, StoreError};
use time::OffsetDateTime;

use crate::Operator;

/// Which namespace an account gets, and under which name.
#[derive(Debug, Clone)]
pub struct AdoptHeld {
    /// The cluster.
    pub cluster: ClusterName,
    /// What the cluster calls the namespace.
    pub kubernetes_namespace: KubernetesNamespaceName,
    /// The account.
    pub account: AccountId,
    /// What the account will call it; the cluster's name without its random end where
    /// absent.
    pub name: Option<NamespaceName>,
    /// Whether it may be taken from another account that its label names.
    pub is_confirmed: bool,
}

/// A word on a held namespace that does not count.
#[derive(Debug, thiserror::Error)]
pub enum HeldNamespaceError {
    /// There is no such held namespace.
    #[error("no namespace of this name is {} in this cluster; admin held list shows what is", .0.as_str())]
    NotHeld(HeldKind),
    /// Something else is wanted of it already.
    #[error("the server is about to {} it already", .0.as_str())]
    AlreadyWanted(WantedOfHeld),
    /// There is no such account.
    #[error("there is no account {0}")]
    AccountUnknown(AccountId),
    /// The account has a namespace of this name.
    #[error("the account has a namespace {0} already; give this one another name with --name")]
    NameTaken(NamespaceName),
    /// Its label or its name is another namespace's.
    #[error(
        "its label or its name is that of another namespace, or of one that was deleted: it can \
         only be deleted"
    )]
    IdentifierTaken,
    /// The cluster's name without its end is no name for a namespace.
    #[error("give it a name with --name: {0}")]
    NameNeeded(InvalidNamespaceName),
    /// Its label names another account that there is.
    #[error("its label names another account, {1} ({0}); say --yes to take it from there")]
    OtherAccount(AccountId, AccountName),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives a held namespace to an account, whatever the account's limit is. It keeps the
/// identifier that its label names, so that kubeconfigs and scopes of yesterday work;
/// the server gives it its new labels, and it is active then. Answers its name.
pub async fn adopt_namespace(
    held: &dyn HeldNamespaceRepository,
    accounts: &dyn AccountRepository,
    operator: Operator,
    wanted: &AdoptHeld,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<NamespaceName, HeldNamespaceError> {
    let found = find(
        held,
        &wanted.cluster,
        &wanted.kubernetes_namespace,
        HeldKind::Held,
    )
    .await?;
    let name = match &wanted.name {
        Some(name) => name.clone(),
        None => found
            .kubernetes_namespace
            .without_random_end()
            .map_err(HeldNamespaceError::NameNeeded)?,
    };
    let other = found
        .account_id
        .filter(|labelled| *labelled != wanted.account);
    if let Some(other) = other.filter(|_| !wanted.is_confirmed)
        && let Some(account) = accounts.find(other).await?
    {
        return Err(HeldNamespaceError::OtherAccount(other, account.name));
    }
    let adoption = Adoption {
        cluster: found.cluster,
        kubernetes_namespace: found.kubernetes_namespace,
        namespace_id: found.namespace_id,
        account_id: wanted.account,
        name: name.clone(),
    };
    match held.adopt(&adoption, &operator.act(rng, now)).await? {
        AdoptNamespace::Adopted => Ok(name),
        AdoptNamespace::NotHeld => Err(HeldNamespaceError::NotHeld(HeldKind::Held)),
        AdoptNamespace::AccountUnknown => Err(HeldNamespaceError::AccountUnknown(wanted.account)),
        AdoptNamespace::NameTaken => Err(HeldNamespaceError::NameTaken(name)),
        AdoptNamespace::IdentifierTaken => Err(HeldNamespaceError::IdentifierTaken),
    }
}

/// The held namespace of this kind, of which nothing is wanted yet.
pub(crate) async fn find(
    held: &dyn HeldNamespaceRepository,
    cluster: &ClusterName,
    name: &KubernetesNamespaceName,
    kind: HeldKind,
) -> Result<HeldNamespace, HeldNamespaceError> {
    let found = held.find_held(cluster, name).await?;
    let found = found.filter(|found| found.kind == kind);
    let found = found.ok_or(HeldNamespaceError::NotHeld(kind))?;
    match found.wanted {
        Some(wanted) => Err(HeldNamespaceError::AlreadyWanted(wanted)),
        None => Ok(found),
    }
}
