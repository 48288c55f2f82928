//! A connection to either database, and statements that run on both.
//!
//! A statement is one value whose type knows of no database. That both can run it is what
//! the methods of [`RunQuery`] ask of that type: so the code around it is there once, and
//! the compiler goes through it once.

use diesel::{Selectable, dsl::Limit, pg::Pg, query_dsl::methods::LimitDsl, result::QueryResult};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
    methods::{ExecuteDsl, LoadQuery},
};
use futures_util::{FutureExt, future::BoxFuture};

use crate::sqlite::LiteConnection;

/// A connection to one of the two databases.
pub enum EitherConnection<'a> {
    /// Shared, where questions are sent without waiting for the answers of others.
    Postgres(&'a AsyncPgConnection),
    Sqlite(&'a mut LiteConnection),
}

impl EitherConnection<'_> {
    /// Runs statements that answer nothing.
    pub async fn batch_execute(&mut self, statements: &str) -> QueryResult<()> {
        match self {
            Self::Postgres(shared) => shared.batch_execute(statements).await,
            Self::Sqlite(lite) => lite.batch_execute(statements).await,
        }
    }
}

/// The methods of Diesel's trait of that name, for statements of both databases.
pub trait RunQuery: Sized {
    fn execute<'c, 'a>(
        self,
        connection: &'c mut EitherConnection<'a>,
    ) -> BoxFuture<'c, QueryResult<usize>>
    where
        Self: ExecuteDsl<&'a AsyncPgConnection> + ExecuteDsl<LiteConnection> + 'c,
    {
        match connection {
            EitherConnection::Postgres(shared) => RunQueryDsl::execute(self, shared),
            EitherConnection::Sqlite(lite) => RunQueryDsl::execute(self, &mut **lite),
        }
    }

    fn load<'c, 'a, U>(
        self,
        connection: &'c mut EitherConnection<'a>,
    ) -> BoxFuture<'c, QueryResult<Vec<U>>>
    where
        Self: LoadQuery<'c, &'a AsyncPgConnection, U> + LoadQuery<'c, LiteConnection, U> + 'c,
        U: Send + 'static,
    {
        match connection {
            EitherConnection::Postgres(shared) => RunQueryDsl::load(self, shared).boxed(),
            EitherConnection::Sqlite(lite) => RunQueryDsl::load(self, &mut **lite).boxed(),
        }
    }

    fn get_result<'c, 'a, U>(
        self,
        connection: &'c mut EitherConnection<'a>,
    ) -> BoxFuture<'c, QueryResult<U>>
    where
        Self: LoadQuery<'c, &'a AsyncPgConnection, U> + LoadQuery<'c, LiteConnection, U> + 'c,
        U: Send + 'static,
    {
        match connection {
            EitherConnection::Postgres(shared) => RunQueryDsl::get_result(self, shared).boxed(),
            EitherConnection::Sqlite(lite) => RunQueryDsl::get_result(self, &mut **lite).boxed(),
        }
    }

    fn first<'c, 'a, U>(
        self,
        connection: &'c mut EitherConnection<'a>,
    ) -> BoxFuture<'c, QueryResult<U>>
    where
        Self: LimitDsl,
        Limit<Self>:
            LoadQuery<'c, &'a AsyncPgConnection, U> + LoadQuery<'c, LiteConnection, U> + 'c,
        U: Send + 'static,
    {
        RunQuery::get_result(LimitDsl::limit(self, 1), connection)
    }
}

impl<T> RunQuery for T {}

/// What a row reads, in the order of its fields. (Diesel's `as_select` belongs to one
/// database.)
pub trait Columns: Selectable<Pg> {
    fn columns() -> Self::SelectExpression {
        Self::construct_selection()
    }
}

impl<R: Selectable<Pg>> Columns for R {}

/// A body for each of the two databases, for what Diesel boxes: that belongs to one
/// database from then on, and is run by Diesel's own trait.
macro_rules! on_each {
    ($connection:expr, |$one:ident| $body:expr) => {
        match $connection {
            $crate::either::EitherConnection::Postgres(shared) => {
                let $one = shared;
                $body
            }
            $crate::either::EitherConnection::Sqlite(lite) => {
                let $one = &mut **lite;
                $body
            }
        }
    };
}

pub(crate) use on_each;
