//! Lists of a whole collection, page by page.

use std::{collections::HashSet, time::Duration};

use http::StatusCode;
use remotegpu_namespaces::ClusterError;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::{
    cluster::KubeCluster,
    request::{Ask, Fault},
};

/// How many objects one page of a list has.
const PAGE: usize = 250;
/// How often a list is begun anew whose continuation the cluster has forgotten.
const LISTINGS: usize = 3;
/// How many pages a list has at the most: a hundred thousand objects. A cluster
/// that always has another page is not listened to for ever.
const PAGES: usize = 400;
/// How long listing may take in all, begun anew or not. Each page has a bound of
/// its own, which so many pages would multiply.
const LIST_WITHIN: Duration = Duration::from_secs(30);
/// How long the cluster's word for where a list goes on may be.
const TOKEN: usize = 4096;

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMetadata,
    items: Vec<T>,
}

#[derive(Deserialize, Default)]
struct PageMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// What `keep` makes of each object that the selector finds; `act` says what is
/// listed. Only a page is held at a time.
pub(crate) async fn list<T: DeserializeOwned, K>(
    cluster: &KubeCluster,
    collection: &str,
    selector: &str,
    act: &str,
    keep: impl Fn(T) -> Option<K>,
) -> Result<Vec<K>, ClusterError> {
    let listing = async {
        for _ in 0..LISTINGS {
            if let Some(kept) = list_once(cluster, collection, selector, act, &keep).await? {
                return Ok(kept);
            }
        }
        Err(Fault::Unsettled.into())
    };
    timeout(LIST_WITHIN, listing)
        .await
        .unwrap_or_else(|_| Err(Fault::Slow.into()))
}

/// All pages of a list; nothing when the cluster forgot where it was.
async fn list_once<T: DeserializeOwned, K>(
    cluster: &KubeCluster,
    collection: &str,
    selector: &str,
    act: &str,
    keep: impl Fn(T) -> Option<K>,
) -> Result<Option<Vec<K>>, ClusterError> {
    let mut all = Vec::new();
    let mut next = String::new();
    let mut told = HashSet::new();
    for _ in 0..PAGES {
        let path = format!("{collection}?{selector}&limit={PAGE}{next}");
        let answer = cluster.bounded(async { cluster.ask(&Ask::get(path)).await });
        let answer = answer.await?;
        if answer.status == StatusCode::GONE {
            return Ok(None);
        }
        let page: Page<T> = answer.part(act)?;
        all.extend(page.items.into_iter().filter_map(&keep));
        let token = page.metadata.next.unwrap_or_default();
        if token.is_empty() {
            return Ok(Some(all));
        }
        // What the cluster says goes back into a URL only as it would say it.
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=' | b'.');
        if token.len() > TOKEN || !token.bytes().all(fits) {
            return Err(Fault::NotInKind.into());
        }
        next = format!("&continue={token}");
        // Each page ends at another place.
        if !told.insert(token) {
            return Err(Fault::NotInKind.into());
        }
    }
    Err(Fault::NotInKind.into())
}
