//! Users, accounts, roles, sessions, password rules.
