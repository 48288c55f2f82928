//! What a cluster holds before anyone has made anything.

use serde_json::Value;

use crate::cluster::{Cluster, Write};
use crate::error::ApiError;
use crate::kinds::KINDS;
use crate::rbac::{MASTERS, User};

/// Makes the namespaces, roles and bindings that are missing.
pub(crate) fn run(cluster: &Cluster) -> Result<(), ApiError> {
    let user = User::named("system:apiserver", &[MASTERS]);
    let write = Write { user: &user, dry_run: false, subresource: "" };
    let objects = serde_saphyr::from_str::<Vec<Value>>(include_str!("bootstrap.yaml"));
    for object in objects.map_err(|error| ApiError::internal(error.to_string()))? {
        let kind = KINDS.iter().find(|kind| object["kind"] == kind.name).ok_or_else(ApiError::not_supported)?;
        match cluster.create(kind, "", object, &write) {
            Err(error) if error.code() != 409 => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
