//! What pods may ask of the scheduler beyond what everybody's may: priority classes,
//! tolerations and schedulers that the operator allows. The guards refuse the rest in the
//! cluster; here the same is judged of workloads that stand already.

use std::collections::BTreeMap;

use remotegpu_namespaces::check_dns_label;
use serde_json::Value;

use crate::{
    TenantBaseline,
    labels::{PRIORITY_CLASSES, SCHEDULERS, TOLERATIONS},
};

/// What a pod tolerates by itself, when the API server has looked at it.
const EVERYBODYS: [(&str, &str); 3] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
];
/// What the pods of daemon sets tolerate besides.
const OF_DAEMON_SETS: [&str; 4] = [
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/network-unavailable",
];
const DEFAULT_SCHEDULER: &str = "default-scheduler";
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// What the operator allows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Placement {
    priority_classes: Vec<String>,
    tolerations: Vec<String>,
    schedulers: Vec<String>,
}

impl Placement {
    pub(crate) fn of(profile: &TenantBaseline) -> Self {
        Self {
            priority_classes: profile.priority_classes.clone(),
            tolerations: profile.tolerations.clone(),
            schedulers: profile.schedulers.clone(),
        }
    }

    /// As the guards read it from a tenant's namespace. Empty ones are written too, so
    /// that what somebody else has written there does not count.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        [
            (PRIORITY_CLASSES, &self.priority_classes),
            (TOLERATIONS, &self.tolerations),
            (SCHEDULERS, &self.schedulers),
        ]
        .map(|(name, words)| (name.to_owned(), words.join(",")))
        .into()
    }

    /// The fields of a pod's specification that the guards refuse. `defaults` are the
    /// priority classes that pods get which name none.
    pub(crate) fn refused(
        &self,
        spec: &Value,
        defaults: &[String],
        of_daemon_set: bool,
    ) -> Vec<String> {
        let mut refused = Vec::new();
        let class = text(spec, "priorityClassName");
        let known = |names: &[String]| names.iter().any(|name| name == class);
        if !class.is_empty() && !known(&self.priority_classes) && !known(defaults) {
            refused.push(format!("the priority class {class}"));
        }
        let tolerations = spec["tolerations"].as_array().into_iter().flatten();
        for toleration in
            tolerations.filter(|toleration| !self.tolerates(toleration, of_daemon_set))
        {
            refused.push(format!("the toleration {}", shown(toleration)));
        }
        let scheduler = text(spec, "schedulerName");
        let own = ["", DEFAULT_SCHEDULER].contains(&scheduler);
        if !own && !self.schedulers.iter().any(|name| name == scheduler) {
            refused.push(format!("the scheduler {scheduler}"));
        }
        refused
    }

    fn tolerates(&self, toleration: &Value, of_daemon_set: bool) -> bool {
        let [key, effect, value] = ["key", "effect", "value"].map(|name| text(toleration, name));
        let daemon = of_daemon_set && effect == "NoSchedule" && OF_DAEMON_SETS.contains(&key);
        if daemon || EVERYBODYS.contains(&(key, effect)) {
            return true;
        }
        let allowed = |name: &str| self.tolerations.iter().any(|allowed| allowed == name);
        let by_value = ["", "Equal"].contains(&text(toleration, "operator"))
            && (allowed(&format!("{key}={value}")) || allowed(&format!("{key}={value}:{effect}")));
        !key.is_empty() && (allowed(key) || allowed(&format!("{key}:{effect}")) || by_value)
    }
}

/// A toleration in the words that taints have.
fn shown(toleration: &Value) -> String {
    let [key, effect, value] = ["key", "effect", "value"].map(|name| text(toleration, name));
    let mut shown = match key {
        "" => "of everything".to_owned(),
        key => key.to_owned(),
    };
    for (mark, part) in [('=', value), (':', effect)] {
        if !part.is_empty() {
            shown.push(mark);
            shown.push_str(part);
        }
    }
    shown
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Whether it names a taint: `key`, `key:Effect`, `key=value` or `key=value:Effect`.
pub(crate) fn is_taint(text: &str) -> bool {
    let (name, effect) = match text.split_once(':') {
        Some((name, effect)) => (name, Some(effect)),
        None => (text, None),
    };
    let (key, value) = match name.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (name, None),
    };
    let (prefix, key) = match key.split_once('/') {
        Some((prefix, key)) => (Some(prefix), key),
        None => (None, key),
    };
    prefix.is_none_or(is_subdomain)
        && is_word(key)
        && value.is_none_or(is_word)
        && effect.is_none_or(|effect| EFFECTS.contains(&effect))
}

fn is_word(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ends = [text.bytes().next(), text.bytes().last()];
    let ends = ends.map(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()));
    ends == [true, true] && text.len() <= 63 && text.bytes().all(fits)
}

/// Whether it is a name as classes and schedulers have them.
pub(crate) fn is_subdomain(text: &str) -> bool {
    let longest = 253;
    let is_label = |label| check_dns_label(label, longest).is_ok();
    text.len() <= longest && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn taints_are_named_in_four_ways() {
        for good in [
            "a",
            "nvidia.com/gpu",
            "nvidia.com/gpu:NoSchedule",
            "dedicated=ml",
            "example.org/dedicated=Team_1:NoExecute",
        ] {
            assert!(is_taint(good), "{good}");
        }
        for odd in [
            "",
            ":NoSchedule",
            "=a",
            "a=",
            "a=:NoSchedule",
            "a:",
            "a:Never",
            "a b",
            "a,b",
            "/a",
            "a/",
            "A.b/c",
            "a/b/c",
            "-a",
            "a=b=c",
        ] {
            assert!(!is_taint(odd), "{odd}");
        }
    }

    #[test]
    fn what_is_refused_is_named() {
        let spec = json!({
            "priorityClassName": "high",
            "schedulerName": "bold",
            "tolerations": [
                {"operator": "Exists"},
                {"key": "dedicated", "value": "ml", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
            ],
        });
        let nothing = Placement::default();
        assert_eq!(
            nothing.refused(&spec, &[], false),
            [
                "the priority class high",
                "the toleration of everything",
                "the toleration dedicated=ml:NoSchedule",
                "the scheduler bold",
            ]
        );
        let some = Placement {
            priority_classes: Vec::new(),
            tolerations: vec!["dedicated=ml".to_owned()],
            schedulers: vec!["bold".to_owned()],
        };
        let defaults = ["high".to_owned()];
        assert_eq!(
            some.refused(&spec, &defaults, false),
            ["the toleration of everything"]
        );
        assert!(nothing.refused(&json!({}), &[], false).is_empty());
    }
}
