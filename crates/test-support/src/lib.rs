//! Clock, builders and servers for tests.
