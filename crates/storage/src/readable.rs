//! Lists of which a row cannot be read.

use remotegpu_primitives::{Cursor, Page};
use uuid::Uuid;

/// What could be read of a list from a page's beginning on, and whether there were more
/// rows than the page holds.
pub struct Readable<T> {
    pub items: Vec<T>,
    pub more: bool,
}

/// Loads a page of a list and one row more, row by row: one that cannot be read, because
/// its time is in no calendar or its identifier is none, is left out and told, and the
/// others are there all the same. Where none of so many can be read it loads more of
/// them, because a page without an item cannot say where the list goes on.
macro_rules! load_readable {
    ($connection:expr, $limit:expr, $query:expr, $row:ty, $read:expr, $of:literal) => {{
        use futures_util::StreamExt as _;
        let mut asked = i64::from($limit) + 1;
        loop {
            let mut loaded =
                diesel_async::RunQueryDsl::load_stream::<$row>($query(asked), $connection).await?;
            let (mut items, mut count) = (Vec::new(), 0);
            while let Some(row) = loaded.next().await {
                count += 1;
                match row {
                    Ok(row) => match $read(row) {
                        Ok(item) => items.push(item),
                        Err(error) => $crate::readable::tell($of, &error),
                    },
                    Err(error @ diesel::result::Error::DeserializationError(_)) => {
                        $crate::readable::tell($of, &error);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if !items.is_empty() || count < asked {
                let more = count > i64::from($limit);
                break $crate::readable::Readable { items, more };
            }
            asked = asked.saturating_mul(2);
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

impl<T> Readable<T> {
    /// The page of the list. Rows that are left out count for where the next one begins.
    pub fn page(self, limit: u16, id_of: impl Fn(&T) -> Uuid) -> Page<T> {
        let mut page = Page::from_overfull(self.items, limit, &id_of);
        if self.more && page.next.is_none() {
            page.next = page.items.last().map(|last| Cursor(id_of(last)));
        }
        page
    }
}
