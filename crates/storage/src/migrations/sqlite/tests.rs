use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use diesel::Connection;
use diesel_migrations::FileBasedMigrations;
use tempfile::TempDir;

use super::*;
use crate::{
    migrations::known,
    sqlite::{LiteManager, Purpose},
};

/// A file, and migrations for it.
struct World(TempDir);

const TABLES: &str = "
    CREATE TABLE parents (id INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT CHECK (word IN ('a')));
    CREATE TABLE children (id INTEGER PRIMARY KEY, parent REFERENCES parents (id) ON DELETE CASCADE);
    CREATE TABLE told (id INTEGER);
    CREATE TRIGGER parents_insert AFTER INSERT ON parents BEGIN
        INSERT INTO told VALUES (NEW.id);
    END;
    INSERT INTO parents VALUES (1, 'a'), (2, 'a');
    INSERT INTO children VALUES (1, 1), (2, 2);
    DELETE FROM told;";

const REBUILD: &str = "
    CREATE TABLE parents_rebuilt (id INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT);
    INSERT INTO parents_rebuilt (id, word) SELECT id, word FROM parents;
    DROP TABLE parents;
    ALTER TABLE parents_rebuilt RENAME TO parents;
    CREATE TRIGGER parents_insert AFTER INSERT ON parents BEGIN
        INSERT INTO told VALUES (NEW.id);
    END;";

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("migrations")).unwrap();
        Self(folder)
    }

    fn add(&self, name: &str, sql: &str) {
        let folder = self.0.path().join("migrations").join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("up.sql"), sql).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_dir_all(self.0.path().join("migrations").join(name)).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("test.db")
    }

    fn migrate(&self) -> Result<Vec<String>, OpenError> {
        let source = FileBasedMigrations::from_path(self.0.path().join("migrations")).unwrap();
        let manager = LiteManager::new(self.file(), Purpose::Write);
        let connection = manager.open().unwrap();
        run(connection, manager.path(), &source, &known().unwrap())
    }

    fn ask(&self, sql: &str) -> i64 {
        ask(&self.file(), sql)
    }

    /// The versions of the schemas that were copied.
    fn copies(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut copies: Vec<String> = names
            .filter_map(|name| name.strip_prefix("test.db.schema-").map(str::to_owned))
            .collect();
        copies.sort();
        copies
    }
}

fn ask(file: &Path, sql: &str) -> i64 {
    let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    let asked = diesel::sql_query(format!("SELECT ({sql}) AS found"));
    let found: Found = asked.get_result(&mut connection).unwrap();
    found.found
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    found: i64,
}

#[test]
fn a_table_that_others_refer_to_is_rebuilt_and_the_old_one_is_kept_beside() {
    // R6
    let world = World::new();
    world.add("2000-01-01-000000_tables", TABLES);
    assert_eq!(world.migrate().unwrap().len(), 1);
    assert_eq!(world.copies(), [""; 0], "a new file has nothing to lose");
    assert_eq!(world.migrate().unwrap().len(), 0);
    assert_eq!(world.copies(), [""; 0], "nothing is to be done");

    world.add("2000-01-01-000001_rebuild", REBUILD);
    assert_eq!(world.migrate().unwrap(), ["2000-01-01-000001_rebuild"]);
    assert_eq!(world.ask("SELECT count(*) FROM parents"), 2);
    assert_eq!(world.ask("SELECT count(*) FROM children"), 2);
    assert_eq!(
        world.ask("SELECT count(*) FROM told"),
        0,
        "no trigger has run"
    );
    let kept = "SELECT count(*) FROM sqlite_schema WHERE name = 'children' \
                AND sql LIKE '%REFERENCES parents (id)%'";
    assert_eq!(world.ask(kept), 1);
    let manager = LiteManager::new(world.file(), Purpose::Write);
    let mut usual = manager.open().unwrap();
    usual
        .batch_execute("INSERT INTO parents (word) VALUES ('z')")
        .unwrap();
    assert_eq!(world.ask("SELECT id FROM told"), 3);
    let dangling = "INSERT INTO children VALUES (9, 9)";
    assert!(
        usual.batch_execute(dangling).is_err(),
        "references hold again"
    );

    assert_eq!(world.copies(), ["20000101000000"]);
    let copy = world.0.path().join("test.db.schema-20000101000000");
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let checked = "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%CHECK (word IN%'";
    assert_eq!(ask(&copy, checked), 1);
    assert_eq!(ask(&copy, "SELECT count(*) FROM children"), 2);
}

#[test]
fn what_would_leave_references_to_nothing_is_taken_back() {
    // R6
    let world = World::new();
    world.add("2000-01-01-000000_tables", TABLES);
    world.migrate().unwrap();
    world.add("2000-01-01-000001_more", "CREATE TABLE more (id INTEGER);");
    world.add(
        "2000-01-01-000002_rebuild",
        &REBUILD.replace("FROM parents;", "FROM parents WHERE id = 1;"),
    );
    let error = world.migrate().unwrap_err();
    assert!(matches!(error, OpenError::References { .. }), "{error:?}");
    assert_eq!(world.ask("SELECT count(*) FROM parents"), 2);
    let more = "SELECT count(*) FROM sqlite_schema WHERE name = 'more'";
    assert_eq!(world.ask(more), 0, "nor the one before it");

    // A copy that is there already is made anew.
    world.remove("2000-01-01-000002_rebuild");
    assert_eq!(world.copies(), ["20000101000000"]);
    assert_eq!(world.migrate().unwrap(), ["2000-01-01-000001_more"]);
}

#[test]
fn a_migration_that_cannot_work_is_named() {
    let world = World::new();
    world.add("2000-01-01-000000_wrong", "CREATE TABEL x (id INTEGER);");
    let error = world.migrate().unwrap_err();
    assert_eq!(
        error.to_string(),
        "migration 2000-01-01-000000_wrong could not be run"
    );
}

#[test]
fn the_last_two_copies_are_kept() {
    // R6
    let world = World::new();
    for number in 0..5 {
        let name = format!("2000-01-01-00000{number}_table");
        world.add(&name, &format!("CREATE TABLE t{number} (id INTEGER);"));
        world.migrate().unwrap();
    }
    assert_eq!(world.copies(), ["20000101000002", "20000101000003"]);
    let stranger = world.0.path().join("test.db.schema-mine");
    fs::write(&stranger, "").unwrap();
    world.add("2000-01-01-000005_table", "CREATE TABLE t5 (id INTEGER);");
    world.migrate().unwrap();
    assert_eq!(world.copies(), ["20000101000003", "20000101000004", "mine"]);
}

#[test]
fn without_a_copy_nothing_is_changed() {
    // R6
    let world = World::new();
    world.add("2000-01-01-000000_tables", TABLES);
    world.migrate().unwrap();
    // A folder stands where the copy is to be.
    fs::create_dir(world.0.path().join("test.db.schema-20000101000000")).unwrap();
    world.add("2000-01-01-000001_more", "CREATE TABLE more (id INTEGER);");
    let error = world.migrate().unwrap_err();
    assert!(matches!(error, OpenError::Copy { .. }), "{error:?}");
    let more = "SELECT count(*) FROM sqlite_schema WHERE name = 'more'";
    assert_eq!(world.ask(more), 0);
}
