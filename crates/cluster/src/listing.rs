//! Lists of a whole collection, page by page. However long one is, only a page of it
//! is held, and each page has a bound of its own; the whole has none but its progress:
//! a cluster lists by the names of its objects, so that each page gets further than
//! the one before.

use http::StatusCode;
use remotegpu_namespaces::ClusterError;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    cluster::KubeCluster,
    labels::metadata,
    request::{Ask, Fault},
};

/// How many objects one page of a list has.
const PAGE: usize = 250;
/// How often a list is begun anew whose continuation the cluster has forgotten without
/// telling another one.
const BEGINNINGS: usize = 3;
/// How many pages in a row may bring nothing: because the cluster has forgotten where the
/// list was, or because there is nothing on them of what is asked for.
const FRUITLESS: usize = 8;
/// How long the cluster's word for where a list goes on may be.
const TOKEN: usize = 4096;

/// What is listed.
#[derive(Clone, Copy)]
pub(crate) struct Listing<'a> {
    pub(crate) collection: &'a str,
    pub(crate) selector: &'a str,
    /// What it is done for, in words.
    pub(crate) act: &'static str,
}

/// Where a list goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The cluster's word for it; none at the beginning.
    token: String,
    /// The place of the last object so far, in the order of the list.
    last: String,
    /// How often it was begun anew.
    begun_anew: usize,
    /// How many pages have brought nothing since it last got further.
    fruitless: usize,
}

impl Place {
    /// Nothing of it holds a blank.
    pub(crate) fn to_words(&self) -> String {
        let (begun_anew, fruitless) = (self.begun_anew, self.fruitless);
        format!("{begun_anew} {fruitless} {} {}", self.last, self.token)
    }

    pub(crate) fn from_words(words: &str) -> Option<Self> {
        let mut words = words.split(' ');
        let mut next = || words.next();
        Some(Self {
            begun_anew: next()?.parse().ok()?,
            fruitless: next()?.parse().ok()?,
            last: next()?.to_owned(),
            token: next()?.to_owned(),
        })
    }
}

/// Objects of a list, and where it goes on unless it is over.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<Place>,
}

/// An object that can be listed.
pub(crate) trait Listed {
    /// Its namespace, or nothing, and its name.
    fn name(&self) -> (&str, &str);
}

impl Listed for Value {
    fn name(&self) -> (&str, &str) {
        (metadata(self, "namespace"), metadata(self, "name"))
    }
}

#[derive(Deserialize)]
struct Answered<T> {
    #[serde(default)]
    metadata: AnsweredMetadata,
    items: Vec<T>,
}

/// What a list and a refusal of one have in common.
#[derive(Deserialize, Default)]
struct AnsweredMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    metadata: AnsweredMetadata,
}

/// Reads the page at this place, the first one where there is none. A page whose
/// continuation the cluster has forgotten is empty, and goes on after the last object
/// as it stands today where the cluster says how: what changed behind us meanwhile
/// was listed as it was then, which the list as a whole cannot rely on anyway. Where
/// the cluster does not say how, the list is begun anew, a few times.
pub(crate) async fn page<T: DeserializeOwned + Listed>(
    cluster: &KubeCluster,
    listing: Listing<'_>,
    place: Option<Place>,
) -> Result<Page<T>, ClusterError> {
    let place = place.unwrap_or_default();
    let (collection, selector) = (listing.collection, listing.selector);
    let mut path = format!("{collection}?{selector}&limit={PAGE}");
    if !place.token.is_empty() {
        path = format!("{path}&continue={}", place.token);
    }
    let answer = cluster.bounded(async { cluster.ask(&Ask::get(path)).await });
    let answer = answer.await?;
    if answer.status == StatusCode::GONE {
        let refused: Option<Refused> = answer.read();
        let token = refused.and_then(|refused| refused.metadata.next);
        return Ok(Page {
            items: Vec::new(),
            next: Some(after_gone(place, token)?),
        });
    }
    let answered: Answered<T> = answer.part(listing.act)?;
    let items = answered.items;
    let token = answered.metadata.next.unwrap_or_default();
    if token.is_empty() {
        return Ok(Page { items, next: None });
    }
    let token = checked(token)?;
    let next = match items.iter().map(key).max() {
        Some(last) if last > place.last => Place {
            token,
            last,
            begun_anew: place.begun_anew,
            fruitless: 0,
        },
        // That nothing is on a page says nothing of the next one.
        None if token != place.token => Place {
            token,
            fruitless: one_more(&place)?,
            ..place
        },
        _ => return Err(Fault::NotInKind.into()),
    };
    Ok(Page {
        items,
        next: Some(next),
    })
}

