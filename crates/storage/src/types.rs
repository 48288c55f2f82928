//! SQL types with a name in both databases, and the values that travel in them.

use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
    sql_types,
    sqlite::Sqlite,
};
use time::OffsetDateTime;
use uuid::Uuid;

/// `uuid` in PostgreSQL, the 16 bytes in SQLite; both sort the same.
#[derive(Debug, Clone, Copy, sql_types::SqlType, diesel::query_builder::QueryId)]
#[diesel(
    postgres_type(oid = 2950, array_oid = 2951),
    sqlite_type(name = "Binary")
)]
pub struct SqlUuid;

/// `timestamptz` in PostgreSQL, microseconds since 1970 in SQLite.
#[derive(Debug, Clone, Copy, sql_types::SqlType, diesel::query_builder::QueryId)]
#[diesel(
    postgres_type(oid = 1184, array_oid = 1185),
    sqlite_type(name = "Long")
)]
pub struct SqlTime;

impl sql_types::SqlOrd for SqlTime {}

#[diesel::declare_sql_function]
extern "SQL" {
    /// The first time, or the second where there is no first. Indexes are of this.
    #[sql_name = "coalesce"]
    fn time_or(first: sql_types::Nullable<SqlTime>, second: SqlTime) -> SqlTime;

    /// The same where the second may be absent too.
    #[sql_name = "coalesce"]
    fn time_or_none(
        first: sql_types::Nullable<SqlTime>,
        second: sql_types::Nullable<SqlTime>,
    ) -> sql_types::Nullable<SqlTime>;
}

/// A UUID in a query or row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = SqlUuid)]
pub struct DbUuid(pub Uuid);

/// A time in a query or row: whole microseconds, which both databases keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = SqlTime)]
pub struct DbTime(OffsetDateTime);

macro_rules! id_columns {
    ($($id:ident),* $(,)?) => {$(
        impl From<remotegpu_primitives::$id> for DbUuid {
            fn from(id: remotegpu_primitives::$id) -> Self {
                Self(id.as_uuid())
            }
        }

        impl From<DbUuid> for remotegpu_primitives::$id {
            fn from(id: DbUuid) -> Self {
                Self::from_uuid(id.0)
            }
        }
    )*};
}

id_columns!(
    AccessTokenId,
    AccountId,
    ApiKeyId,
    AuditEventId,
    IdentityId,
    InstallationId,
    InvitationId,
    InstanceId,
    KeySecretId,
    KubeconfigTokenId,
    NamespaceId,
    ServiceUserTokenId,
    SessionId,
    UserId,
);

impl From<OffsetDateTime> for DbTime {
    /// Cuts off what is finer than a microsecond, always towards the past, so
    /// that the order of two times never turns.
    fn from(time: OffsetDateTime) -> Self {
        let nanosecond = time.nanosecond() / 1000 * 1000;
        Self(time.replace_nanosecond(nanosecond).unwrap_or(time))
    }
}

impl From<DbTime> for OffsetDateTime {
    fn from(time: DbTime) -> Self {
        time.0
    }
}

/// The same for a time that may be absent.
pub fn db_time(time: Option<OffsetDateTime>) -> Option<DbTime> {
    time.map(DbTime::from)
}

/// The same for a time that may be absent.
pub fn domain_time(time: Option<DbTime>) -> Option<OffsetDateTime> {
    time.map(OffsetDateTime::from)
}

impl ToSql<SqlUuid, Pg> for DbUuid {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Uuid, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<SqlUuid, Pg> for DbUuid {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql_types::Uuid, Pg>::from_sql(bytes).map(Self)
    }
}

impl ToSql<SqlUuid, Sqlite> for DbUuid {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}

impl FromSql<SqlUuid, Sqlite> for DbUuid {
    fn from_sql(bytes: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes: Vec<u8> = FromSql::<sql_types::Binary, Sqlite>::from_sql(bytes)?;
        Ok(Self(Uuid::from_slice(&bytes)?))
    }
}

impl ToSql<SqlTime, Pg> for DbTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Timestamptz, Pg>::to_sql(&self.0, &mut out.reborrow())
    }
}

impl FromSql<SqlTime, Pg> for DbTime {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql_types::Timestamptz, Pg>::from_sql(bytes).map(Self)
    }
}

impl ToSql<SqlTime, Sqlite> for DbTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        let micros = self.0.unix_timestamp_nanos().div_euclid(1000);
        out.set_value(i64::try_from(micros)?);
        Ok(IsNull::No)
    }
}

impl FromSql<SqlTime, Sqlite> for DbTime {
    fn from_sql(bytes: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let micros: i64 = FromSql::<sql_types::BigInt, Sqlite>::from_sql(bytes)?;
        let nanos = i128::from(micros) * 1000;
        Ok(Self(OffsetDateTime::from_unix_timestamp_nanos(nanos)?))
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    #[test]
    fn times_are_cut_to_microseconds_towards_the_past() {
        let check = |time: OffsetDateTime, expected: OffsetDateTime| {
            assert_eq!(OffsetDateTime::from(DbTime::from(time)), expected);
        };
        let whole = datetime!(2026-01-01 00:00:00.123456 UTC);
        check(whole, whole);
        check(whole + Duration::nanoseconds(999), whole);
        let old = datetime!(1961-01-01 00:00:00.000001 UTC);
        check(old + Duration::nanoseconds(1), old);
    }
}
