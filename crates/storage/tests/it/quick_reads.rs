//! Short reads on PostgreSQL have a connection of their own.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use remotegpu_keys::{ApiKey, ApiKeyRepository, HashedApiKey};
use remotegpu_primitives::{KeySecretId, StoreError};
use remotegpu_scopes::Scopes;
use remotegpu_storage::{Database, DatabaseOptions};
use tokio_postgres::{NoTls, connect};

use crate::world::{Guard, NOW, Person, World, act};

/// For how long a connection of their own may be silent.
const PATIENCE: Duration = Duration::from_millis(200);

/// A database with a person's key, and another instance on it that has a single
/// connection for all else.
struct Scene {
    world: World,
    instance: Database,
    person: Person,
    key: ApiKey,
    secret: KeySecretId,
    hash: HashedApiKey,
}

async fn scene() -> Scene {
    let world = World::postgres().await;
    let person = world.person("ada").await;
    let (key, new) = world.key(person, Scopes::All).await;
    let options = DatabaseOptions {
        max_connections: 1,
        acquire_timeout: Duration::from_millis(500),
        ..DatabaseOptions::default()
    };
    let instance = Database::connect(&world.url, options).await.unwrap();
    Scene {
        instance,
        person,
        secret: new.secret.id,
        hash: new.secret.hash,
        key,
        world,
    }
}

impl Scene {
    async fn read(&self) {
        let found = self.instance.find_by_hash(&self.hash).await.unwrap();
        assert_eq!(found.unwrap().key.id, self.key.id);
    }

    /// Connections to this database of which that is so.
    fn count(&self, condition: &str) -> usize {
        let Guard::Postgres(database) = &self.world.guard else {
            panic!()
        };
        let count = database.query(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND pid <> pg_backend_pid() AND {condition}"
        ));
        count.unwrap().trim().parse().unwrap()
    }

    /// Connections of which the last statement was the read.
    fn readers(&self) -> usize {
        self.count(r#"query LIKE '%"key_secrets"."hash" = %'"#)
    }

    /// Reads until the pool's connection and the runtime's own have both read.
    async fn warm_up(&self) {
        for _ in 0..100 {
            self.read().await;
            if self.readers() == 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} connections read", self.readers());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_read_waits_for_no_free_connection() {
    let s = Arc::new(scene().await);
    s.warm_up().await;
    let account = s.person.account.as_uuid();
    let (holder, driver) = connect(&s.world.url, NoTls).await.unwrap();
    let driver = tokio::spawn(driver);
    let lock = format!("BEGIN; SELECT 1 FROM accounts WHERE id = '{account}' FOR UPDATE");
    holder.batch_execute(&lock).await.unwrap();
    let waiter = Arc::clone(&s);
    let waiting = tokio::spawn(async move {
        let account = waiter.person.account;
        let act = act(NOW);
        let revoked = waiter.instance.revoke(account, waiter.key.id, &act).await;
        revoked.unwrap();
    });
    while s.count("wait_event_type = 'Lock'") == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pooled = s.instance.find_by_secret(s.secret).await;
    assert!(matches!(pooled, Err(StoreError::Unavailable(_))));
    s.read().await;
    assert!(!waiting.is_finished());
    drop(holder);
    driver.await.unwrap().unwrap();
    waiting.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_read_outlives_the_connections() {
    let s = scene().await;
    for _ in 0..3 {
        s.warm_up().await;
        s.world.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        join_all((0..16).map(|_| s.read())).await;
    }
}

/// A server process that does nothing more, until this is dropped.
struct Stopped(String);

impl Stopped {
    fn new(pid: &str) -> Self {
        signal("-STOP", pid);
        Self(pid.to_owned())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

fn signal(signal: &str, pid: &str) {
    let sent = Command::new("kill").args([signal, pid]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_read_that_hangs_is_done_by_the_pool() {
    let s = scene().await;
    let (mut first, mut next) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        s.warm_up().await;
        // The pool's connection has another last statement from now on.
        s.instance.find_by_secret(s.secret).await.unwrap();
        let Guard::Postgres(database) = &s.world.guard else {
            panic!()
        };
        let own = database.query(
            r#"SELECT pid FROM pg_stat_activity WHERE datname = current_database()
               AND pid <> pg_backend_pid() AND query LIKE '%"key_secrets"."hash" = %'"#,
        );
        let _stopped = Stopped::new(own.unwrap().trim());
        let began = Instant::now();
        s.read().await;
        first = first.min(began.elapsed());
        // Whoever comes next does not even try.
        let began = Instant::now();
        s.read().await;
        next = next.min(began.elapsed());
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    // The quickest of three, because this machine may be busy.
    assert!(first < 5 * PATIENCE, "{first:?}");
    assert!(next < PATIENCE, "{next:?}");
}
