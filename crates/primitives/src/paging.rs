//! Pages of a list (contract C4).

use uuid::Uuid;

/// A place in a list that is ordered by identifier, newest first: the list goes
/// on with what is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub Uuid);

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    limit: u16,
    after: Option<Cursor>,
}

/// A limit or cursor that cannot be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPage {
    /// The limit is not 1 to 200.
    #[error("limit must be a number from 1 to 200")]
    Limit,
    /// The cursor is none that a list gave.
    #[error("cursor must be the next_cursor of an earlier answer")]
    Cursor,
}

impl PageRequest {
    /// How many items a page holds when nothing is said.
    pub const DEFAULT_LIMIT: u16 = 50;
    /// How many items a page holds at the most.
    pub const MAX_LIMIT: u16 = 200;

    /// A page of `limit` items, of those that come after `after`.
    pub fn new(limit: u16, after: Option<Cursor>) -> Result<Self, InvalidPage> {
        if (1..=Self::MAX_LIMIT).contains(&limit) {
            Ok(Self { limit, after })
        } else {
            Err(InvalidPage::Limit)
        }
    }

    /// Reads the two query parameters as they stand on the wire.
    pub fn parse(limit: Option<&str>, cursor: Option<&str>) -> Result<Self, InvalidPage> {
        let limit = match limit {
            None => Self::DEFAULT_LIMIT,
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().map_err(|_| InvalidPage::Limit)?
            }
            Some(_) => return Err(InvalidPage::Limit),
        };
        let after = match cursor {
            None => None,
            Some(text) if text.len() == 32 => Some(Cursor(
                Uuid::try_parse(text).map_err(|_| InvalidPage::Cursor)?,
            )),
            Some(_) => return Err(InvalidPage::Cursor),
        };
        Self::new(limit, after)
    }

    /// How many items at the most.
    pub fn limit(self) -> u16 {
        self.limit
    }

    /// Where the page begins; from the newest when absent.
    pub fn after(self) -> Option<Cursor> {
        self.after
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            limit: Self::DEFAULT_LIMIT,
            after: None,
        }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_simple().fmt(f)
    }
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of a store's answer to "one more than the limit": the one
    /// more is cut off and says that there is a next page.
    pub fn from_overfull(mut items: Vec<T>, limit: u16, id_of: impl Fn(&T) -> Uuid) -> Self {
        let limit = usize::from(limit);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more {
            items.last().map(|last| Cursor(id_of(last)))
        } else {
            None
        };
        Self { items, next }
    }

    /// The same page with each item changed.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next: self.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_one_to_two_hundred() {
        // C4
        for bad in ["0", "201", "-1", "+5", "", "x", "99999999"] {
            assert_eq!(
                PageRequest::parse(Some(bad), None),
                Err(InvalidPage::Limit),
                "{bad}"
            );
        }
        assert_eq!(PageRequest::parse(Some("200"), None).unwrap().limit(), 200);
        assert_eq!(PageRequest::parse(None, None).unwrap().limit(), 50);
    }

    #[test]
    fn cursor_survives_the_wire() {
        let cursor = Cursor(Uuid::from_u128(77));
        let request = PageRequest::parse(None, Some(&cursor.to_string())).unwrap();
        assert_eq!(request.after(), Some(cursor));
        assert_eq!(
            PageRequest::parse(None, Some("zz")),
            Err(InvalidPage::Cursor)
        );
    }

    #[test]
    fn one_more_than_the_limit_means_a_next_page() {
        let page = Page::from_overfull(vec![3_u128, 2, 1], 2, |n| Uuid::from_u128(*n));
        assert_eq!(page.items, [3, 2]);
        assert_eq!(page.next, Some(Cursor(Uuid::from_u128(2))));
    }
}
