//! Whether the control plane may do what it does: every right of its roles, asked
//! one by one, because a list of rules is not the authorizer's answer.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use http::StatusCode;
use remotegpu_namespaces::ClusterError;
use serde_json::{Value, json};

use crate::{
    cluster::KubeCluster,
    inspection::{Finding, REMEDY, chain, enumerated},
    mint::REVIEWS,
    prerequisites::CREDENTIALS_NAMESPACE,
    request::Ask,
    roles::{Rule, control_plane_rules, identity_rules},
};

/// How many questions are under way at once.
const AT_ONCE: usize = 8;

/// One right: a verb on a resource, where and by which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    verb: String,
    group: String,
    /// With its subresource, as roles write it.
    resource: String,
    namespace: &'static str,
    /// Empty for whatever name.
    name: String,
}

impl Right {
    /// All objects of a kind, wherever they are.
    pub(super) fn to_list(group: &str, resource: &str) -> Self {
        Self {
            verb: "list".to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: "",
            name: String::new(),
        }
    }
}

pub(super) async fn inspect(cluster: &KubeCluster) -> Vec<Finding> {
    let rights = needed();
    let answers: Vec<_> = stream::iter(&rights)
        .map(|right| async move { (right, may(cluster, right).await) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut missing = Vec::new();
    for (right, answer) in answers {
        match answer {
            Ok(true) => {}
            Ok(false) => missing.push(right.clone()),
            Err(error) => {
                return vec![Finding::wrong(format!(
                    "The control plane's rights could not be asked for: {}",
                    chain(&error)
                ))];
            }
        }
    }
    let mut findings: Vec<Finding> = told(&missing).into_iter().map(Finding::wrong).collect();
    if findings.is_empty() {
        let count = rights.len();
        findings.push(Finding::fine(format!(
            "All {count} rights that the control plane needs are there"
        )));
    }
    let everything = Right {
        verb: "*".to_owned(),
        group: "*".to_owned(),
        resource: "*".to_owned(),
        namespace: "",
        name: String::new(),
    };
    if let Ok(true) = may(cluster, &everything).await {
        findings.push(Finding::warning(
            "The control plane may do everything there: give it a credential of the account \
             remotegpu-control-plane instead of an administrator's",
        ));
    }
    findings
}

/// Every right that the manifest gives to the control plane.
fn needed() -> Vec<Right> {
    let anywhere = control_plane_rules().into_iter();
    let anywhere = anywhere.flat_map(|rule| rights_of(&rule, ""));
    let identities = identity_rules().into_iter();
    let identities = identities.flat_map(|rule| rights_of(&rule, CREDENTIALS_NAMESPACE));
    anywhere.chain(identities).collect()
}

fn rights_of(rule: &Rule, namespace: &'static str) -> Vec<Right> {
    let texts = |name: &str| -> Vec<String> {
        let list = rule.rule[name].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut names = texts("resourceNames");
    if names.is_empty() {
        names.push(String::new());
    }
    let mut rights = Vec::new();
    for group in texts("apiGroups") {
        for resource in texts("resources") {
            for name in &names {
                rights.extend(texts("verbs").into_iter().map(|verb| Right {
                    verb,
                    group: group.clone(),
                    resource: resource.clone(),
                    namespace,
                    name: name.clone(),
                }));
            }
        }
    }
    rights
}

pub(super) async fn may(cluster: &KubeCluster, right: &Right) -> Result<bool, ClusterError> {
    let (resource, subresource) = right
        .resource
        .split_once('/')
        .unwrap_or((&right.resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": subresource,
            "namespace": right.namespace,
            "name": right.name,
        }},
    });
    let ask = Ask::post(REVIEWS.to_owned(), &review);
    cluster
        .bounded(async {
            let answer = cluster.ask(&ask).await?;
            if answer.status == StatusCode::FORBIDDEN {
                return Ok(false);
            }
            let answer = answer.object("asking for a right")?;
            Ok(answer["status"]["allowed"] == true)
        })
        .await
}

/// A sentence for each resource that something is missing for.
fn told(missing: &[Right]) -> Vec<String> {
    // First the verbs of each name, then the names that lack the same verbs.
    let mut verbs: BTreeMap<(&str, &str, &str, &str), Vec<&str>> = BTreeMap::new();
    for right in missing {
        let key = (
            right.namespace,
            &*right.group,
            &*right.resource,
            &*right.name,
        );
        verbs.entry(key).or_default().push(&right.verb);
    }
    let mut names: BTreeMap<(&str, &str, &str, Vec<&str>), Vec<&str>> = BTreeMap::new();
    for ((namespace, group, resource, name), verbs) in verbs {
        let lacking = names
            .entry((namespace, group, resource, verbs))
            .or_default();
        lacking.extend(Some(name).filter(|name| !name.is_empty()));
    }
    names
        .into_iter()
        .map(|((namespace, group, resource, verbs), names)| {
            let group = Some(group).filter(|group| !group.is_empty());
            let group = group.map_or_else(String::new, |group| format!(".{group}"));
            let names = match enumerated(&names) {
                names if names.is_empty() => String::new(),
                names => format!(" named {names}"),
            };
            let place = match namespace {
                "" => String::new(),
                namespace => format!(" in {namespace}"),
            };
            format!(
                "The control plane may not {} {resource}{group}{names}{place}: {REMEDY}",
                enumerated(&verbs)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_becomes_a_right_for_each_verb_and_name() {
        let rights = needed();
        let count = |resource: &str, namespace: &str| {
            let found = rights
                .iter()
                .filter(|right| right.resource == resource && right.namespace == namespace);
            found.count()
        };
        assert_eq!(count("namespaces", ""), 5);
        assert_eq!(count("resourcequotas", ""), 12);
        assert_eq!(count("serviceaccounts/token", CREDENTIALS_NAMESPACE), 1);
        assert!(rights.iter().all(|right| !right.verb.is_empty()));
    }

    #[test]
    fn what_is_missing_is_told_for_each_resource() {
        let of = |resource: &str| {
            let all = needed().into_iter();
            all.filter(|right| right.resource == resource && right.verb != "get")
                .collect::<Vec<_>>()
        };
        let said = |resource: &str| told(&of(resource));
        let [namespaces] = &*said("namespaces") else {
            panic!("{:?}", said("namespaces"))
        };
        assert!(
            namespaces.starts_with(
                "The control plane may not list, create, patch and delete namespaces: "
            ) && namespaces.contains("cluster manifest"),
            "{namespaces}"
        );
        let [quotas] = &*said("resourcequotas") else {
            panic!("{:?}", said("resourcequotas"))
        };
        assert!(
            quotas.contains(" resourcequotas named remotegpu-"),
            "{quotas}"
        );
        let token = said("serviceaccounts/token");
        assert!(
            token[0].contains("create serviceaccounts/token in remotegpu-credentials"),
            "{token:?}"
        );
        assert!(told(&[]).is_empty());
    }
}
