//! Which database it is, whatever is in it (contract R9).

use std::os::unix::fs::PermissionsExt;

use remotegpu_primitives::StoreError;
use remotegpu_storage::{Database, DatabaseIdentity};

use crate::world::{Guard, World};

crate::on_both_databases!(
    every_instance_finds_the_same_word,
    another_database_has_another_word,
);

async fn of(database: &Database) -> DatabaseIdentity {
    database.identity().await.unwrap()
}

async fn every_instance_finds_the_same_word(world: World) {
    // R9
    let identity = of(&world.database).await;
    let kind = match world.guard {
        Guard::Sqlite(_) => "sqlite-",
        Guard::Postgres(_) => "postgresql-",
    };
    assert!(identity.as_str().starts_with(kind), "{identity}");
    assert!(
        !identity.as_str().contains(char::is_whitespace),
        "{identity}"
    );
    assert_eq!(of(&world.instance().await).await, identity);
}

async fn another_database_has_another_word(world: World) {
    // R9: also one on the same server.
    let other = match world.guard {
        Guard::Sqlite(_) => World::sqlite().await,
        Guard::Postgres(_) => World::postgres().await,
    };
    assert_ne!(of(&world.database).await, of(&other.database).await);
}

#[tokio::test]
async fn dropped_and_made_again_is_another_database() {
    // R9
    let world = World::postgres().await;
    let identity = of(&world.database).await;
    let Guard::Postgres(database) = &world.guard else {
        panic!()
    };
    database.make_anew().unwrap();
    assert_ne!(of(&world.instance().await).await, identity);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_place_of_another_has_the_word_of_its_place() {
    // R9: a restore is no copy.
    let world = World::sqlite().await;
    let Guard::Sqlite(folder) = &world.guard else {
        panic!()
    };
    // Many who ask at once make one.
    let asked = (0..8).map(|_| {
        let database = world.database.clone();
        tokio::spawn(async move { of(&database).await })
    });
    let words = futures::future::join_all(asked).await;
    let identity = of(&world.database).await;
    assert!(words.into_iter().all(|found| found.unwrap() == identity));
    let file = folder.path().join("test.db.identity");
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let other = World::sqlite().await;
    let Guard::Sqlite(elsewhere) = &other.guard else {
        panic!()
    };
    let here = folder.path().join("test.db");
    std::fs::rename(elsewhere.path().join("test.db"), here).unwrap();
    assert_eq!(of(&world.instance().await).await, identity);

    std::fs::write(&file, "something else\n").unwrap();
    let error = world.database.identity().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    std::fs::remove_file(&file).unwrap();
    assert_ne!(of(&world.database).await, identity, "a new one");
}
