//! A SQLite store in a temporary folder, and people in it.

use anyhow::{Context, Result};
use remotegpu_accounts::{
    Account, AccountLimits, AccountName, CreateUser, Email, HashedPassword, InsertSession,
    NewSession, NewUser, PasswordChange, PlainSession, Role, Session, SessionContext,
    SessionRepository, User, UserRepository,
};
use remotegpu_keys::{
    ApiKey, ApiKeyRepository, InsertApiKey, KeyName, NewApiKey, NewKeySecret, PlainApiKey,
    PresentedKey,
};
use remotegpu_namespaces::{
    ClaimRepository, ClusterName, InsertNamespace, KubernetesNamespaceName, Namespace,
    NamespaceName, NamespaceRepository, NewNamespace,
};
use remotegpu_primitives::{
    AccountId, ApiKeyId, InstallationId, KeySecretId, NamespaceId, SessionId, UserId,
};
use remotegpu_scopes::Scopes;
use remotegpu_storage::{Database, DatabaseOptions};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::{act, rng};

/// A store for one test.
#[derive(Debug)]
pub struct TestStore {
    /// The store itself.
    pub database: Database,
    _folder: TempDir,
}

impl TestStore {
    /// An empty store.
    pub async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let database = Database::connect(&url, DatabaseOptions::default()).await?;
        database.migrate().await?;
        Ok(Self {
            database,
            _folder: folder,
        })
    }

    /// Makes an installation of it, as a server's first start does: it knows from then
    /// on who it is.
    pub async fn settle(&self, now: OffsetDateTime) -> Result<()> {
        let rng = &mut rng();
        let user = NewUser {
            id: UserId::generate(now, rng),
            email: Email::parse("admin@localhost")?,
            password: HashedPassword::of_nobody(),
            password_change: PasswordChange::NotNeeded,
            created_at: now,
        };
        let account = Account {
            id: AccountId::generate(now, rng),
            name: AccountName::parse("Operator")?,
            limits: AccountLimits::default(),
            suspended_at: None,
            created_at: now,
        };
        self.database
            .insert_first(&user, &account, &act(now))
            .await?;
        let installation = InstallationId::generate(now, rng);
        self.database.settle_holder(installation).await?;
        Ok(())
    }

    /// A person with an account of their own, signed in. Their password is
    /// nobody's, so that no time goes into hashing.
    pub async fn person(&self, name: &str, now: OffsetDateTime) -> Result<SessionContext> {
        let rng = &mut rng();
        let user = NewUser {
            id: UserId::generate(now, rng),
            email: Email::parse(&format!("{name}@example.org"))?,
            password: HashedPassword::of_nobody(),
            password_change: PasswordChange::NotNeeded,
            created_at: now,
        };
        let account = Account {
            id: AccountId::generate(now, rng),
            name: AccountName::parse(name)?,
            limits: AccountLimits::default(),
            suspended_at: None,
            created_at: now,
        };
        let signing_up = act(now);
        let created = self
            .database
            .insert_with_account(&user, &account, &signing_up);
        let created = created.await?;
        anyhow::ensure!(created == CreateUser::Created, "{created:?}");
        let session = Session {
            id: SessionId::generate(now, rng),
            user_id: user.id,
            account_id: account.id,
            created_at: now,
            last_seen_at: now,
        };
        let new = NewSession {
            hash: PlainSession::generate(rng).hash(),
            verified: user.password.clone(),
            session: session.clone(),
        };
        let inserted = SessionRepository::insert(&self.database, &new, &act(now)).await?;
        anyhow::ensure!(inserted == InsertSession::Inserted, "{inserted:?}");
        Ok(SessionContext {
            session,
            user: User {
                id: user.id,
                email: user.email,
                password: user.password,
                password_change: user.password_change,
                created_at: now,
            },
            account,
            role: Role::Admin.into(),
        })
    }

    /// A key of the person's, and its secret.
    pub async fn key(
        &self,
        person: &SessionContext,
        scopes: Scopes,
        expires_at: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<(ApiKey, PlainApiKey)> {
        let rng = &mut rng();
        let secret = PlainApiKey::generate(rng);
        let new = NewApiKey {
            id: ApiKeyId::generate(now, rng),
            account_id: person.account.id,
            name: KeyName::parse("test")?,
            scopes,
            created_at: now,
            created_by: person.user.id,
            expires_at,
            secret: NewKeySecret {
                id: KeySecretId::generate(now, rng),
                hash: secret.hash(),
                prefix: secret.prefix(),
            },
        };
        match ApiKeyRepository::insert(&self.database, &new, 1000, &act(now)).await? {
            InsertApiKey::Inserted(key) => Ok((key, secret)),
            other => anyhow::bail!("{other:?}"),
        }
    }

    /// The key as the store presents it to whoever holds the secret.
    pub async fn presented(&self, secret: &PlainApiKey) -> Result<PresentedKey> {
        let found = ApiKeyRepository::find_by_hash(&self.database, &secret.hash()).await?;
        found.context("the key is not stored")
    }

    /// An active namespace of the person's in the cluster `test`.
    pub async fn namespace(
        &self,
        person: &SessionContext,
        name: &str,
        now: OffsetDateTime,
    ) -> Result<Namespace> {
        self.namespace_in("test", person, name, now).await
    }

    /// An active namespace of the person's in that cluster.
    pub async fn namespace_in(
        &self,
        cluster: &str,
        person: &SessionContext,
        name: &str,
        now: OffsetDateTime,
    ) -> Result<Namespace> {
        let rng = &mut rng();
        let name = NamespaceName::parse(name)?;
        let new = NewNamespace {
            id: NamespaceId::generate(now, rng),
            account_id: person.account.id,
            kubernetes_namespace: KubernetesNamespaceName::generate(&name, rng),
            name,
            cluster: ClusterName::parse(cluster)?,
            created_at: now,
        };
        let database = &self.database;
        match NamespaceRepository::insert(database, &new, 1000, &act(now)).await? {
            InsertNamespace::Inserted(_) => {}
            other => anyhow::bail!("{other:?}"),
        }
        anyhow::ensure!(NamespaceRepository::mark_active(database, new.id, now).await?);
        let found = NamespaceRepository::find(database, person.account.id, new.id).await?;
        found.context("the namespace is not stored")
    }
}
