//! What changes in keys, told to whoever remembers them (contract K13). Triggers
//! in both databases write it down, so that no statement can forget to.

mod postgres;
mod sqlite;

use async_trait::async_trait;
use remotegpu_keys::{KeyChange, KeyChangeFeed, KeyChangeSubscription};
use remotegpu_primitives::{AccessTokenId, AccountId, ApiKeyId, StoreError, UserId};
use uuid::Uuid;

use crate::{Database, database::Source};

#[async_trait]
impl KeyChangeFeed for Database {
    async fn subscribe(&self) -> Result<Box<dyn KeyChangeSubscription>, StoreError> {
        Ok(match self.source() {
            Source::Postgres(manager) => Box::new(postgres::Subscription::open(manager).await?),
            Source::Sqlite(_) => Box::new(sqlite::Subscription::open(self.clone()).await?),
        })
    }
}

/// The change that a trigger wrote down. A word that this version does not know
/// may mean any change.
fn change_of(kind: &str, subject: Uuid) -> KeyChange {
    match kind {
        "key" => KeyChange::Key(ApiKeyId::from_uuid(subject)),
        "account" => KeyChange::Account(AccountId::from_uuid(subject)),
        "maker" => KeyChange::Maker(UserId::from_uuid(subject)),
        "access_token" => KeyChange::AccessToken(AccessTokenId::from_uuid(subject)),
        _ => KeyChange::Everything,
    }
}
