use std::{error::Error as _, os::unix::fs::PermissionsExt, time::Duration};

use futures::future::join_all;
use remotegpu_accounts::UserRepository;
use remotegpu_primitives::StoreError;
use remotegpu_storage::{Database, DatabaseOptions, OpenError, SchemaAge};
use remotegpu_test_support::postgres::TestPostgres;

use crate::{
    on_both_databases,
    world::{Guard, World, new_user},
};

on_both_databases!(
    a_migrated_database_is_ready,
    a_newer_database_is_ready_unless_it_says_that_this_version_is_too_old,
    an_older_database_is_not_ready,
    migrations_may_be_run_by_many_at_once,
);

fn options() -> DatabaseOptions {
    DatabaseOptions::default()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

async fn a_migrated_database_is_ready(world: World) {
    // R4
    world.database.check().await.unwrap();
    world.database.ping().await.unwrap();
    world.database.migrate().await.unwrap();
    let kind = match world.guard {
        Guard::Sqlite(_) => "SQLite",
        Guard::Postgres(_) => "PostgreSQL",
    };
    assert_eq!(world.database.kind(), kind);
}

async fn a_newer_database_is_ready_unless_it_says_that_this_version_is_too_old(world: World) {
    // R6
    assert_eq!(world.database.check().await.unwrap(), SchemaAge::Same);
    world.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')");
    assert_eq!(world.database.check().await.unwrap(), SchemaAge::Newer);
    world.database.ping().await.unwrap();
    let run = world.database.migrate().await.unwrap();
    assert_eq!(run, [""; 0], "there is nothing to be done");

    // Whoever has installed it made the row.
    world.execute("DELETE FROM installation");
    let row = match world.guard {
        Guard::Sqlite(_) => "INSERT INTO installation (id, created_at) VALUES (1, 0)",
        Guard::Postgres(_) => "INSERT INTO installation (id, created_at) VALUES (1, now())",
    };
    world.execute(row);
    assert_eq!(world.database.check().await.unwrap(), SchemaAge::Newer);
    world.execute("UPDATE installation SET min_version = '20261127000001'");
    assert_eq!(world.database.check().await.unwrap(), SchemaAge::Newer);
    world.execute("UPDATE installation SET min_version = '29990101000000'");
    let too_old = |error: OpenError| {
        assert!(matches!(error, OpenError::TooOld { .. }), "{error:?}");
        let sentence = error.to_string();
        assert!(sentence.contains("too old") && sentence.contains("29990101000000"));
    };
    too_old(world.database.check().await.unwrap_err());
    too_old(world.database.migrate().await.unwrap_err());
    let ping = world.database.ping().await;
    assert!(matches!(ping, Err(StoreError::Unavailable(_))));
    world.execute("UPDATE installation SET min_version = NULL");
    world.database.ping().await.unwrap();
}

async fn an_older_database_is_not_ready(world: World) {
    // R6: one that lacks the very column that says who is too old.
    world.execute(
        "DELETE FROM __diesel_schema_migrations WHERE version >= '20261127000001'; \
         ALTER TABLE installation DROP COLUMN min_version",
    );
    let error = world.database.check().await.unwrap_err();
    assert!(matches!(error, OpenError::Older { .. }), "{error:?}");
    assert!(error.to_string().contains("20261127000001"), "{error}");
    world.execute("DELETE FROM __diesel_schema_migrations");
    let error = world.database.check().await.unwrap_err();
    assert!(matches!(error, OpenError::Older { .. }), "{error:?}");
    assert!(world.database.ping().await.is_err());
    world.execute("DROP TABLE __diesel_schema_migrations");
    let error = world.database.check().await.unwrap_err();
    assert!(matches!(error, OpenError::Older { .. }), "{error:?}");
    assert!(world.database.ping().await.is_err());
}

async fn migrations_may_be_run_by_many_at_once(world: World) {
    // A database that has nothing yet.
    let (url, _guard) = match &world.guard {
        Guard::Sqlite(folder) => (format!("sqlite:{}/fresh.db", folder.path().display()), None),
        Guard::Postgres(_) => {
            let fresh = TestPostgres::shared().unwrap().create_database().unwrap();
            (fresh.url(), Some(fresh))
        }
    };
    let migrate = |_| {
        let url = url.clone();
        tokio::spawn(async move {
            let database = Database::connect(&url, options()).await.unwrap();
            database.migrate().await.unwrap();
            database.check().await.unwrap();
        })
    };
    for done in join_all((0..4).map(migrate)).await {
        done.unwrap();
    }
}

#[tokio::test]
async fn migrations_run_on_a_single_threaded_runtime() {
    World::sqlite().await;
    World::postgres().await;
}

#[tokio::test]
async fn a_url_that_cannot_be_meant_is_refused() {
    for url in [
        "",
        "mysql://root:s3cret@db/x",
        "sqlite:",
        "sqlite::memory:",
        "postgres://root:s3cret@db/x?sslmode=maybe",
    ] {
        let error = Database::connect(url, options()).await.unwrap_err();
        assert!(matches!(error, OpenError::InvalidUrl(_)), "{url}");
        assert!(!chain(&error).contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn an_unreachable_server_is_named_without_its_password() {
    // C7
    let url = "postgres://root:s3cret@127.0.0.1:1/x";
    let error = Database::connect(url, options()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "PostgreSQL at 127.0.0.1:1 cannot be reached"
    );
    assert!(error.source().is_some());
    assert!(!format!("{} {error:?}", chain(&error)).contains("s3cret"));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_wanted() {
    let database = TestPostgres::shared().unwrap().create_database().unwrap();
    let url = format!("{}?sslmode=require", database.url());
    let error = Database::connect(&url, options()).await.unwrap_err();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    let world = World::sqlite().await;
    let Guard::Sqlite(folder) = &world.guard else {
        panic!()
    };
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
    let nowhere = format!("sqlite:{}/no/such.db", folder.path().display());
    let error = Database::connect(&nowhere, options()).await.unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error:?}");
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, however long it may become").unwrap();
    let text = format!("sqlite:{}", text.display());
    let error = Database::connect(&text, options()).await.unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_closed_are_replaced() {
    let world = World::postgres().await;
    let ask = async || world.database.find_by_email(&new_user("ada").email).await;
    join_all((0..16).map(|_| ask())).await;
    for round in 0..3 {
        world.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        for answer in join_all((0..16).map(|_| ask())).await {
            assert_eq!(answer.unwrap(), None);
        }
        world.person(&format!("round{round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_unavailable_in_time_and_comes_back() {
    // C7
    let mut server = TestPostgres::private().unwrap();
    let fresh = server.create_database().unwrap();
    let database = Database::connect(&fresh.url(), options()).await.unwrap();
    database.migrate().await.unwrap();
    database.ping().await.unwrap();
    server.kill().unwrap();
    let asked = tokio::time::timeout(Duration::from_secs(5), database.ping());
    let answer = asked.await.unwrap();
    assert!(matches!(answer, Err(StoreError::Unavailable(_))));
    server.start().unwrap();
    database.ping().await.unwrap();
}
