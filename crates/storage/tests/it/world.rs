//! A database of one test, and things in it.

use rand::{SeedableRng, rngs::StdRng};
use remotegpu_accounts::{
    Account, AccountLimits, AccountName, CreateUser, Email, HashedPassword, InsertSession,
    NewSession, NewUser, PasswordChange, PlainSession, Role, Session, SessionRepository,
    UserRepository,
};
use remotegpu_keys::{
    ApiKey, ApiKeyRepository, InsertApiKey, KeyName, NewApiKey, NewKeySecret, PlainApiKey,
    PresentedKey,
};
use remotegpu_namespaces::{
    ClusterAccess, ClusterName, CredentialIdentity, EnsureIdentity, IdentityRepository,
    IdentitySubject, InsertNamespace, KubernetesNamespaceName, Namespace, NamespaceName,
    NamespaceRepository, NewNamespace,
};
use remotegpu_primitives::{
    AccountId, ApiKeyId, IdentityId, KeySecretId, NamespaceId, SessionId, UserId,
};
use remotegpu_scopes::{NamespaceAccess, Scopes};
use remotegpu_storage::{Database, DatabaseOptions};
pub use remotegpu_test_support::act;
use remotegpu_test_support::postgres::{TestDatabase, TestPostgres};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime, macros::datetime};

pub const NOW: OffsetDateTime = datetime!(2026-01-01 00:00:00.123456 UTC);
pub const LIMIT: u32 = 20;

pub struct World {
    pub database: Database,
    pub url: String,
    pub guard: Guard,
}

pub enum Guard {
    Sqlite(TempDir),
    Postgres(TestDatabase),
}

/// A person with an account of their own.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    pub user: UserId,
    pub account: AccountId,
}

pub fn rng() -> impl rand::CryptoRng {
    rand::rand_core::UnwrapErr(rand::rngs::SysRng)
}

impl World {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        Self::new(url, Guard::Sqlite(folder)).await
    }

    pub async fn postgres() -> Self {
        let guard = TestPostgres::shared().unwrap().create_database().unwrap();
        Self::new(guard.url(), Guard::Postgres(guard)).await
    }

    async fn new(url: String, guard: Guard) -> Self {
        let database = Database::connect(&url, DatabaseOptions::default())
            .await
            .unwrap();
        database.migrate().await.unwrap();
        Self {
            database,
            url,
            guard,
        }
    }

    /// Another instance on the same database.
    pub async fn instance(&self) -> Database {
        Database::connect(&self.url, DatabaseOptions::default())
            .await
            .unwrap()
    }

    pub async fn person(&self, name: &str) -> Person {
        let (user, account) = (new_user(name), new_account(name));
        let created = self
            .database
            .insert_with_account(&user, &account, &act(NOW))
            .await;
        assert_eq!(created.unwrap(), CreateUser::Created);
        Person {
            user: user.id,
            account: account.id,
        }
    }

    pub async fn member(&self, name: &str, account: AccountId, role: Role) -> UserId {
        let user = new_user(name);
        let created = self
            .database
            .insert_member(&user, account, role, &act(NOW))
            .await;
        assert_eq!(created.unwrap(), CreateUser::Created);
        user.id
    }

    pub async fn session(&self, person: Person) -> NewSession {
        let session = new_session(person.user, person.account);
        let inserted = SessionRepository::insert(&self.database, &session, &act(NOW)).await;
        assert_eq!(inserted.unwrap(), InsertSession::Inserted);
        session
    }

    pub async fn key(&self, person: Person, scopes: Scopes) -> (ApiKey, NewApiKey) {
        let new = new_key(person, scopes);
        (self.insert_key(&new).await, new)
    }

    pub async fn insert_key(&self, new: &NewApiKey) -> ApiKey {
        match ApiKeyRepository::insert(&self.database, new, LIMIT, &act(NOW))
            .await
            .unwrap()
        {
            InsertApiKey::Inserted(key) => key,
            other => panic!("{other:?}"),
        }
    }

    pub async fn presented(&self, secret: KeySecretId) -> PresentedKey {
        let found = self.database.find_by_secret(secret).await.unwrap();
        found.unwrap()
    }

    /// A namespace that is provisioning.
    pub async fn new_namespace(&self, account: AccountId, name: &str) -> Namespace {
        let new = new_namespace(account, name);
        match NamespaceRepository::insert(&self.database, &new, LIMIT, &act(NOW))
            .await
            .unwrap()
        {
            InsertNamespace::Inserted(namespace) => namespace,
            other => panic!("{other:?}"),
        }
    }

    /// A namespace that is active.
    pub async fn namespace(&self, account: AccountId, name: &str) -> Namespace {
        let made = self.new_namespace(account, name).await;
        assert!(self.database.mark_active(made.id, NOW).await.unwrap());
        let found = NamespaceRepository::find(&self.database, account, made.id).await;
        found.unwrap().unwrap()
    }

    /// An identity of the secret in the namespace, which must be allowed.
    pub async fn identity(&self, key: &ApiKey, secret: KeySecretId, at: &Namespace) -> IdentityId {
        let wanted = wanted(key, secret, at);
        match self.database.ensure(&wanted, NOW).await.unwrap() {
            EnsureIdentity::Ready(identity) => identity.id,
            other => panic!("{other:?}"),
        }
    }

    /// Runs SQL as somebody would by hand, past the store.
    pub fn execute(&self, sql: &str) {
        match &self.guard {
            Guard::Postgres(database) => {
                database.query(sql).unwrap();
            }
            Guard::Sqlite(folder) => {
                use diesel::{Connection, connection::SimpleConnection};
                let path = folder.path().join("test.db");
                let path = path.to_str().unwrap();
                let mut connection = diesel::SqliteConnection::establish(path).unwrap();
                connection.batch_execute(sql).unwrap();
            }
        }
    }

    pub async fn has_ended(&self, identity: IdentityId, at: OffsetDateTime) -> bool {
        self.database.has_ended(identity, at).await.unwrap()
    }
}

