//! Tenant namespaces: names, life cycle, and the ports to storage and clusters.