/// What `keep` makes of each object of the whole list.
pub(crate) async fn list<T: DeserializeOwned + Listed, K>(
    cluster: &KubeCluster,
    listing: Listing<'_>,
    keep: impl Fn(T) -> Option<K>,
) -> Result<Vec<K>, ClusterError> {
    let mut all = Vec::new();
    let mut place = None;
    loop {
        let page = page(cluster, listing, place).await?;
        all.extend(page.items.into_iter().filter_map(&keep));
        place = page.next;
        match &place {
            None => return Ok(all),
            // Begun anew.
            Some(place) if place.last.is_empty() => all.clear(),
            Some(_) => {}
        }
    }
}

/// Where a list goes on whose continuation is gone.
fn after_gone(place: Place, token: Option<String>) -> Result<Place, ClusterError> {
    let fruitless = one_more(&place)?;
    match token {
        // The same place again would be gone again.
        Some(token) if !token.is_empty() && token != place.token => Ok(Place {
            token: checked(token)?,
            fruitless,
            ..place
        }),
        _ if place.begun_anew < BEGINNINGS => Ok(Place {
            begun_anew: place.begun_anew + 1,
            fruitless,
            ..Place::default()
        }),
        _ => Err(Fault::Unsettled.into()),
    }
}

/// One more page that brings nothing, unless there were enough of them.
fn one_more(place: &Place) -> Result<usize, ClusterError> {
    if place.fruitless < FRUITLESS {
        Ok(place.fruitless + 1)
    } else {
        Err(Fault::Unsettled.into())
    }
}

/// What the cluster says goes back into a URL only as it would say it.
fn checked(token: String) -> Result<String, ClusterError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=' | b'.');
    if token.len() > TOKEN || !token.bytes().all(fits) {
        return Err(Fault::NotInKind.into());
    }
    Ok(token)
}

/// The end of the key that an API server has for an object, by which it sorts them:
/// not the same order as by namespace and then by name.
fn key(item: &impl Listed) -> String {
    let (namespace, name) = item.name();
    // No name has a blank in it, and the words of a place none but between them.
    format!("{namespace}/{name}").replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(token: &str, last: &str, begun_anew: usize, fruitless: usize) -> Place {
        Place {
            token: token.to_owned(),
            last: last.to_owned(),
            begun_anew,
            fruitless,
        }
    }

    #[test]
    fn a_place_survives_being_put_into_words() {
        for place in [place("t=", "team-a/key-1", 2, 1), place("", "", 1, 0)] {
            assert_eq!(Place::from_words(&place.to_words()), Some(place));
        }
        for odd in ["", "0", "0 0 a", "x 0 a b"] {
            assert_eq!(Place::from_words(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_list_that_the_cluster_forgot_goes_on_where_the_cluster_says() {
        let gone = |token: Option<&str>| {
            let token = token.map(str::to_owned);
            after_gone(place("old", "a/b", 0, 1), token)
        };
        assert_eq!(gone(Some("new")).unwrap(), place("new", "a/b", 0, 2));
        for none in [None, Some(""), Some("old")] {
            assert_eq!(gone(none).unwrap(), place("", "", 1, 2));
        }
        assert!(gone(Some("a/../b")).is_err());
        assert!(after_gone(place("old", "a/b", BEGINNINGS, 0), None).is_err());
        let again = Some("new".to_owned());
        assert!(after_gone(place("old", "a/b", 0, FRUITLESS), again).is_err());
    }
}
