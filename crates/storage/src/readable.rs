//! Lists of which a row cannot be read.

use remotegpu_primitives::{Cursor, Page};
use uuid::Uuid;

/// A page of a table, newest first, of the rows that `$chosen` leaves of it; that is asked
/// for more than once, and has to be the same each time.
///
/// One row more than the page holds is loaded, row by row: one that cannot be read, because
/// its time is in no calendar or its identifier is none, is left out and told, and the
/// others are there all the same. Where none of so many can be read it loads more of
/// them, because a page without an item cannot say where the list goes on.
macro_rules! list_page {
    ($database:expr, $page:expr, $table:ident, $row:ty => $item:ty, $of:literal,
     |$query:ident| $chosen:expr) => {{
        use diesel_async::RunQueryDsl;
        use futures_util::StreamExt as _;
        let (page, limit) = ($page, i64::from($page.limit()));
        let found = $crate::connection::with_conn!($database, read, |c| {
            $crate::either::on_each!(c, |c| {
                let mut asked = limit + 1;
                loop {
                    let $query = $table::table
                        .select(<$row>::columns())
                        .order($table::id.desc())
                        .limit(asked)
                        .into_boxed();
                    let mut query = $chosen;
                    if let Some(after) = page.after() {
                        query = query.filter($table::id.lt($crate::types::DbUuid(after.0)));
                    }
                    let mut loaded = RunQueryDsl::load_stream::<$row>(query, c).await?;
                    let (mut items, mut count) = (Vec::new(), 0);
                    while let Some(row) = loaded.next().await {
                        count += 1;
                        match row {
                            Ok(row) => match <$item>::try_from(row) {
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
                        break Ok((items, count > limit));
                    }
                    asked = asked.saturating_mul(2);
                }
            })
        });
        let (items, more) = found?;
        let id_of = |item: &$item| item.id.as_uuid();
        Ok($crate::readable::page(items, more, page.limit(), id_of))
    }};
}

pub(crate) use list_page;

pub fn tell(of: &'static str, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(
        error,
        source = error.source(),
        "one of the {of} cannot be read"
    );
}

/// The page of the list. Rows that are left out count for where the next one begins.
pub fn page<T>(items: Vec<T>, more: bool, limit: u16, id_of: impl Fn(&T) -> Uuid) -> Page<T> {
    let mut page = Page::from_overfull(items, limit, &id_of);
    if more && page.next.is_none() {
        page.next = page.items.last().map(|last| Cursor(id_of(last)));
    }
    page
}
