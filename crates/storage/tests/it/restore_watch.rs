//! A database that is restored under its instances (contract R7).

use remotegpu_primitives::StoreError;
use remotegpu_storage::{RestoreSign, RestoreWatch, Seen};

use crate::world::{Guard, World};

crate::on_both_databases!(
    an_undisturbed_database_is_the_same,
    the_pulse_is_raised_by_whoever_comes_first,
    old_rows_in_the_same_tables_are_a_restore,
    a_restore_is_seen_after_another_instance_has_gone_on,
    removed_rows_are_a_restore,
    a_pulse_that_was_never_there_is_made,
);

/// The pulse and what it was raised from, so many seconds older than they are.
fn set_back(world: &World, seconds: i64) {
    let by = match world.guard {
        Guard::Sqlite(_) => format!("{}", seconds * 1_000_000),
        Guard::Postgres(_) => format!("interval '{seconds} seconds'"),
    };
    world.execute(&format!(
        "UPDATE pulse SET pulsed_at = pulsed_at - {by}, raised_from = raised_from - {by}"
    ));
}

async fn look(watch: &mut RestoreWatch) -> Seen {
    watch.look().await.unwrap()
}

fn went_back(seen: &Seen) -> bool {
    matches!(seen, Seen::Restored(RestoreSign::WentBack { .. }))
}

async fn an_undisturbed_database_is_the_same(world: World) {
    let mut watch = world.database.watch_for_restore();
    for _ in 0..3 {
        assert_eq!(look(&mut watch).await, Seen::Same);
        world.person(&format!("p{}", rand::random::<u32>())).await;
    }
}

async fn the_pulse_is_raised_by_whoever_comes_first(world: World) {
    // A pulse of an hour ago, as after a night without a server.
    set_back(&world, 3600);
    let mut one = world.database.watch_for_restore();
    let mut two = world.instance().await.watch_for_restore();
    assert_eq!(look(&mut one).await, Seen::Same);
    assert_eq!(look(&mut two).await, Seen::Same);
    // Raised by now, or setting it back by a minute would be an hour and a minute.
    set_back(&world, 60);
    for watch in [&mut one, &mut two] {
        let Seen::Restored(RestoreSign::WentBack { by }) = look(watch).await else {
            panic!("R7: not seen");
        };
        assert!((59..=61).contains(&by.whole_seconds()), "{by}");
    }
}

async fn old_rows_in_the_same_tables_are_a_restore(world: World) {
    let mut watch = world.database.watch_for_restore();
    assert_eq!(look(&mut watch).await, Seen::Same);
    set_back(&world, 10);
    let seen = look(&mut watch).await;
    if matches!(world.guard, Guard::Sqlite(_)) {
        assert!(
            went_back(&seen),
            "R7: of a file there is no replica: {seen:?}"
        );
        return;
    }
    // R7: a failover that lost its last moments.
    assert!(matches!(seen, Seen::SteppedBack { .. }), "{seen:?}");
    assert_eq!(look(&mut watch).await, Seen::Same, "told once");
    set_back(&world, 60);
    assert!(went_back(&look(&mut watch).await));
    assert!(went_back(&look(&mut watch).await), "it stays so");
}

async fn a_restore_is_seen_after_another_instance_has_gone_on(world: World) {
    let mut one = world.database.watch_for_restore();
    assert_eq!(look(&mut one).await, Seen::Same);
    set_back(&world, 3600);
    // Started after the restore: to it all is well, and it raises the pulse.
    let mut two = world.instance().await.watch_for_restore();
    assert_eq!(look(&mut two).await, Seen::Same);
    assert!(went_back(&look(&mut one).await));
    assert_eq!(look(&mut two).await, Seen::Same);
}

async fn removed_rows_are_a_restore(world: World) {
    let mut watch = world.database.watch_for_restore();
    assert_eq!(look(&mut watch).await, Seen::Same);
    world.execute("DELETE FROM pulse");
    let emptied = Seen::Restored(RestoreSign::Emptied);
    assert_eq!(look(&mut watch).await, emptied);
    // And nothing was put there that would be in the way of what is being restored.
    world.execute(
        "INSERT INTO pulse SELECT 1, created_at, created_at FROM installation WHERE false",
    );
    assert_eq!(look(&mut watch).await, emptied);
}

