//! Kubeconfigs that hold no secret: what goes in, YAML out.
