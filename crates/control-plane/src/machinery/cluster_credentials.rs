//! By what the clusters are known that ask who a token is (contract T6). A credential is made
//! of the installation's key, the cluster's name and how often it was rotated: nothing of it
//! is stored, each cluster has another one, and whoever has one cannot make another.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use remotegpu_namespaces::{
    ClusterName, CredentialGeneration, WebhookCredentialRepository, WebhookKey,
};
use remotegpu_primitives::StoreError;
use ring::hmac;
use time::OffsetDateTime;

use crate::AskingCluster;

const PREFIX: &str = "rgwh_";
/// How long one is: the prefix, and 256 bits in base 64.
const LENGTH: usize = PREFIX.len() + 43;
/// What is made with the installation's key begins so.
const PURPOSE: &str = "remotegpu webhook credential";

/// A credential of a cluster. It is printed for the cluster's administrator, and not stored.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainClusterCredential(String);

impl PlainClusterCredential {
    /// The credential itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainClusterCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainClusterCredential")
    }
}

/// The credential of the cluster that has this number.
pub(crate) fn credential(
    key: &WebhookKey,
    cluster: &ClusterName,
    number: u64,
) -> PlainClusterCredential {
    let tag = hmac::sign(&hmac_key(key), message(cluster, number).as_bytes());
    let mut text = PREFIX.to_owned();
    URL_SAFE_NO_PAD.encode_string(tag.as_ref(), &mut text);
    PlainClusterCredential(text)
}

fn hmac_key(key: &WebhookKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &key.0)
}

/// No name of a cluster has a blank in it.
fn message(cluster: &ClusterName, number: u64) -> String {
    format!("{PURPOSE} {cluster} {number}")
}

/// The credentials of the configured clusters, as this instance knows them.
pub struct ClusterCredentials {
    clusters: Vec<ClusterName>,
    known: RwLock<Option<Arc<Known>>>,
}

struct Known {
    key: hmac::Key,
    generations: HashMap<ClusterName, CredentialGeneration>,
}

/// What they are made of was not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clusters' credentials are not known yet")]
pub struct CredentialsNotKnown;

impl ClusterCredentials {
    /// Those of these clusters, once [`ClusterCredentials::read`] has read them.
    pub fn new(clusters: impl IntoIterator<Item = ClusterName>) -> Self {
        Self {
            clusters: clusters.into_iter().collect(),
            known: RwLock::default(),
        }
    }

    /// Reads what they are made of. To be repeated: another instance, or the operator, may
    /// have had the next credential count.
    pub async fn read(
        &self,
        store: &dyn WebhookCredentialRepository,
        candidate: WebhookKey,
    ) -> Result<(), StoreError> {
        // It never changes, and asking for it writes.
        let key = match self.known().map(|known| known.key.clone()) {
            Ok(key) => key,
            Err(CredentialsNotKnown) => hmac_key(&store.webhook_key(candidate).await?),
        };
        let generations = store.list_generations().await?.into_iter();
        let generations = generations.map(|found| (found.cluster.clone(), found));
        let known = Arc::new(Known {
            key,
            generations: generations.collect(),
        });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(())
    }

    fn known(&self) -> Result<Arc<Known>, CredentialsNotKnown> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone().ok_or(CredentialsNotKnown)
    }

    /// Whose credential it is, if it is one. How long that takes tells nothing of what is
    /// right in it.
    pub fn recognize(
        &self,
        text: &str,
        now: OffsetDateTime,
    ) -> Result<Option<AskingCluster>, CredentialsNotKnown> {
        let known = self.known()?;
        let tag = text.strip_prefix(PREFIX).filter(|_| text.len() == LENGTH);
        let Some(tag) = tag.and_then(|tag| URL_SAFE_NO_PAD.decode(tag).ok()) else {
            return Ok(None);
        };
        let mut own = self.clusters.iter();
        let found = own.find(|cluster| known.counts(cluster, &tag, now));
        Ok(found.cloned().map(AskingCluster::known))
    }
}

impl Known {
    fn counts(&self, cluster: &ClusterName, tag: &[u8], now: OffsetDateTime) -> bool {
        let is =
            |number: u64| hmac::verify(&self.key, message(cluster, number).as_bytes(), tag).is_ok();
        match self.generations.get(cluster) {
            None => is(0),
            Some(generation) => {
                let before = generation.number.checked_sub(1);
                let before = before.filter(|_| now < generation.previous_until);
                is(generation.number) || before.is_some_and(is)
            }
        }
    }
}

impl fmt::Debug for ClusterCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterCredentials")
            .field("clusters", &self.clusters)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn cluster(name: &str) -> ClusterName {
        ClusterName::parse(name).unwrap()
    }

    fn known(generations: Vec<CredentialGeneration>) -> ClusterCredentials {
        let generations = generations.into_iter();
        let generations = generations.map(|found| (found.cluster.clone(), found));
        ClusterCredentials {
            clusters: vec![cluster("eu"), cluster("us")],
            known: RwLock::new(Some(Arc::new(Known {
                key: hmac_key(&WebhookKey([7; 32])),
                generations: generations.collect(),
            }))),
        }
    }

    fn of(name: &str, number: u64) -> PlainClusterCredential {
        credential(&WebhookKey([7; 32]), &cluster(name), number)
    }

    #[test]
    fn a_cluster_is_known_by_its_own_credential_alone() {
        // T6
        let all = known(Vec::new());
        let who = |text: &str| {
            let found = all.recognize(text, NOW).unwrap();
            found.map(|found| found.cluster().to_string())
        };
        for name in ["eu", "us"] {
            let credential = of(name, 0);
            assert_eq!(credential.reveal().len(), LENGTH);
            assert!(credential.reveal().starts_with(PREFIX));
            assert_eq!(format!("{credential:?}"), "PlainClusterCredential");
            assert_eq!(who(credential.reveal()), Some(name.to_owned()));
        }
        let right = of("eu", 0).reveal().to_owned();
        for wrong in [
            of("asia", 0).reveal(),
            of("eu", 1).reveal(),
            &right[..right.len() - 1],
            &right[PREFIX.len()..],
            &right.replace(PREFIX, "rgpu_"),
            &format!("{right}A"),
            "",
            PREFIX,
        ] {
            assert_eq!(who(wrong), None, "{wrong}");
        }
        let other = credential(&WebhookKey([8; 32]), &cluster("eu"), 0);
        assert_eq!(who(other.reveal()), None);
    }

    #[test]
    fn the_credential_before_counts_for_its_grace_and_none_older() {
        // T6
        let until = NOW + Duration::HOUR;
        let all = known(vec![CredentialGeneration {
            cluster: cluster("eu"),
            number: 2,
            previous_until: until,
        }]);
        let counts = |number: u64, now: OffsetDateTime| {
            let found = all.recognize(of("eu", number).reveal(), now).unwrap();
            found.is_some()
        };
        let at = |now| [0, 1, 2, 3].map(|number| counts(number, now));
        assert_eq!(at(until - Duration::SECOND), [false, true, true, false]);
        assert_eq!(at(until), [false, false, true, false]);
        assert!(all.recognize(of("us", 0).reveal(), NOW).unwrap().is_some());
    }

    #[test]
    fn nobody_is_refused_before_anything_is_known() {
        // T6
        let all = ClusterCredentials::new([cluster("eu")]);
        let found = all.recognize(of("eu", 0).reveal(), NOW);
        assert_eq!(found.unwrap_err(), CredentialsNotKnown);
    }
}
