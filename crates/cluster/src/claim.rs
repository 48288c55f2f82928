//! The claim in a cluster: one object that says which database acts there (contract
//! R9).

use async_trait::async_trait;
use http::StatusCode;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace as KubeNamespace};
use kube::Resource;
use remotegpu_namespaces::{
    Claim, ClaimHolder, ClaimVersion, ClusterClaims, ClusterError, ClusterName, ClusterUid,
    DatabaseIdentity, FoundClaim, StandingClaim, WriteClaim,
};
use remotegpu_primitives::InstallationId;
use serde_json::{Value, json};

use crate::{
    KubeClusters,
    cluster::KubeCluster,
    labels::{FIELD_MANAGER, MANAGED_BY, OURS, metadata},
    prerequisites::CREDENTIALS_NAMESPACE,
    request::{Ask, Fault, item},
};

/// What the object is called.
pub(crate) const CLAIM: &str = "remotegpu-claim";
/// The namespace that every cluster has as long as it lives.
const SYSTEM: &str = "kube-system";
/// The longest text that is read from a claim.
const LONGEST: usize = 200;

#[async_trait]
impl ClusterClaims for KubeClusters {
    async fn read_claim(&self, name: &ClusterName) -> Result<FoundClaim, ClusterError> {
        let cluster = self.cluster(name)?;
        let read = async {
            let (standing, uid) = tokio::try_join!(standing(cluster), cluster_uid(cluster))?;
            Ok(FoundClaim {
                cluster: uid,
                standing,
            })
        };
        cluster.bounded(Box::pin(read)).await
    }

    async fn write_claim(
        &self,
        name: &ClusterName,
        claim: &Claim,
        over: Option<&ClaimVersion>,
    ) -> Result<WriteClaim, ClusterError> {
        let cluster = self.cluster(name)?;
        let object = manifest(claim, over);
        let ask = match over {
            None => Ask::post(
                format!("{}?fieldManager={FIELD_MANAGER}", collection()),
                &object,
            ),
            Some(_) => Ask::put(format!("{}?fieldManager={FIELD_MANAGER}", path()?), &object),
        };
        let answer = cluster.bounded(async { cluster.ask(&ask).await }).await?;
        match answer.status {
            // Somebody has deleted it since it was read.
            StatusCode::CONFLICT => Ok(WriteClaim::Changed),
            StatusCode::NOT_FOUND if over.is_some() => Ok(WriteClaim::Changed),
            StatusCode::FORBIDDEN => Ok(WriteClaim::NotPermitted),
            _ if answer.is_success() => Ok(WriteClaim::Written),
            _ => Err(answer.refused("writing the claim")),
        }
    }
}

fn collection() -> String {
    ConfigMap::url_path(&(), Some(CREDENTIALS_NAMESPACE))
}

fn path() -> Result<String, ClusterError> {
    item(&collection(), CLAIM)
}

async fn standing(cluster: &KubeCluster) -> Result<StandingClaim, ClusterError> {
    let answer = cluster.ask(&Ask::get(path()?)).await?;
    match answer.status {
        StatusCode::NOT_FOUND => return Ok(StandingClaim::Absent),
        StatusCode::FORBIDDEN => return Ok(StandingClaim::NotPermitted),
        _ => {}
    }
    let object = answer.object("reading the claim")?;
    Ok(StandingClaim::Present {
        claim: read(&object),
        version: ClaimVersion(metadata(&object, "resourceVersion").to_owned()),
    })
}

async fn cluster_uid(cluster: &KubeCluster) -> Result<ClusterUid, ClusterError> {
    let path = item(&KubeNamespace::url_path(&(), None), SYSTEM)?;
    let found = cluster.find(path, "reading which cluster it is").await?;
    let uid = found.map(|found| metadata(&found, "uid").to_owned());
    let uid = uid.filter(|uid| (1..=LONGEST).contains(&uid.len()));
    Ok(ClusterUid::new(uid.ok_or(Fault::NotInKind)?))
}

fn manifest(claim: &Claim, over: Option<&ClaimVersion>) -> Value {
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CLAIM,
            "namespace": CREDENTIALS_NAMESPACE,
            "labels": {MANAGED_BY: OURS},
        },
        "data": {
            "installation": claim.holder.installation.to_string(),
            "database": claim.holder.database.to_string(),
            "counter": claim.counter.to_string(),
            "cluster": claim.cluster.as_str(),
        },
    });
    if let Some(ClaimVersion(version)) = over {
        object["metadata"]["resourceVersion"] = json!(version);
    }
    object
}

/// What the object says, where it is a claim at all.
fn read(object: &Value) -> Option<Claim> {
    let text = |name: &str| {
        let text = object["data"][name].as_str();
        text.filter(|text| (1..=LONGEST).contains(&text.len()))
    };
    let installation: InstallationId = text("installation")?.parse().ok()?;
    Some(Claim {
        holder: ClaimHolder {
            installation,
            database: DatabaseIdentity::parse(text("database")?),
        },
        counter: text("counter")?.parse().ok()?,
        cluster: ClusterUid::new(text("cluster")?.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim {
        let id = "0198f3a2-6f3e-7c11-9d51-2f4a8c1d7e01";
        Claim {
            holder: ClaimHolder {
                installation: id.parse().unwrap(),
                database: DatabaseIdentity::parse("7512/16384#16390"),
            },
            counter: 41,
            cluster: ClusterUid::new("c".to_owned()),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        // R9
        let version = ClaimVersion("7".to_owned());
        let object = manifest(&claim(), Some(&version));
        assert_eq!(read(&object), Some(claim()));
        assert_eq!(object["metadata"]["resourceVersion"], "7");
        assert!(manifest(&claim(), None)["metadata"]["resourceVersion"].is_null());
    }

    #[test]
    fn what_somebody_bent_is_no_claim() {
        // R9
        for (field, odd) in [
            ("installation", json!("production")),
            ("counter", json!("-1")),
            ("counter", json!("many")),
            ("database", json!("")),
            ("cluster", json!("x".repeat(201))),
            ("cluster", Value::Null),
        ] {
            let mut object = manifest(&claim(), None);
            object["data"][field] = odd;
            assert_eq!(read(&object), None, "{field}");
        }
    }
}
