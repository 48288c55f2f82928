//! Whether what an administrator has applied is what this version would apply.
//! Without it tenants have other rights than they should, or no guard.

use http::StatusCode;
use remotegpu_namespaces::ClusterError;
use serde_json::Value;

use crate::{
    cluster::KubeCluster,
    inspection::{Finding, REMEDY, chain, enumerated, field},
    labels::metadata,
    prerequisites::{path_of, prerequisites},
    request::Ask,
    roles::{TENANT_ROLE, VIEWER_ROLE},
};

/// How one object stands in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Whole,
    Missing,
    Changed,
    /// The control plane may not look.
    Hidden,
}

/// What was found, and whether all of it stands as it should.
pub(super) async fn inspect(cluster: &KubeCluster) -> (Vec<Finding>, bool) {
    let (mut missing, mut changed, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
    for object in prerequisites().iter().filter(|object| is_looked_at(object)) {
        let name = format!("{} {}", field(object, "kind"), metadata(object, "name"));
        match look_at(cluster, object).await {
            Ok(Standing::Whole) => {}
            Ok(Standing::Missing) => missing.push(name),
            Ok(Standing::Changed) => changed.push(name),
            Ok(Standing::Hidden) => hidden.push(name),
            Err(error) => {
                let sentence = format!("{name} could not be read: {}", chain(&error));
                return (vec![Finding::wrong(sentence)], false);
            }
        }
    }
    let mut findings = Vec::new();
    let mut tell = |names: &[String], what: &str, more: &str| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !names.is_empty() {
            let names = enumerated(&names);
            findings.push(Finding::wrong(format!("{what}: {names}; {REMEDY}{more}")));
        }
    };
    tell(&missing, "What it needs beforehand is missing", "");
    tell(
        &changed,
        "What stands there is not what this version applies",
        // Applying leaves alone what others have added to an object.
        ", and delete these first where that alone does not mend it",
    );
    tell(
        &hidden,
        "Whether it stands there unchanged cannot be seen",
        "",
    );
    let stands = findings.is_empty();
    if stands {
        findings.push(Finding::fine(
            "What `remotegpu-api cluster manifest` prints stands there unchanged",
        ));
    }
    (findings, stands)
}

/// What stands for the control plane itself shows by its rights, which are asked
/// for one by one; to read it would take rights that nothing else needs.
fn is_looked_at(object: &Value) -> bool {
    match field(object, "kind") {
        "ClusterRole" => [TENANT_ROLE, VIEWER_ROLE].contains(&metadata(object, "name")),
        "Namespace" | "ValidatingAdmissionPolicy" | "ValidatingAdmissionPolicyBinding" => true,
        _ => false,
    }
}

async fn look_at(cluster: &KubeCluster, wanted: &Value) -> Result<Standing, ClusterError> {
    let ask = Ask::get(path_of(wanted)?);
    let answer = cluster.bounded(async { cluster.ask(&ask).await }).await?;
    match answer.status {
        StatusCode::NOT_FOUND => return Ok(Standing::Missing),
        StatusCode::FORBIDDEN => return Ok(Standing::Hidden),
        _ => {}
    }
    let found = answer.object("reading what it needs beforehand")?;
    Ok(if is_the_same(&found, wanted) {
        Standing::Whole
    } else {
        Standing::Changed
    })
}

/// Whether nothing was added, either: a rule more is a right more, and an exception
/// more a hole.
fn is_the_same(found: &Value, wanted: &Value) -> bool {
    found["rules"] == wanted["rules"]
        && without_defaults(&found["spec"]) == without_defaults(&wanted["spec"])
        || field(wanted, "kind") == "Namespace"
}

/// A policy without what the API server adds by itself to what is left out.
fn without_defaults(value: &Value) -> Value {
    let is_default = |name: &str, value: &Value| match name {
        "matchPolicy" => value == "Equivalent",
        "scope" => value == "*",
        "namespaceSelector" | "objectSelector" => {
            value.as_object().is_some_and(serde_json::Map::is_empty)
        }
        _ => false,
    };
    match value {
        Value::Object(fields) => {
            let kept = fields
                .iter()
                .filter(|(name, value)| !is_default(name, value));
            let kept = kept.map(|(name, value)| (name.clone(), without_defaults(value)));
            Value::Object(kept.collect())
        }
        Value::Array(items) => items.iter().map(without_defaults).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(kind: &str) -> Value {
        let all = prerequisites().into_iter().filter(is_looked_at);
        let mut found = all.filter(|object| field(object, "kind") == kind);
        found.next().unwrap()
    }

    #[test]
    fn what_an_api_server_adds_is_no_change() {
        let policy = wanted("ValidatingAdmissionPolicy");
        let mut found = policy.clone();
        found["metadata"]["uid"] = json!("1");
        found["status"] = json!({"observedGeneration": 1});
        let matches = &mut found["spec"]["matchConstraints"];
        matches["matchPolicy"] = json!("Equivalent");
        matches["namespaceSelector"] = json!({});
        matches["objectSelector"] = json!({});
        matches["resourceRules"][0]["scope"] = json!("*");
        assert!(is_the_same(&found, &policy));
    }

    #[test]
    fn a_hole_in_a_guard_is_a_change() {
        let policy = wanted("ValidatingAdmissionPolicy");
        for (path, value) in [
            ("failurePolicy", json!("Ignore")),
            ("validations", json!([])),
            (
                "matchConditions",
                json!([{"name": "a", "expression": "false"}]),
            ),
        ] {
            let mut found = policy.clone();
            found["spec"][path] = value;
            assert!(!is_the_same(&found, &policy), "{path}");
        }
        let binding = wanted("ValidatingAdmissionPolicyBinding");
        let mut found = binding.clone();
        found["spec"]["matchResources"]["objectSelector"] = json!({"matchLabels": {"a": "b"}});
        assert!(!is_the_same(&found, &binding));
        found["spec"]["matchResources"]["objectSelector"] = json!({});
        assert!(is_the_same(&found, &binding));
        found["spec"]["validationActions"] = json!(["Audit"]);
        assert!(!is_the_same(&found, &binding));
    }

    #[test]
    fn a_right_more_or_less_is_a_change() {
        let role = wanted("ClusterRole");
        for bend in [
            |rules: &mut Vec<Value>| drop(rules.pop()),
            |rules: &mut Vec<Value>| rules.push(json!({"verbs": ["*"]})),
            |rules: &mut Vec<Value>| rules[0]["resourceNames"] = json!(["one"]),
        ] {
            let mut found = role.clone();
            bend(found["rules"].as_array_mut().unwrap());
            assert!(!is_the_same(&found, &role));
        }
        assert!(is_the_same(&role.clone(), &role));
    }
}
