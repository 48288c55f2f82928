//! How much of its quotas a namespace uses.

use std::borrow::Cow;

use maud::{Markup, html};
use remotegpu_namespaces::QuotaUse;

/// What people look at first, in this order, and in these words.
const FIRST: [(&str, &str); 6] = [
    ("requests.cpu", "CPUs"),
    ("requests.memory", "Memory"),
    ("pods", "Pods"),
    ("requests.storage", "Storage"),
    ("persistentvolumeclaims", "Volume claims"),
    ("services.loadbalancers", "Load balancers"),
];

/// One bar for each thing that is bounded, what people look at first before all others.
pub(crate) fn bars(all: &[QuotaUse]) -> Markup {
    let find = |resource: &str| all.iter().find(|counted| counted.resource == resource);
    let first = FIRST.iter().filter_map(|(resource, _)| find(resource));
    let gpus = all
        .iter()
        .filter(|counted| gpu(&counted.resource).is_some());
    let is_first = |counted: &&QuotaUse| {
        gpu(&counted.resource).is_some()
            || FIRST
                .iter()
                .any(|(resource, _)| *resource == counted.resource)
    };
    let (_, rest): (Vec<&QuotaUse>, Vec<&QuotaUse>) = all.iter().partition(is_first);
    html! {
        div.quotas { @for counted in gpus.chain(first) { (bar(counted)) } }
        @if !rest.is_empty() {
            details {
                summary { "All that is counted" }
                div.quotas { @for counted in rest { (bar(counted)) } }
            }
        }
    }
}

fn bar(counted: &QuotaUse) -> Markup {
    let id = format!("quota-{}", counted.resource.replace(['.', '/'], "-"));
    let share = counted.share();
    let class = if share.is_some_and(|share| share >= 0.9) {
        "quota full"
    } else {
        "quota"
    };
    html! {
        div class=(class) {
            span id=(id) { (name(&counted.resource)) }
            span.figures { (counted.used) " of " (counted.hard) }
            @if let Some(share) = share {
                progress aria-labelledby=(id) max="100" value=(format!("{:.0}", share * 100.0)) {}
            }
        }
    }
}

/// What is in a namespace, as its quotas count it: `3 pods, 1 secret`.
pub(crate) fn contents(all: &[QuotaUse]) -> String {
    let counts = all.iter().filter(|counted| !counted.is_unused());
    let counts = counts.filter_map(|counted| {
        let kind = match counted.resource.strip_prefix("count/") {
            // The other one counts those that have ended as well.
            Some("pods") => "pods",
            Some(kind) => kind.split('.').next().unwrap_or(kind),
            None => match counted.resource.as_str() {
                "services" | "secrets" => &counted.resource,
                "configmaps" => "config maps",
                "persistentvolumeclaims" => "volume claims",
                _ => return None,
            },
        };
        let one = counted.used == "1";
        let kind = if one {
            kind.strip_suffix('s').unwrap_or(kind)
        } else {
            kind
        };
        Some(format!("{} {kind}", counted.used))
    });
    counts.collect::<Vec<_>>().join(", ")
}

fn gpu(resource: &str) -> Option<&str> {
    let kind = resource.strip_prefix("requests.")?;
    kind.contains('/').then_some(kind)
}

fn name(resource: &str) -> Cow<'_, str> {
    if let Some((_, name)) = FIRST.iter().find(|(known, _)| *known == resource) {
        return Cow::Borrowed(name);
    }
    match gpu(resource) {
        Some(kind) => format!("GPUs ({kind})").into(),
        None => resource.strip_prefix("count/").unwrap_or(resource).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(resource: &str, used: &str) -> QuotaUse {
        QuotaUse {
            resource: resource.to_owned(),
            used: used.to_owned(),
            hard: "10".to_owned(),
        }
    }

    #[test]
    fn what_is_inside_is_told_in_words() {
        let all = [
            counted("configmaps", "1"),
            counted("count/deployments.apps", "2"),
            counted("count/pods", "3"),
            counted("pods", "2"),
            counted("requests.cpu", "1500m"),
            counted("secrets", "0"),
        ];
        assert_eq!(contents(&all), "1 config map, 2 deployments, 3 pods");
        assert_eq!(contents(&[]), "");
    }

    #[test]
    fn what_people_look_at_stands_first() {
        let all = [
            counted("pods", "1"),
            counted("requests.nvidia.com/gpu", "2"),
            counted("services", "1"),
        ];
        let bars = bars(&all).into_string();
        let at = |text: &str| bars.find(text).unwrap();
        assert!(at("GPUs (nvidia.com/gpu)") < at("Pods"));
        assert!(at("Pods") < at("All that is counted"));
        assert!(at("All that is counted") < at(">services<"));
    }
}
