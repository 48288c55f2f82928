//! SQLite tells by a table that triggers write and this reads a few times a
//! second: another process, an `admin` command say, has no other way to tell.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use diesel::{ExpressionMethods, QueryDsl, dsl::max};
use remotegpu_keys::{KeyChange, KeyChangeSubscription, KeyNews};
use remotegpu_primitives::StoreError;

use super::change_of;
use crate::{
    Database, connection::with_conn, either::RunQuery, error::Failure, schema::key_changes,
    types::DbUuid,
};

/// How often the table is read: well within the second of contract K13.
const READ_EVERY: Duration = Duration::from_millis(200);
/// How many changes are read at once.
const AT_ONCE: i64 = 1000;

/// Somebody who reads the table.
pub struct Subscription {
    database: Database,
    /// The last change that was read.
    last: i64,
    waiting: VecDeque<KeyNews>,
}

impl Subscription {
    pub async fn open(database: Database) -> Result<Self, Failure> {
        let last: Option<i64> = with_conn!(database, read, |c| Ok(key_changes::table
            .select(max(key_changes::id))
            .first(c)
            .await?))?;
        Ok(Self {
            last: last.unwrap_or_default(),
            database,
            waiting: VecDeque::new(),
        })
    }

    async fn read(&mut self) -> Result<(), Failure> {
        let asked = Instant::now();
        let rows: Vec<(i64, String, DbUuid)> =
            with_conn!(self.database, read, |c| Ok(key_changes::table
                .filter(key_changes::id.gt(self.last))
                .order(key_changes::id)
                .limit(AT_ONCE)
                .select((key_changes::id, key_changes::kind, key_changes::subject))
                .load(c)
                .await?))?;
        for (id, kind, subject) in &rows {
            let change = if *id == self.last + 1 {
                change_of(kind, subject.0)
            } else {
                // What stood between has been cleared away already.
                KeyChange::Everything
            };
            self.last = *id;
            self.waiting.push_back(KeyNews::Changed(change));
        }
        if rows.len() < usize::try_from(AT_ONCE).unwrap_or(usize::MAX) {
            self.waiting.push_back(KeyNews::UpTo(asked));
        }
        Ok(())
    }
}

#[async_trait]
impl KeyChangeSubscription for Subscription {
    async fn next(&mut self) -> Result<KeyNews, StoreError> {
        loop {
            if let Some(news) = self.waiting.pop_front() {
                return Ok(news);
            }
            tokio::time::sleep(READ_EVERY).await;
            self.read().await?;
        }
    }
}
