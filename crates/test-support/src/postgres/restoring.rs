//! Dumps of a test's database, and what brings it back under those who use it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::{TestDatabase, database_url, output, run, text, without_settings};

impl TestDatabase {
    /// Everything in the database, as SQL that [`TestDatabase::query`] takes.
    ///
    /// # Errors
    /// `pg_dump` is not there or fails; the error tells what it said.
    pub fn dump_as_sql(&self) -> Result<String> {
        let mut command = Command::new(self.programs.program("pg_dump"));
        without_settings(&mut command);
        command.stdin(Stdio::null());
        let options = [
            "--inserts",
            "--no-owner",
            "--no-privileges",
            "--no-comments",
        ];
        let dumped = output(command.args(options).args(["--dbname", &self.url()]))?;
        // What is for psql alone, and what only some versions of the server know.
        let kept = dumped.lines().filter(|line| {
            let noise = ["--", "\\", "SET "];
            !line.is_empty() && !noise.iter().any(|start| line.starts_with(start))
        });
        Ok(kept.collect::<Vec<_>>().join("\n") + "\n")
    }

    /// Writes the whole database to a file, as `pg_dump` does in its custom format.
    ///
    /// # Errors
    /// The error tells what `pg_dump` said.
    pub fn dump(&self, to: &Path) -> Result<()> {
        self.run_with("pg_dump", &["--format=custom", "--file", &text(to)?])
    }

    /// Brings the database back from such a file in place: drops what is in it, and makes it anew, under
    /// whoever is connected.
    ///
    /// # Errors
    /// The error tells what `pg_restore` said.
    pub fn restore_over(&self, from: &Path) -> Result<()> {
        self.run_with(
            "pg_restore",
            &["--clean", "--if-exists", "--exit-on-error", &text(from)?],
        )
    }

    /// Drops the database, whoever is connected, and makes an empty one of the same name.
    ///
    /// # Errors
    /// The error tells what `psql` said.
    pub fn make_anew(&self) -> Result<()> {
        let server = database_url(self.port, "postgres");
        for statement in [
            format!("DROP DATABASE {} WITH (FORCE)", self.name),
            format!("CREATE DATABASE {} TEMPLATE template0", self.name),
        ] {
            self.programs.query(&server, &statement)?;
        }
        Ok(())
    }

    fn run_with(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(self.programs.program(program));
        without_settings(&mut command);
        command.env("PGCONNECT_TIMEOUT", "10").stdin(Stdio::null());
        run(command.args(["--dbname", &self.url()]).args(arguments))
    }
}
