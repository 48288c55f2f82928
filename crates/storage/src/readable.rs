//! Lists of which a row cannot be read.

use remotegpu_primitives::{Cursor, Page};
use uuid::Uuid;

use crate::error::Failure;

/// What could be read of a list, and how many rows there were.
pub struct Readable<R> {
    pub rows: Vec<R>,
    pub count: usize,
    pub of: &'static str,
}

/// Loads the rows of a list one by one: one that cannot be read, because its time is in
/// no calendar or its identifier is none, is left out and told, and the others are there
/// all the same.
macro_rules! load_readable {
    ($connection:expr, $query:expr, $row:ty, $of:literal) => {{
        use futures_util::StreamExt as _;
        let mut loaded = $query.load_stream::<$row>($connection).await?;
        let (mut rows, mut count) = (Vec::new(), 0);
        while let Some(row) = loaded.next().await {
            count += 1;
            match row {
                Ok(row) => rows.push(row),
                Err(error @ diesel::result::Error::DeserializationError(_)) => {
                    $crate::readable::tell($of, &error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        $crate::readable::Readable {
            rows,
            count,
            of: $of,
        }
    }};
}

pub(crate) use load_readable;

pub fn tell(of: &'static str, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(
        error,
        source = error.source(),
        "one of the {of} cannot be read"
    );
}

impl<R> Readable<R> {
    /// The same with each row understood, as far as it can be.
    pub fn map<T>(self, read: impl Fn(R) -> Result<T, Failure>) -> Readable<T> {
        let of = self.of;
        let understood = self.rows.into_iter().filter_map(|row| match read(row) {
            Ok(item) => Some(item),
            Err(error) => {
                tell(of, &error);
                None
            }
        });
        Readable {
            rows: understood.collect(),
            count: self.count,
            of,
        }
    }

    /// The page of a list that was asked for one more than the limit. Rows that are left
    /// out count for where the next page begins.
    pub fn page(self, limit: u16, id_of: impl Fn(&R) -> Uuid) -> Page<R> {
        let more = self.count > usize::from(limit);
        let mut page = Page::from_overfull(self.rows, limit, &id_of);
        if more && page.next.is_none() {
            page.next = page.items.last().map(|last| Cursor(id_of(last)));
        }
        page
    }
}
