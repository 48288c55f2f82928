//! Why a namespace that is going has not gone yet, in words for its account.

use serde_json::Value;

use crate::{foreign_text::fit, labels::metadata};

/// How much of the cluster's words is passed on.
const LONGEST: usize = 400;

/// What holds the namespace, where the cluster says so.
pub(crate) fn held_by(namespace: &Value) -> Option<String> {
    let mut reasons = Vec::new();
    let conditions = namespace["status"]["conditions"].as_array();
    let conditions = conditions.into_iter().flatten();
    for condition in conditions.filter(|condition| condition["status"] == "True") {
        let message = condition["message"].as_str().unwrap_or_default();
        match condition["type"].as_str().unwrap_or_default() {
            // These speak of what the account itself has put there.
            "NamespaceContentRemaining" | "NamespaceFinalizersRemaining" => {
                reasons.push(message.to_owned());
            }
            // These speak of the cluster's inside.
            "NamespaceDeletionDiscoveryFailure"
            | "NamespaceDeletionGroupVersionParsingFailure"
            | "NamespaceDeletionContentFailure" => {
                tracing::warn!(
                    namespace = metadata(namespace, "name"),
                    message = fit(message, LONGEST),
                    "the cluster cannot empty a namespace"
                );
                reasons.push("the cluster cannot list or remove all that it holds".to_owned());
            }
            _ => {}
        }
    }
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut finalizers = texts(&namespace["metadata"]["finalizers"]);
    finalizers.extend(texts(&namespace["spec"]["finalizers"]));
    // The cluster's own, which it takes off when the namespace is empty.
    finalizers.retain(|finalizer| finalizer != "kubernetes");
    if !finalizers.is_empty() {
        let finalizers = finalizers.join(", ");
        reasons.push(format!(
            "the namespace itself has the finalizers {finalizers}"
        ));
    }
    reasons.dedup();
    let text = fit(&reasons.join("; "), LONGEST);
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_holds_a_namespace_is_named_and_the_clusters_inside_is_not() {
        // N5
        let remaining = "Some resources are remaining: configmaps. has 1 resource instances";
        let finalizers = "Some content in the namespace has finalizers remaining: a.io/b in 1 \
                          resource instances";
        let condition =
            |kind: &str, message: &str| json!({"type": kind, "status": "True", "message": message});
        let namespace = |conditions: Value, own: Value| {
            json!({
                "metadata": {"name": "n", "finalizers": own},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"conditions": conditions},
            })
        };
        for (object, expected) in [
            (json!({}), None),
            (namespace(json!([]), json!(null)), None),
            (
                namespace(
                    json!([{"type": "NamespaceContentRemaining", "status": "False", "message": "x"}]),
                    json!([]),
                ),
                None,
            ),
            (
                namespace(
                    json!([
                        condition("NamespaceContentRemaining", remaining),
                        condition("NamespaceFinalizersRemaining", finalizers),
                    ]),
                    json!([]),
                ),
                Some(format!("{remaining}; {finalizers}")),
            ),
            (
                namespace(
                    json!([condition("NamespaceDeletionDiscoveryFailure", "canary")]),
                    json!(["c.io/d"]),
                ),
                Some(
                    "the cluster cannot list or remove all that it holds; the namespace itself has \
                     the finalizers c.io/d"
                        .to_owned(),
                ),
            ),
        ] {
            assert_eq!(held_by(&object), expected, "{object}");
        }
        let long = format!("a\nb{}", "x".repeat(1000));
        let long = json!([condition("NamespaceContentRemaining", &long)]);
        let told = held_by(&namespace(long, json!(null))).unwrap();
        assert!(told.starts_with("a bx") && told.chars().count() == LONGEST);
    }
}
