//! The two databases behind one type.

use std::{collections::BTreeSet, error::Error as _, fmt, path::Path, sync::Arc, time::Duration};

use bb8::{Builder, ErrorSink, ManageConnection, Pool, QueueStrategy};
use diesel::{
    ExpressionMethods, JoinOnDsl, NullableExpressionMethods, QueryDsl,
    migration::MigrationSource,
    pg::Pg,
    result::{DatabaseErrorKind, Error as QueryError},
    sqlite::Sqlite,
};
use remotegpu_primitives::StoreError;

use crate::{
    connection::with_conn,
    either::RunQuery,
    error::{ConnectError, Failure, OpenError},
    migrations::{self, Found, MIN_VERSION_SINCE, Patience, SchemaAge, applied},
    postgres::PgManager,
    quick_reads::{QuickReads, SILENCE},
    schema::installation,
    sqlite::{LiteManager, Purpose, prepare_file},
};

/// A store of everything, in PostgreSQL or SQLite. Clones share their
/// connections.
#[derive(Clone)]
pub struct Database {
    pools: Pools,
    quick_reads: Option<Arc<QuickReads>>,
    source: Source,
    options: DatabaseOptions,
    known: Arc<BTreeSet<String>>,
}

/// How a database is used.
#[derive(Debug, Clone, Copy)]
pub struct DatabaseOptions {
    /// How many connections to PostgreSQL the pool has at the most. Beside it as many
    /// runtimes have one each for short reads. SQLite always has one that writes and
    /// four that read.
    pub max_connections: u32,
    /// How long a request waits for a connection, an attempt to connect
    /// included.
    pub acquire_timeout: Duration,
    /// How long a statement may take. A request's whole work with the database
    /// may take half a second more.
    pub statement_timeout: Duration,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            max_connections: 8,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(4),
        }
    }
}

#[derive(Clone)]
pub enum Pools {
    Postgres(Pool<PgManager>),
    Sqlite {
        read: Pool<LiteManager>,
        write: Pool<LiteManager>,
    },
}

/// What makes connections that belong to no pool.
#[derive(Clone)]
pub enum Source {
    Postgres(Arc<PgManager>),
    Sqlite(LiteManager),
}

/// SQLite's readers beside its one writer.
const SQLITE_READERS: u32 = 4;
impl Database {
    /// Opens the database at `postgres://...` or `sqlite:<path>`, whatever is in
    /// it. A SQLite file that does not exist is made, readable by its owner
    /// alone.
    ///
    /// # Errors
    /// The URL is not usable, PostgreSQL does not answer, or the file cannot be
    /// written. No message holds a password.
    pub async fn connect(url: &str, options: DatabaseOptions) -> Result<Self, OpenError> {
        let (pools, source) = if let Some(path) = url.strip_prefix("sqlite:") {
            open_sqlite(path, options).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            open_postgres(url, options).await?
        } else {
            return Err(OpenError::InvalidUrl(
                "it must begin with postgres:// or sqlite:",
            ));
        };
        let quick_reads = match &source {
            Source::Postgres(manager) => Some(Arc::new(QuickReads::new(
                PgManager::clone(manager),
                options.statement_timeout,
                options.max_connections as usize,
            ))),
            // Its readers are in this very process.
            Source::Sqlite(_) => None,
        };
        Ok(Self {
            pools,
            quick_reads,
            source,
            options,
            known: Arc::new(migrations::known()?),
        })
    }

    /// Brings the schema up to date, and answers which migrations were run. Instances
    /// that start at the same time wait for one another.
    ///
    /// # Errors
    /// [`OpenError::TooOld`] when this program is, [`OpenError::MigrationFailed`] and the
    /// like when a migration fails.
    pub async fn migrate(&self) -> Result<Vec<String>, OpenError> {
        let patience = Patience::default();
        self.migrate_from(migrations::POSTGRES, migrations::SQLITE, patience)
            .await
    }

    /// The same with migrations from anywhere.
    pub(crate) async fn migrate_from(
        &self,
        on_postgres: impl MigrationSource<Pg> + Send + 'static,
        on_sqlite: impl MigrationSource<Sqlite> + Send + 'static,
        patience: Patience,
    ) -> Result<Vec<String>, OpenError> {
        let known = Arc::clone(&self.known);
        match &self.source {
            Source::Postgres(manager) => {
                // No statement of it has a time limit.
                let opened = manager.open(Duration::ZERO).await;
                let connection = opened.map_err(|error| unreachable(manager, error))?;
                let run =
                    move || migrations::run_on_postgres(connection, &on_postgres, &known, patience);
                blocking(run).await
            }
            Source::Sqlite(manager) => {
                let manager = manager.clone();
                blocking(move || {
                    let opened = manager.open();
                    let connection =
                        opened.map_err(|error| OpenError::Migration(Box::new(error)))?;
                    migrations::run_on_sqlite(connection, manager.path(), &on_sqlite, &known)
                })
                .await
            }
        }
    }