async fn a_pulse_that_was_never_there_is_made(world: World) {
    world.execute("DELETE FROM pulse");
    let mut watch = world.database.watch_for_restore();
    assert_eq!(look(&mut watch).await, Seen::Same);
    assert_eq!(look(&mut watch).await, Seen::Same);
    set_back(&world, 60);
    assert!(went_back(&look(&mut watch).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_made_anew_are_a_restore() {
    // R7: `pg_restore --clean`, at once and step by step.
    let world = World::postgres().await;
    let Guard::Postgres(database) = &world.guard else {
        panic!()
    };
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump");
    let (mut one, mut two) = (
        world.database.watch_for_restore(),
        world.database.watch_for_restore(),
    );
    look(&mut one).await;
    look(&mut two).await;
    database.dump(&dump).unwrap();
    database.restore_over(&dump).unwrap();
    let other_tables = Seen::Restored(RestoreSign::OtherTables);
    assert_eq!(look_again(&mut one).await, other_tables);

    world.execute("ALTER TABLE installation RENAME TO elsewhere");
    let between = two.look().await;
    assert!(between.is_err(), "it may come back: {between:?}");
    world.execute("ALTER TABLE elsewhere RENAME TO installation");
    assert_eq!(look_again(&mut two).await, other_tables);
}

/// What is seen by a connection that may first have to be replaced.
async fn look_again(watch: &mut RestoreWatch) -> Seen {
    match watch.look().await {
        Ok(seen) => seen,
        Err(_) => look(watch).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_dropped_and_made_again_is_another() {
    // R7
    let world = World::postgres().await;
    let Guard::Postgres(database) = &world.guard else {
        panic!()
    };
    let mut watch = world.database.watch_for_restore();
    look(&mut watch).await;
    database.make_anew().unwrap();
    let nothing = look_again_or_error(&mut watch).await;
    assert!(nothing.is_err(), "{nothing:?}");
    world.instance().await.migrate().await.unwrap();
    let seen = look_again(&mut watch).await;
    assert_eq!(seen, Seen::Restored(RestoreSign::OtherDatabase));
}

async fn look_again_or_error(watch: &mut RestoreWatch) -> Result<Seen, StoreError> {
    let _ = watch.look().await;
    watch.look().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_looked_at_and_left_alone() {
    // R7: a standby, until it is made the primary.
    let world = World::postgres().await;
    set_back(&world, 3600);
    world.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', \
         current_database()); END $$",
    );
    let mut watch = world.instance().await.watch_for_restore();
    assert_eq!(look(&mut watch).await, Seen::Same);
    world.execute(
        "BEGIN READ WRITE; UPDATE pulse SET pulsed_at = pulsed_at - interval '1 minute'; COMMIT",
    );
    // Not raised meanwhile, or an hour would lie between.
    let Seen::Restored(RestoreSign::WentBack { by }) = look(&mut watch).await else {
        panic!("R7: not seen");
    };
    assert_eq!(by.whole_seconds(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_outlives_a_lost_connection() {
    let world = World::postgres().await;
    let mut watch = world.database.watch_for_restore();
    look(&mut watch).await;
    world.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert!(matches!(
        watch.look().await,
        Err(StoreError::Unavailable(_))
    ));
    assert_eq!(look(&mut watch).await, Seen::Same);
    set_back(&world, 60);
    assert!(went_back(&look(&mut watch).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_place_of_the_file_is_a_restore() {
    // R7
    let world = World::sqlite().await;
    let Guard::Sqlite(folder) = &world.guard else {
        panic!()
    };
    let file = folder.path().join("test.db");
    let backup = folder.path().join("backup.db");
    world.execute(&format!("VACUUM INTO '{}'", backup.display()));
    let other_file = Seen::Restored(RestoreSign::OtherFile);
    let mut watch = world.database.watch_for_restore();
    assert_eq!(look(&mut watch).await, Seen::Same);
    std::fs::rename(&backup, &file).unwrap();
    assert_eq!(look(&mut watch).await, other_file);

    let mut watch = world.instance().await.watch_for_restore();
    assert_eq!(look(&mut watch).await, Seen::Same);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(look(&mut watch).await, other_file, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_copied_over_the_file_is_a_restore() {
    // R7: the log beside it holds newer rows, which is what a connection sees.
    let world = World::sqlite().await;
    let Guard::Sqlite(folder) = &world.guard else {
        panic!()
    };
    let file = folder.path().join("test.db");
    let backup = folder.path().join("backup.db");
    set_back(&world, 3600);
    world.execute(&format!("VACUUM INTO '{}'", backup.display()));
    let mut watch = world.database.watch_for_restore();
    for _ in 0..3 {
        assert_eq!(look(&mut watch).await, Seen::Same);
        world.person(&format!("p{}", rand::random::<u32>())).await;
    }
    std::fs::copy(&backup, &file).unwrap();
    let seen = look(&mut watch).await;
    assert!(went_back(&seen), "{seen:?}");

    let mut watch = world.instance().await.watch_for_restore();
    set_back(&world, 60);
    assert_eq!(look(&mut watch).await, Seen::Same);
    assert_eq!(look(&mut watch).await, Seen::Same);
    std::fs::write(&file, "").unwrap();
    assert_eq!(
        look(&mut watch).await,
        Seen::Restored(RestoreSign::Overwritten)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_the_way_of_the_pulse_hides_no_restore() {
    use diesel::{Connection, connection::SimpleConnection};
    // R7
    let world = World::sqlite().await;
    let Guard::Sqlite(folder) = &world.guard else {
        panic!()
    };
    let file = folder.path().join("test.db");
    let backup = folder.path().join("backup.db");
    let mut watch = world.database.watch_for_restore();
    assert_eq!(look(&mut watch).await, Seen::Same);
    set_back(&world, 3600);
    world.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    let mut watch = world.instance().await.watch_for_restore();
    world.execute(&format!("VACUUM INTO '{}'", backup.display()));
    let mut reader = diesel::SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    reader
        .batch_execute("BEGIN; SELECT count(*) FROM pulse")
        .unwrap();
    assert_eq!(look(&mut watch).await, Seen::Same, "raised");
    reader.batch_execute("COMMIT").unwrap();
    for _ in 0..2 {
        assert_eq!(look(&mut watch).await, Seen::Same, "brought to the file");
    }
    std::fs::copy(&backup, &file).unwrap();
    let seen = look(&mut watch).await;
    assert!(went_back(&seen), "{seen:?}");
}