pub fn new_user(name: &str) -> NewUser {
    NewUser {
        id: UserId::generate(NOW, &mut rng()),
        email: Email::parse(&format!("{name}@example.org")).unwrap(),
        password: HashedPassword::of_nobody(),
        password_change: PasswordChange::NotNeeded,
        created_at: NOW,
    }
}

pub fn new_account(name: &str) -> Account {
    Account {
        id: AccountId::generate(NOW, &mut rng()),
        name: AccountName::parse(name).unwrap(),
        limits: AccountLimits::default(),
        suspended_at: None,
        created_at: NOW,
    }
}

pub fn new_session(user: UserId, account: AccountId) -> NewSession {
    NewSession {
        hash: PlainSession::generate(&mut rng()).hash(),
        verified: HashedPassword::of_nobody(),
        session: Session {
            id: SessionId::generate(NOW, &mut rng()),
            user_id: user,
            account_id: account,
            created_at: NOW,
            last_seen_at: NOW,
        },
    }
}

pub fn new_secret() -> NewKeySecret {
    let plain = PlainApiKey::generate(&mut rng());
    NewKeySecret {
        id: KeySecretId::generate(NOW, &mut rng()),
        hash: plain.hash(),
        prefix: plain.prefix(),
    }
}

pub fn new_key(person: Person, scopes: Scopes) -> NewApiKey {
    NewApiKey {
        id: ApiKeyId::generate(NOW, &mut rng()),
        account_id: person.account,
        name: KeyName::parse("ci").unwrap(),
        scopes,
        created_at: NOW,
        created_by: person.user,
        expires_at: None,
        secret: new_secret(),
    }
}

pub fn new_namespace(account: AccountId, name: &str) -> NewNamespace {
    let name = NamespaceName::parse(name).unwrap();
    NewNamespace {
        id: NamespaceId::generate(NOW, &mut rng()),
        account_id: account,
        kubernetes_namespace: KubernetesNamespaceName::generate(&name, &mut rng()),
        name,
        cluster: dev(),
        created_at: NOW,
    }
}

/// The cluster of everything here.
pub fn dev() -> ClusterName {
    ClusterName::parse("dev").unwrap()
}

pub fn only(ids: &[NamespaceId]) -> Scopes {
    Scopes::KubernetesExec(NamespaceAccess::Only(ids.iter().copied().collect()))
}

pub fn wanted(key: &ApiKey, secret: KeySecretId, at: &Namespace) -> CredentialIdentity {
    CredentialIdentity {
        id: IdentityId::generate(NOW, &mut rng()),
        subject: IdentitySubject::KeySecret {
            key_id: key.id,
            secret_id: secret,
        },
        account_id: key.account_id,
        namespace_id: at.id,
        kubernetes_namespace: at.kubernetes_namespace.clone(),
        cluster: at.cluster.clone(),
        access: ClusterAccess::Tenant,
        bound: false,
        ends_at: None,
    }
}

pub fn seconds(seconds: i64) -> OffsetDateTime {
    NOW + Duration::seconds(seconds)
}

/// A generator that gives the same things each time.
pub fn seeded(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