    /// Whether the database answers, and this program can work with its schema: it has
    /// every migration that this program knows, and does not say that this program is too
    /// old. One small query, where it can.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub async fn check(&self) -> Result<SchemaAge, OpenError> {
        let found = self.found().await.map_err(StoreError::from)?;
        migrations::judge(&self.known, &found)
    }

    /// Whether the store can be used just now, as [`Self::check`] says.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match self.check().await {
            Ok(_) => Ok(()),
            Err(OpenError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Unavailable(Some(Box::new(error)))),
        }
    }

    /// What the database is called, for people.
    pub fn kind(&self) -> &'static str {
        match self.pools {
            Pools::Postgres(_) => "PostgreSQL",
            Pools::Sqlite { .. } => "SQLite",
        }
    }

    /// What the database says of its own schema.
    async fn found(&self) -> Result<Found, Failure> {
        let asked = with_conn!(self, read, |c| Ok(applied::table
            .left_join(installation::table.on(installation::id.eq(1_i64)))
            .select((applied::version, installation::min_version.nullable()))
            .load::<(String, Option<String>)>(c)
            .await?));
        let refused = match asked {
            Ok(rows) => {
                let (applied, needed): (BTreeSet<_>, Vec<_>) = rows.into_iter().unzip();
                return Ok(Found {
                    applied,
                    min_version: needed.into_iter().flatten().next(),
                });
            }
            Err(failure) if is_of_no_kind(&failure) => failure,
            Err(failure) => return Err(failure),
        };
        // A table or a column may not be there yet.
        let asked = with_conn!(self, read, |c| Ok(applied::table
            .select(applied::version)
            .load::<String>(c)
            .await?));
        let applied: BTreeSet<String> = match asked {
            Ok(versions) => versions.into_iter().collect(),
            Err(failure) if says_never_migrated(&failure) => BTreeSet::new(),
            Err(failure) => return Err(failure),
        };
        if applied.contains(MIN_VERSION_SINCE) {
            // The column is there, and something else was wrong.
            return Err(refused);
        }
        Ok(Found {
            applied,
            min_version: None,
        })
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.pools
    }

    pub(crate) fn quick_reads(&self) -> Option<&Arc<QuickReads>> {
        self.quick_reads.as_ref()
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// How long a caller's whole work with the database may take.
    pub(crate) fn deadline(&self) -> Duration {
        self.options.statement_timeout + Duration::from_millis(500)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.kind())
    }
}

async fn open_postgres(url: &str, options: DatabaseOptions) -> Result<(Pools, Source), OpenError> {
    let manager = PgManager::parse(url, options.acquire_timeout, options.statement_timeout)?;
    // The pool's own first attempt would tell only that the time was over.
    let first = manager.open(options.statement_timeout).await;
    first.map_err(|error| unreachable(&manager, error))?;
    let pool = pool(options.max_connections, options)
        // The one that was used last: what its server process needs is still at hand.
        // And what a quiet time does not need is not kept until something on the way has
        // forgotten it.
        .queue_strategy(QueueStrategy::Lifo)
        .idle_timeout(Some(SILENCE))
        .build_unchecked(manager.clone());
    Ok((Pools::Postgres(pool), Source::Postgres(Arc::new(manager))))
}

async fn open_sqlite(path: &str, options: DatabaseOptions) -> Result<(Pools, Source), OpenError> {
    if path.is_empty() || path.starts_with(':') {
        return Err(OpenError::InvalidUrl(
            "sqlite: must be followed by the path of a file",
        ));
    }
    let path = Path::new(path).to_owned();
    let (path, writer) = blocking(move || {
        let path = prepare_file(&path)?;
        let writer = LiteManager::new(path.clone(), Purpose::Write);
        match writer.open() {
            Ok(_) => Ok((path, writer)),
            Err(error) => Err(OpenError::File {
                path,
                source: Box::new(error),
            }),
        }
    })
    .await?;
    let reader = LiteManager::new(path, Purpose::Read);
    let pools = Pools::Sqlite {
        read: pool(SQLITE_READERS, options).build_unchecked(reader),
        write: pool(1, options).build_unchecked(writer.clone()),
    };
    Ok((pools, Source::Sqlite(writer)))
}

fn pool<M>(size: u32, options: DatabaseOptions) -> Builder<M>
where
    M: ManageConnection<Error = ConnectError>,
{
    Pool::builder()
        .max_size(size.max(1))
        .connection_timeout(options.acquire_timeout)
        .error_sink(Box::new(LogErrors))
}

/// Tells the log why connections cannot be made: whoever waits for one learns
/// only that the time was over.
#[derive(Debug, Clone, Copy)]
struct LogErrors;

impl ErrorSink<ConnectError> for LogErrors {
    fn sink(&self, error: ConnectError) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            source = error.source(),
            "no connection to the database"
        );
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<ConnectError>> {
        Box::new(*self)
    }
}

fn unreachable(manager: &PgManager, error: ConnectError) -> OpenError {
    OpenError::Unreachable {
        server: manager.server(),
        source: Box::new(error),
    }
}

/// Whether the database had no word of its own for what was wrong: that a table or a
/// column is not there has none.
fn is_of_no_kind(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Query(QueryError::DatabaseError(DatabaseErrorKind::Unknown, _))
    )
}

/// The one error that names the table of migrations is that there is none.
fn says_never_migrated(failure: &Failure) -> bool {
    match failure {
        Failure::Query(QueryError::DatabaseError(DatabaseErrorKind::Unknown, told)) => {
            told.message().contains("__diesel_schema_migrations")
        }
        _ => false,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(OpenError::Migration(Box::new(error))),
    }
}
