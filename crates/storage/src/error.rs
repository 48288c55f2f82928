//! What can go wrong, from a database's point of view and from a caller's.

use std::path::PathBuf;

use diesel::result::{ConnectionError, DatabaseErrorKind, Error as QueryError};
use remotegpu_primitives::StoreError;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The database cannot be opened, or is not this binary's.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL cannot be meant. The URL itself may hold a password and is not
    /// repeated.
    #[error("the database URL is not usable: {0}")]
    InvalidUrl(&'static str),
    /// A root certificate that the URL names cannot be used.
    #[error("the certificates that sslrootcert names cannot be read: {}", path.display())]
    RootCertificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Option<Source>,
    },
    /// PostgreSQL does not answer, or does not let us in.
    #[error("PostgreSQL at {server} cannot be reached")]
    Unreachable {
        /// Host and port, without credentials.
        server: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// The SQLite file cannot be opened for writing.
    #[error("the SQLite file {} cannot be opened for writing", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Source,
    },
    /// The database says that it is not for programs as old as this one.
    #[error(
        "this version of the program is too old for the database, which needs one that knows \
         migration {migration}"
    )]
    TooOld {
        /// The migration that a program must know.
        migration: String,
    },
    /// The schema lacks what this binary needs.
    #[error(
        "the database lacks migration {migration}; `remotegpu-api migrate` or a start of the \
         server brings it up to date"
    )]
    Older {
        /// The first migration that is missing.
        migration: String,
    },
    /// What is to be migrated cannot be learned.
    #[error("the database's schema could not be brought up to date")]
    Migration(#[source] Source),
    /// One migration failed; those before it stand, where the database is PostgreSQL.
    #[error("migration {migration} could not be run")]
    MigrationFailed {
        /// Its name.
        migration: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// Another instance has been migrating all the time.
    #[error(
        "another instance has been bringing the database's schema up to date for {minutes} minutes"
    )]
    Busy {
        /// For how long it was waited for.
        minutes: u64,
    },
    /// The SQLite file could not be copied, and so its schema was not changed.
    #[error("the database could not be copied to {} before its schema is changed", path.display())]
    Copy {
        /// The copy.
        path: PathBuf,
        /// Why.
        #[source]
        source: Source,
    },
    /// After the migrations rows would refer to what is not there: nothing was changed.
    #[error(
        "after the migrations rows of {child} would refer to rows of {parent} that are not there"
    )]
    References {
        /// Whose rows.
        child: String,
        /// To whose.
        parent: String,
    },
    /// The database was reached, but a question about its schema failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a transaction or query did not come to its end. The text of the source
/// is in the chain, never in the message.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("a statement failed")]
    Query(#[from] QueryError),
    #[error("no connection to the database can be made")]
    Connect(#[from] ConnectError),
    #[error("no connection to the database became free in time")]
    Exhausted,
    #[error("the database did not answer in time")]
    TimedOut,
    #[error("{0}")]
    Corrupt(String),
    #[error("{0}")]
    Conflict(&'static str),
    #[error("whoever acts may not any more")]
    NotAllowed,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the database refused the connection")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the connection could not be set up")]
    Diesel(#[from] ConnectionError),
    #[error("the connection could not be prepared")]
    Setup(#[from] QueryError),
    #[error("the database did not accept a connection in time")]
    TimedOut,
    #[error("the connection was closed")]
    Closed,
    #[error("the task that connects was ended")]
    Ended,
}

impl Failure {
    /// Whether the connection is gone, with the statement or before it.
    pub fn is_closed_connection(&self) -> bool {
        match self {
            Self::Query(QueryError::BrokenTransactionManager) => true,
            Self::Query(QueryError::DatabaseError(kind, told)) => match kind {
                DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
                    true
                }
                // The last words of a server that shuts down have no kind.
                DatabaseErrorKind::Unknown => told.message().starts_with("terminating connection"),
                _ => false,
            },
            _ => false,
        }
    }
}

impl From<bb8::RunError<ConnectError>> for Failure {
    fn from(error: bb8::RunError<ConnectError>) -> Self {
        match error {
            bb8::RunError::User(error) => Self::Connect(error),
            bb8::RunError::TimedOut => Self::Exhausted,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        use DatabaseErrorKind as Kind;
        let make = match &failure {
            Failure::NotAllowed => return Self::NotAllowed,
            Failure::Corrupt(_)
            | Failure::Query(
                QueryError::DeserializationError(_)
                | QueryError::SerializationError(_)
                | QueryError::NotFound,
            ) => Self::Corrupt,
            Failure::Conflict(_)
            | Failure::Query(QueryError::DatabaseError(
                Kind::UniqueViolation
                | Kind::ForeignKeyViolation
                | Kind::NotNullViolation
                | Kind::CheckViolation
                | Kind::RestrictViolation
                | Kind::ExclusionViolation
                | Kind::SerializationFailure,
                _,
            )) => Self::Conflict,
            // What has no kind of its own: timeouts, locks, full disks, a
            // database that shuts down or was never migrated.
            _ => Self::Unavailable,
        };
        make(Some(Box::new(failure)))
    }
}
