//! Rows of keys and secrets end (contract K16): after their identities' rows, and with
//! nothing but audit events left of them.

use std::collections::BTreeMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, QueryDsl,
    dsl::{count_star, exists, not},
};
use remotegpu_primitives::{AccountId, StoreError};
use time::OffsetDateTime;

use super::kinds;
use crate::{
    Database,
    accounts::hold_account,
    connection::{with_conn, with_tx},
    either::RunQuery,
    schema::{api_keys, credential_identities, key_secrets},
    types::{DbTime, DbUuid, time_or_none},
};

/// How many keys go in one transaction, and how many accounts are asked about at once.
const BATCH: usize = 200;

/// When a key was revoked or expired, or will expire. Nobody revokes what has expired,
/// so that the first that stands there is the one that ended it. Indexes are of this.
macro_rules! end_of_key {
    () => {
        time_or_none(api_keys::revoked_at, api_keys::expires_at)
    };
}

/// Keys of which no cluster identity is left.
macro_rules! without_identities {
    () => {
        not(exists(
            credential_identities::table
                .filter(credential_identities::key_id.eq(api_keys::id))
                .select(credential_identities::id),
        ))
    };
}

/// The same of secrets.
macro_rules! secrets_without_identities {
    () => {
        not(exists(
            credential_identities::table
                .filter(credential_identities::secret_id.eq(key_secrets::id))
                .select(credential_identities::id),
        ))
    };
}

impl Database {
    pub(crate) async fn remove_keys_dead_before(
        &self,
        kinds: &[&str],
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let dead: Vec<(DbUuid, DbUuid)> = with_conn!(self, read, |c| Ok(api_keys::table
            .filter(end_of_key!().lt(DbTime::from(before)))
            .filter(api_keys::kind.eq_any(kinds))
            .filter(without_identities!())
            .order(end_of_key!())
            .limit(i64::from(limit))
            .select((api_keys::account_id, api_keys::id))
            .load(c)
            .await?))?;
        let mut of_accounts: BTreeMap<DbUuid, Vec<DbUuid>> = BTreeMap::new();
        for (account, key) in dead {
            of_accounts.entry(account).or_default().push(key);
        }
        let mut removed = 0;
        for (account, keys) in of_accounts {
            for keys in keys.chunks(BATCH) {
                removed += told(account, self.remove_keys(account, keys).await)?;
            }
        }
        Ok(removed)
    }

    pub(super) async fn remove_surplus_of_dead_keys(
        &self,
        most: u32,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let now = DbTime::from(now);
        let mut removed = 0;
        for account in self.accounts_with_surplus(most, since, now).await? {
            removed += told(account, self.remove_surplus_of(account, most, now).await)?;
        }
        Ok(removed)
    }

    /// The accounts that have more than `most` dead keys.
    async fn accounts_with_surplus(
        &self,
        most: u32,
        since: Option<OffsetDateTime>,
        now: DbTime,
    ) -> Result<Vec<DbUuid>, StoreError> {
        let crowded = || {
            api_keys::table
                .filter(end_of_key!().le(now))
                .filter(api_keys::kind.eq(kinds::KEY))
                .group_by(api_keys::account_id)
                .having(count_star().gt(i64::from(most)))
                .select(api_keys::account_id)
        };
        let Some(since) = since.map(DbTime::from) else {
            return Ok(with_conn!(self, read, |c| Ok(crowded().load(c).await?))?);
        };
        let lately: Vec<DbUuid> = with_conn!(self, read, |c| Ok(api_keys::table
            .filter(end_of_key!().gt(since))
            .filter(end_of_key!().le(now))
            .filter(api_keys::kind.eq(kinds::KEY))
            .select(api_keys::account_id)
            .distinct()
            .load(c)
            .await?))?;
        let mut all = Vec::new();
        for accounts in lately.chunks(BATCH) {
            let here = api_keys::account_id.eq_any(accounts);
            let found: Vec<DbUuid> = with_conn!(self, read, |c| Ok(crowded()
                .filter(here.clone())
                .load(c)
                .await?))?;
            all.extend(found);
        }
        Ok(all)
    }

