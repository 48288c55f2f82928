//! A small Kubernetes API server for the first run and for tests.
