//! The tables as both databases have them. Kept by hand; a test compares them
//! with what the migrations make.
#![allow(
    clippy::wildcard_imports,
    reason = "the types of columns are what the imports of a table are for"
)]

use diesel::{allow_tables_to_appear_in_same_query, table};

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    installation (id) {
        id -> BigInt,
        created_at -> SqlTime,
        min_version -> Nullable<Text>,
        uuid -> Nullable<SqlUuid>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    accounts (id) {
        id -> SqlUuid,
        name -> Text,
        key_limit -> Nullable<BigInt>,
        namespace_limit -> Nullable<BigInt>,
        suspended_at -> Nullable<SqlTime>,
        created_at -> SqlTime,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    users (id) {
        id -> SqlUuid,
        email -> Text,
        password_hash -> Text,
        password_change_until -> Nullable<SqlTime>,
        created_at -> SqlTime,
        last_account_id -> Nullable<SqlUuid>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    memberships (account_id, user_id) {
        account_id -> SqlUuid,
        user_id -> SqlUuid,
        role -> Text,
        created_at -> SqlTime,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    invitations (id) {
        id -> SqlUuid,
        account_id -> SqlUuid,
        email -> Text,
        role -> Text,
        hash -> Binary,
        created_by -> SqlUuid,
        created_at -> SqlTime,
        expires_at -> SqlTime,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    sessions (id) {
        id -> SqlUuid,
        hash -> Binary,
        user_id -> SqlUuid,
        account_id -> SqlUuid,
        created_at -> SqlTime,
        last_seen_at -> SqlTime,
        ip -> Nullable<Text>,
        user_agent -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    service_users (id) {
        id -> SqlUuid,
        account_id -> SqlUuid,
        name -> Text,
        created_at -> SqlTime,
        created_by -> SqlUuid,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    service_user_tokens (id) {
        id -> SqlUuid,
        service_user_id -> SqlUuid,
        hash -> Binary,
        name -> Text,
        prefix -> Text,
        created_at -> SqlTime,
        created_by -> SqlUuid,
        expires_at -> SqlTime,
        last_used_at -> Nullable<SqlTime>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    form_claims (hash) {
        hash -> Binary,
        claimed_at -> SqlTime,
        answer -> Nullable<Binary>,
        answer_until -> Nullable<SqlTime>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    form_keys (id) {
        id -> BigInt,
        secret -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    attempts (id) {
        id -> BigInt,
        kind -> Text,
        address -> Binary,
        email_hash -> Binary,
        created_at -> SqlTime,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    api_keys (id) {
        id -> SqlUuid,
        account_id -> SqlUuid,
        name -> Text,
        prefix -> Text,
        scopes -> Text,
        created_at -> SqlTime,
        created_by -> SqlUuid,
        expires_at -> Nullable<SqlTime>,
        revoked_at -> Nullable<SqlTime>,
        last_used_at -> Nullable<SqlTime>,
        kind -> Text,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    key_secrets (id) {
        id -> SqlUuid,
        key_id -> SqlUuid,
        hash -> Binary,
        prefix -> Text,
        created_at -> SqlTime,
        ends_at -> Nullable<SqlTime>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    namespaces (id) {
        id -> SqlUuid,
        account_id -> SqlUuid,
        name -> Text,
        kubernetes_namespace -> Text,
        cluster -> Text,
        status -> Text,
        message -> Nullable<Text>,
        created_at -> SqlTime,
        updated_at -> SqlTime,
        removed_at -> Nullable<SqlTime>,
        next_attempt_at -> Nullable<SqlTime>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    credential_identities (id) {
        id -> SqlUuid,
        secret_id -> SqlUuid,
        key_id -> SqlUuid,
        account_id -> SqlUuid,
        namespace_id -> SqlUuid,
        kubernetes_namespace -> Text,
        cluster -> Text,
        bound -> Bool,
        created_at -> SqlTime,
        ends_at -> Nullable<SqlTime>,
        claimed_until -> Nullable<SqlTime>,
        last_minted_at -> Nullable<SqlTime>,
        powerless_at -> Nullable<SqlTime>,
        cluster_role -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    identity_rounds (id) {
        id -> BigInt,
        due_at -> SqlTime,
        looked_up_to -> Nullable<SqlUuid>,
        slice -> BigInt,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    sweep_leases (cluster) {
        cluster -> Text,
        holder -> SqlUuid,
        held_until -> SqlTime,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    // In SQLite only: PostgreSQL tells without a table.
    key_changes (id) {
        id -> BigInt,
        kind -> Text,
        subject -> SqlUuid,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    audit_events (account_id, id) {
        account_id -> SqlUuid,
        id -> SqlUuid,
        occurred_at -> SqlTime,
        action -> Text,
        actor_type -> Text,
        actor_id -> Nullable<SqlUuid>,
        subject_type -> Text,
        subject_id -> SqlUuid,
        ip -> Nullable<Text>,
        request_id -> Nullable<Text>,
        details -> Text,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    pulse (id) {
        id -> BigInt,
        pulsed_at -> SqlTime,
        raised_from -> SqlTime,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    cluster_claims (cluster) {
        cluster -> Text,
        cluster_uid -> Text,
        counter -> BigInt,
        look_for_missing -> Bool,
        taken_at -> SqlTime,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    held_namespaces (cluster, kubernetes_namespace) {
        cluster -> Text,
        kubernetes_namespace -> Text,
        kind -> Text,
        uid -> Nullable<Text>,
        namespace_id -> SqlUuid,
        account_id -> Nullable<SqlUuid>,
        first_seen_at -> SqlTime,
        wanted -> Nullable<Text>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    access_tokens (id) {
        id -> SqlUuid,
        handle -> Text,
        account_id -> SqlUuid,
        name -> Text,
        note -> Nullable<Text>,
        hash -> Binary,
        prefix -> Text,
        clusters -> Text,
        created_at -> SqlTime,
        created_by -> SqlUuid,
        expires_at -> Nullable<SqlTime>,
        last_used_at -> Nullable<SqlTime>,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    webhook_keys (id) {
        id -> BigInt,
        secret -> Binary,
    }
}

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    webhook_credentials (cluster) {
        cluster -> Text,
        generation -> BigInt,
        previous_until -> SqlTime,
    }
}

allow_tables_to_appear_in_same_query!(
    access_tokens,
    accounts,
    invitations,
    memberships,
    users,
    sessions,
    service_users,
    service_user_tokens,
    api_keys,
    key_secrets,
    namespaces,
    credential_identities,
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_types::Text};
    use remotegpu_test_support::postgres::TestPostgres;

    use crate::{Database, DatabaseOptions};

    /// Table, column, type, and whether it may be absent.
    type Column = (String, String, String, bool);

    /// Reads this very file, because the types that `table!` makes cannot be
    /// listed.
    fn in_this_file(type_of: impl Fn(&str) -> &'static str) -> BTreeSet<Column> {
        let mut columns = BTreeSet::new();
        let mut table = "";
        let source = include_str!("schema.rs").split("#[cfg(test)]").next();
        for line in source.unwrap().lines().map(str::trim) {
            if let Some((name, _)) = line.split_once(" (") {
                table = name;
            } else if let Some((name, kind)) = line.split_once(" -> ") {
                let kind = kind.trim_end_matches(',');
                let inner = kind
                    .strip_prefix("Nullable<")
                    .and_then(|kind| kind.strip_suffix('>'));
                columns.insert((
                    table.to_owned(),
                    name.to_owned(),
                    type_of(inner.unwrap_or(kind)).to_owned(),
                    inner.is_some(),
                ));
            }
        }
        columns
    }

    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        line: String,
    }

    fn parse(line: &str) -> Column {
        let words: Vec<&str> = line.split('|').collect();
        let [table, column, kind, nullable] = words[..] else {
            panic!("{line}")
        };
        (
            table.to_owned(),
            column.to_owned(),
            kind.to_owned(),
            nullable == "YES",
        )
    }

    #[tokio::test]
    async fn sqlite_has_these_tables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let url = format!("sqlite:{}", path.display());
        let database = Database::connect(&url, DatabaseOptions::default()).await;
        database.unwrap().migrate().await.unwrap();
        let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        let lines: Vec<Line> = diesel::sql_query(
            "SELECT t.name || '|' || c.name || '|' || c.type || '|' || \
             iif(c.\"notnull\" OR (c.pk AND c.type = 'INTEGER'), 'NO', 'YES') AS line \
             FROM pragma_table_list t JOIN pragma_table_info(t.name) c \
             WHERE t.schema = 'main' AND t.name NOT LIKE '\\_\\_diesel%' ESCAPE '\\' \
             AND t.name NOT LIKE 'sqlite%'",
        )
        .load(&mut connection)
        .unwrap();
        let actual: BTreeSet<Column> = lines.iter().map(|line| parse(&line.line)).collect();
        let expected = in_this_file(|kind| match kind {
            "SqlUuid" | "Binary" => "BLOB",
            "SqlTime" | "BigInt" | "Bool" => "INTEGER",
            "Text" => "TEXT",
            other => panic!("{other}"),
        });
        assert_eq!(actual, expected);
    }

    #[tokio::test]
    async fn postgres_has_these_tables() {
        let fresh = TestPostgres::shared().unwrap().create_database().unwrap();
        let database = Database::connect(&fresh.url(), DatabaseOptions::default()).await;
        database.unwrap().migrate().await.unwrap();
        let lines = fresh
            .query(
                "SELECT table_name, column_name, data_type, is_nullable \
                 FROM information_schema.columns WHERE table_schema = 'public' \
                 AND table_name NOT LIKE '\\_\\_diesel%'",
            )
            .unwrap();
        let actual: BTreeSet<Column> = lines.lines().map(parse).collect();
        let expected = in_this_file(|kind| match kind {
            "SqlUuid" => "uuid",
            "Binary" => "bytea",
            "SqlTime" => "timestamp with time zone",
            "BigInt" => "bigint",
            "Bool" => "boolean",
            "Text" => "text",
            other => panic!("{other}"),
        });
        let expected: BTreeSet<Column> = expected
            .into_iter()
            .filter(|(table, ..)| table != "key_changes")
            .collect();
        assert_eq!(actual, expected);
    }
}
