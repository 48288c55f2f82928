//! A person looks at the clusters that there are (contract N0).

use remotegpu_namespaces::{Cluster, ClusterDirectory, ClusterStatus};
use remotegpu_primitives::{Cursor, Page, PageRequest};
use uuid::Uuid;

use crate::{Caller, Read};

/// A page of the installation's clusters, the default one first, each with what is known
/// about it just now. They are the same for every account.
pub fn list_clusters(
    clusters: &dyn ClusterDirectory,
    _caller: &Caller<Read>,
    page: PageRequest,
) -> Page<(Cluster, ClusterStatus)> {
    let Page { items, next } = page_of(clusters.list(), page);
    let with_status = |cluster: Cluster| {
        let status = clusters.status(&cluster.name);
        (cluster, status)
    };
    Page {
        items: items.into_iter().map(with_status).collect(),
        next,
    }
}

/// Clusters have no identifiers, and their order is the configuration's: the
/// cursor is the place in it.
fn page_of(all: Vec<Cluster>, page: PageRequest) -> Page<Cluster> {
    let first = page.after().map_or(0, |cursor| cursor.0.as_u128());
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let end = first.saturating_add(page.limit().into());
    let next = (end < all.len()).then(|| Cursor(Uuid::from_u128(end as u128)));
    let items = all.into_iter().skip(first).take(page.limit().into());
    Page {
        items: items.collect(),
        next,
    }
}

#[cfg(test)]
mod tests {
    use remotegpu_namespaces::ClusterName;

    use super::*;

    #[test]
    fn every_cluster_is_on_one_page() {
        // C4, N0
        let all: Vec<Cluster> = ["a", "b", "c"]
            .map(|name| Cluster {
                name: ClusterName::parse(name).unwrap(),
                title: name.to_owned(),
                server: String::new(),
                certificate_authority_pem: None,
            })
            .into();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = page_of(all.clone(), PageRequest::new(2, after).unwrap());
            seen.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
        let beyond = PageRequest::new(1, Some(Cursor(Uuid::max()))).unwrap();
        assert!(page_of(all, beyond).items.is_empty());
    }
}
