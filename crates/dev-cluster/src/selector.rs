//! Label and field selectors of lists and watches.

use serde_json::Value;

use crate::error::{ApiError, ApiResult};

#[derive(Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// What a list or a watch is narrowed to.
#[derive(Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

impl Selector {
    pub fn parse(labels: &str, fields: &str) -> ApiResult<Self> {
        let bad = |text: &str| ApiError::bad_request(format!("unable to parse requirement: {text:?}"));
        let labels = split_outside_parentheses(labels)
            .map(|text| parse_label(text).ok_or_else(|| bad(text)))
            .collect::<Result<_, _>>()?;
        let fields = fields
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(|text| parse_equality(text).ok_or_else(|| bad(text)))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// A name that the fields ask for, which counts as the request's name for RBAC.
    pub fn name(&self) -> Option<&str> {
        self.fields.iter().find_map(|field| match field {
            Requirement::In(path, names) if path == "metadata.name" => names.first().map(String::as_str),
            _ => None,
        })
    }

    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str).map(str::to_owned);
        // A field that is missing is an empty one to Kubernetes.
        let field = |path: &str| {
            let found = path.split('.').try_fold(object, |value, part| value.get(part));
            Some(match found {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            })
        };
        self.labels.iter().all(|wanted| holds(wanted, label)) && self.fields.iter().all(|wanted| holds(wanted, field))
    }
}

fn holds(requirement: &Requirement, value_of: impl Fn(&str) -> Option<String>) -> bool {
    match requirement {
        Requirement::In(key, values) => value_of(key).is_some_and(|value| values.contains(&value)),
        Requirement::NotIn(key, values) => value_of(key).is_none_or(|value| !values.contains(&value)),
        Requirement::Exists(key) => value_of(key).is_some(),
        Requirement::Absent(key) => value_of(key).is_none(),
    }
}

fn split_outside_parentheses(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    let parts = text.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
}

fn parse_equality(text: &str) -> Option<Requirement> {
    let (key, value, equal) = if let Some((key, value)) = text.split_once("!=") {
        (key, value, false)
    } else {
        let (key, value) = text.split_once("==").or_else(|| text.split_once('='))?;
        (key, value, true)
    };
    let (key, values) = (key.trim().to_owned(), vec![value.trim().to_owned()]);
    is_key(&key).then_some(())?;
    Some(if equal { Requirement::In(key, values) } else { Requirement::NotIn(key, values) })
}

fn parse_label(text: &str) -> Option<Requirement> {
    if let Some(list) = text.strip_suffix(')') {
        let (head, values) = list.split_once('(')?;
        let (key, operator) = head.trim().rsplit_once(' ')?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let key = key.trim().to_owned();
        is_key(&key).then_some(())?;
        return match operator {
            "in" => Some(Requirement::In(key, values)),
            "notin" => Some(Requirement::NotIn(key, values)),
            _ => None,
        };
    }
    if text.contains('=') {
        return parse_equality(text);
    }
    let (absent, key) = text.strip_prefix('!').map_or((false, text), |key| (true, key.trim()));
    is_key(key).then_some(())?;
    Some(if absent { Requirement::Absent(key.to_owned()) } else { Requirement::Exists(key.to_owned()) })
}

/// Whether a workload's `spec.selector` takes these labels; a selector without terms takes none here.
pub(crate) fn workload_selects(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str).map(str::to_owned);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let exact = selector["matchLabels"].as_object().into_iter().flatten();
    let exact = exact.map(|(key, value)| Some(Requirement::In(key.clone(), vec![text(value)])));
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten().map(|term| {
        let (key, values) = (text(&term["key"]), term["values"].as_array().into_iter().flatten().map(text).collect());
        match term["operator"].as_str()? {
            "In" => Some(Requirement::In(key, values)),
            "NotIn" => Some(Requirement::NotIn(key, values)),
            "Exists" => Some(Requirement::Exists(key)),
            _ => Some(Requirement::Absent(key)).filter(|_| term["operator"] == "DoesNotExist"),
        }
    });
    let terms = exact.chain(expressions).collect::<Vec<_>>();
    !terms.is_empty() && terms.iter().all(|term| term.as_ref().is_some_and(|term| holds(term, label)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_fields_select() {
        let object = json!({"metadata": {"name": "web", "labels": {"app": "web", "tier": "a"}}, "spec": {"n": 3}});
        for (labels, fields, expected) in [
            ("", "", true),
            ("app=web", "", true),
            ("app==web,tier!=b", "", true),
            ("app in (web, db),tier notin (b,c)", "", true),
            ("app in (db)", "", false),
            ("app,!gone", "", true),
            ("!app", "", false),
            ("gone!=x", "", true),
            ("gone=x", "", false),
            ("", "metadata.name=web", true),
            ("", "metadata.name!=web", false),
            ("", "metadata.name=web,spec.n=3,spec.nodeName=", true),
        ] {
            let selector = Selector::parse(labels, fields).unwrap();
            assert_eq!(selector.matches(&object), expected, "{labels} {fields}");
        }
        for wrong in ["a b", "in (x)", "a in x", "a of (x)"] {
            assert!(Selector::parse(wrong, "").is_err(), "{wrong}");
        }
        assert_eq!(Selector::parse("", "metadata.name=x").unwrap().name(), Some("x"));
    }

    #[test]
    fn workload_selector_takes_only_all_its_terms() {
        let labels = json!({"app": "web"});
        for (selector, expected) in [
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "db"}}), false),
            (json!({}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}), false),
        ] {
            assert_eq!(workload_selects(&selector, &labels), expected, "{selector}");
        }
    }
}
