//! Routes, wire types, sign-in, status table, OpenAPI.