    async fn remove_surplus_of(
        &self,
        account: DbUuid,
        most: u32,
        now: DbTime,
    ) -> Result<u64, StoreError> {
        // The newest of those that are too many, so that no younger one goes in the
        // place of one whose identities are still there.
        let newest: Vec<(Option<DbTime>, DbUuid)> =
            with_conn!(self, read, |c| Ok(api_keys::table
                .filter(api_keys::account_id.eq(account))
                .filter(end_of_key!().le(now))
                .filter(api_keys::kind.eq(kinds::KEY))
                .order((end_of_key!().desc(), api_keys::id.desc()))
                .offset(i64::from(most))
                .limit(1)
                .select((end_of_key!(), api_keys::id))
                .load(c)
                .await?))?;
        let Some((Some(end), last)) = newest.into_iter().next() else {
            return Ok(0);
        };
        let mut removed = 0;
        loop {
            let oldest: Vec<DbUuid> = with_conn!(self, read, |c| Ok(api_keys::table
                .filter(api_keys::account_id.eq(account))
                .filter(
                    end_of_key!()
                        .lt(end)
                        .or(end_of_key!().eq(end).and(api_keys::id.le(last))),
                )
                .filter(without_identities!())
                .filter(api_keys::kind.eq(kinds::KEY))
                .order((end_of_key!(), api_keys::id))
                .limit(i64::try_from(BATCH).unwrap_or(i64::MAX))
                .select(api_keys::id)
                .load(c)
                .await?))?;
            let gone = self.remove_keys(account, &oldest).await?;
            removed += gone;
            if oldest.len() < BATCH || gone == 0 {
                return Ok(removed);
            }
        }
    }

    /// Removes these dead keys of the account and their secrets. Whoever makes an
    /// identity holds the account too: there is one of the key by now, and it stays,
    /// or there will be none.
    async fn remove_keys(&self, account: DbUuid, keys: &[DbUuid]) -> Result<u64, StoreError> {
        if keys.is_empty() {
            return Ok(0);
        }
        let removed = with_tx!(self, |c| {
            if !hold_account!(c, AccountId::from(account)) {
                return Ok(0);
            }
            let gone: Vec<DbUuid> = api_keys::table
                .filter(api_keys::id.eq_any(keys))
                .filter(without_identities!())
                .select(api_keys::id)
                .load(c)
                .await?;
            diesel::delete(key_secrets::table.filter(key_secrets::key_id.eq_any(&gone)))
                .execute(c)
                .await?;
            let keys = api_keys::table.filter(api_keys::id.eq_any(&gone));
            Ok(diesel::delete(keys).execute(c).await?)
        })?;
        Ok(removed as u64)
    }

    pub(super) async fn remove_secrets_ended_before(
        &self,
        before: OffsetDateTime,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let ended: Vec<DbUuid> = with_conn!(self, read, |c| Ok(key_secrets::table
            .filter(key_secrets::ends_at.lt(DbTime::from(before)))
            .filter(secrets_without_identities!())
            .order(key_secrets::ends_at)
            .limit(i64::from(limit))
            .select(key_secrets::id)
            .load(c)
            .await?))?;
        let mut removed = 0;
        for ids in ended.chunks(BATCH) {
            let gone = with_conn!(self, write, |c| Ok(diesel::delete(
                key_secrets::table
                    .filter(key_secrets::id.eq_any(ids))
                    .filter(secrets_without_identities!())
            )
            .execute(c)
            .await?))?;
            removed += gone as u64;
        }
        Ok(removed)
    }
}

/// One account that cannot be worked on keeps no other from it; a store that does not
/// answer does.
fn told(account: DbUuid, removed: Result<u64, StoreError>) -> Result<u64, StoreError> {
    match removed {
        Err(error @ (StoreError::Conflict(_) | StoreError::Corrupt(_))) => {
            tracing::warn!(
                account = %AccountId::from(account),
                error = &error as &dyn std::error::Error,
                "the dead keys of an account could not be removed"
            );
            Ok(0)
        }
        removed => removed,
    }
}
