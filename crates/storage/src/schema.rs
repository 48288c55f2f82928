//! The tables as both databases have them. Kept by hand; a test compares them
//! with what the migrations make.

use diesel::{allow_tables_to_appear_in_same_query, table};

table! {
    use diesel::sql_types::*;
    use crate::types::*;

    installation (id) {
        id -> BigInt,
        created_at -> SqlTime,
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

    sessions (id) {
        id -> SqlUuid,
        hash -> Binary,
        user_id -> SqlUuid,
        account_id -> SqlUuid,
        created_at -> SqlTime,
        last_seen_at -> SqlTime,
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
    }
}

allow_tables_to_appear_in_same_query!(
    accounts,
    memberships,
    users,
    sessions,
    api_keys,
    key_secrets,
    namespaces,
    credential_identities,
);
