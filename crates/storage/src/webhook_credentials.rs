//! What clusters' credentials are made of (contract T6).

use async_trait::async_trait;
use diesel::{ExpressionMethods, QueryDsl};
use remotegpu_namespaces::{
    ClusterName, CredentialGeneration, WebhookCredentialRepository, WebhookKey,
};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{
    Database,
    connection::{with_conn, with_tx},
    either::RunQuery,
    error::Failure,
    schema::{webhook_credentials, webhook_keys},
    types::DbTime,
};

#[async_trait]
impl WebhookCredentialRepository for Database {
    async fn webhook_key(&self, candidate: WebhookKey) -> Result<WebhookKey, StoreError> {
        let secret = with_tx!(self, |c| {
            diesel::insert_into(webhook_keys::table)
                .values((
                    webhook_keys::id.eq(1),
                    webhook_keys::secret.eq(candidate.0.to_vec()),
                ))
                .on_conflict_do_nothing()
                .execute(c)
                .await?;
            let secret: Vec<u8> = webhook_keys::table
                .select(webhook_keys::secret)
                .first(c)
                .await?;
            let secret: Result<[u8; 32], _> = secret.try_into();
            secret.map_err(|_| Failure::Corrupt("the key of webhooks is none".to_owned()))
        })?;
        Ok(WebhookKey(secret))
    }

    async fn list_generations(&self) -> Result<Vec<CredentialGeneration>, StoreError> {
        let rows: Vec<(String, i64, DbTime)> = with_conn!(self, read, |c| {
            Ok(webhook_credentials::table
                .select((
                    webhook_credentials::cluster,
                    webhook_credentials::generation,
                    webhook_credentials::previous_until,
                ))
                .load::<(String, i64, DbTime)>(c)
                .await?)
        })?;
        let generations = rows.into_iter();
        let generations = generations.map(|(cluster, number, until)| CredentialGeneration {
            cluster: ClusterName::from_stored(cluster),
            number: number.unsigned_abs(),
            previous_until: until.into(),
        });
        Ok(generations.collect())
    }

    async fn rotate_webhook_credential(
        &self,
        cluster: &ClusterName,
        previous_until: OffsetDateTime,
    ) -> Result<CredentialGeneration, StoreError> {
        let until = DbTime::from(previous_until);
        let number: i64 = with_tx!(self, |c| {
            diesel::insert_into(webhook_credentials::table)
                .values((
                    webhook_credentials::cluster.eq(cluster.as_str()),
                    webhook_credentials::generation.eq(1),
                    webhook_credentials::previous_until.eq(until),
                ))
                .on_conflict(webhook_credentials::cluster)
                .do_update()
                .set((
                    webhook_credentials::generation.eq(webhook_credentials::generation + 1),
                    webhook_credentials::previous_until.eq(until),
                ))
                .execute(c)
                .await?;
            Ok(webhook_credentials::table
                .filter(webhook_credentials::cluster.eq(cluster.as_str()))
                .select(webhook_credentials::generation)
                .first(c)
                .await?)
        })?;
        Ok(CredentialGeneration {
            cluster: cluster.clone(),
            number: number.unsigned_abs(),
            previous_until,
        })
    }
}
