//! Role-based access control over the stored roles and bindings.

use serde_json::{Value, json};

use crate::error::{ApiError, ApiResult};
use crate::kinds::{self, Kind, RBAC};
use crate::meta::text;
use crate::store::Objects;

pub(crate) const MASTERS: &str = "system:masters";

/// Who asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: Value,
}

impl User {
    pub fn named(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Self { name: name.to_owned(), groups, ..Self::default() }
    }

    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    pub fn to_json(&self) -> Value {
        let mut user = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            user["uid"] = json!(self.uid);
        }
        if self.extra.is_object() {
            user["extra"] = self.extra.clone();
        }
        user
    }
}

/// What is asked for: a resource, or a path that is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    pub path: Option<String>,
}

impl Attributes {
    fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// The rule that gives just this, as Go prints it.
    fn as_rule(&self) -> String {
        let (verb, group, resource) = (&self.verb, &self.group, self.full_resource());
        match (&self.path, self.name.as_str()) {
            (Some(path), _) => format!("{{NonResourceURLs:[{path:?}], Verbs:[{verb:?}]}}"),
            (None, "") => format!("{{APIGroups:[{group:?}], Resources:[{resource:?}], Verbs:[{verb:?}]}}"),
            (None, name) => format!(
                "{{APIGroups:[{group:?}], Resources:[{resource:?}], ResourceNames:[{name:?}], Verbs:[{verb:?}]}}"
            ),
        }
    }

    pub fn forbidden(&self, user: &User) -> ApiError {
        let (user, verb) = (&user.name, &self.verb);
        if let Some(path) = &self.path {
            let message = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
            return ApiError::new(403, "Forbidden", message);
        }
        let place = match self.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        let (resource, group) = (self.full_resource(), &self.group);
        let why = format!("User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {place}");
        ApiError::forbidden(&self.resource, group, &self.name, &why)
    }
}

fn list<'a>(rule: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    rule[field].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn has(rule: &Value, field: &str, value: &str) -> bool {
    list(rule, field).any(|item| item == "*" || item == value)
}

/// Whether a rule, which is JSON as in a role, allows what is asked for.
fn allows(rule: &Value, asked: &Attributes) -> bool {
    if let Some(path) = &asked.path {
        let matches =
            |known: &str| known == path || known.strip_suffix('*').is_some_and(|start| path.starts_with(start));
        return has(rule, "verbs", &asked.verb) && list(rule, "nonResourceURLs").any(matches);
    }
    let resource = list(rule, "resources").any(|known| match known.split_once('/') {
        _ if known == "*" => true,
        Some((of, sub)) => sub == asked.subresource && (of == "*" || of == asked.resource),
        None => asked.subresource.is_empty() && known == asked.resource,
    });
    let mut names = list(rule, "resourceNames").peekable();
    let any_of_them = names.peek().is_none() || names.any(|name| name == asked.name);
    resource && any_of_them && has(rule, "verbs", &asked.verb) && has(rule, "apiGroups", &asked.group)
}

/// All that a rule gives, one verb on one resource, name or path at a time.
fn parts(rule: &Value) -> Vec<Attributes> {
    let mut parts = Vec::new();
    for verb in list(rule, "verbs") {
        let of_verb = Attributes { verb: verb.to_owned(), ..Attributes::default() };
        let paths = list(rule, "nonResourceURLs");
        parts.extend(paths.map(|path| Attributes { path: Some(path.to_owned()), ..of_verb.clone() }));
        for (group, full) in
            list(rule, "apiGroups").flat_map(|group| list(rule, "resources").map(move |full| (group, full)))
        {
            let (resource, subresource) = full.split_once('/').unwrap_or((full, ""));
            let any_name = rule["resourceNames"].as_array().is_none_or(Vec::is_empty).then_some("");
            parts.extend(list(rule, "resourceNames").chain(any_name).map(|name| Attributes {
                group: group.to_owned(),
                resource: resource.to_owned(),
                subresource: subresource.to_owned(),
                name: name.to_owned(),
                ..of_verb.clone()
            }));
        }
    }
    parts
}

/// The rules of the role that a binding in `namespace` names.
fn referenced_rules(objects: &Objects, reference: &Value, namespace: &str) -> ApiResult<Vec<Value>> {
    let name = text(reference, "/name");
    let (plural, namespace) = if reference["kind"] == "Role" { ("roles", namespace) } else { ("clusterroles", "") };
    let role = objects.find(plural, namespace, name);
    let role = role.ok_or_else(|| ApiError::not_found(kinds::by_plural(plural), name))?;
    Ok(role["rules"].as_array().cloned().unwrap_or_default())
}

fn binds(binding: &Value, user: &User, namespace: &str) -> bool {
    binding["subjects"].as_array().into_iter().flatten().any(|subject| {
        let name = text(subject, "/name");
        match text(subject, "/kind") {
            "User" => name == user.name,
            "Group" => user.groups.iter().any(|group| group == name),
            "ServiceAccount" => {
                let namespace = subject["namespace"].as_str().filter(|text| !text.is_empty()).unwrap_or(namespace);
                user.name == format!("system:serviceaccount:{namespace}:{name}")
            }
            _ => false,
        }
    })
}

/// All rules that hold for a user: those for the whole cluster, and the namespace's own.
pub(crate) fn rules_for(objects: &Objects, user: &User, namespace: &str) -> Vec<Value> {
    let mut rules = Vec::new();
    if user.is_master() {
        rules.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        rules.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    let for_cluster = objects.list("clusterrolebindings", None);
    let in_namespace = objects.list("rolebindings", Some(namespace)).take_while(|_| !namespace.is_empty());
    for (_, binding) in for_cluster.chain(in_namespace).filter(|(_, binding)| binds(binding, user, namespace)) {
        rules.extend(referenced_rules(objects, &binding["roleRef"], namespace).unwrap_or_default());
    }
    rules
}

pub(crate) fn allowed(objects: &Objects, user: &User, asked: &Attributes) -> bool {
    rules_for(objects, user, &asked.namespace).iter().any(|rule| allows(rule, asked))
}

/// Refuses a role or binding that would give more than its writer holds.
pub(crate) fn check_escalation(objects: &Objects, user: &User, kind: &Kind, written: &Value) -> ApiResult<()> {
    if user.is_master() || kind.group != RBAC {
        return Ok(());
    }
    let (namespace, name) = (text(written, "/metadata/namespace"), text(written, "/metadata/name"));
    let reference = &written["roleRef"];
    let (verb, resource, role) = match text(reference, "/kind") {
        "" => ("escalate", kind.plural, name),
        "Role" => ("bind", "roles", text(reference, "/name")),
        _ => ("bind", "clusterroles", text(reference, "/name")),
    };
    let asked = Attributes {
        verb: verb.to_owned(),
        group: RBAC.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        name: role.to_owned(),
        ..Attributes::default()
    };
    let held = rules_for(objects, user, namespace);
    let holds = |asked: &Attributes| held.iter().any(|rule| allows(rule, asked));
    if holds(&asked) {
        return Ok(());
    }
    let given = match &written["rules"] {
        Value::Array(rules) if verb == "escalate" => rules.clone(),
        _ if verb == "escalate" => Vec::new(),
        _ => referenced_rules(objects, reference, namespace)?,
    };
    let missing = given.iter().flat_map(parts).filter(|part| !holds(part)).map(|part| part.as_rule());
    let missing = missing.collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    let (user, groups, missing) = (&user.name, user.groups.join("\" \""), missing.join("\n"));
    let why = format!(
        "user {user:?} (groups=[\"{groups}\"]) is attempting to grant RBAC permissions not currently held:\n{missing}"
    );
    Err(ApiError::forbidden(kind.plural, kind.group, name, &why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(verb: &str, group: &str, full: &str, name: &str) -> Attributes {
        let (resource, subresource) = full.split_once('/').unwrap_or((full, ""));
        let [verb, group, resource, subresource, name] = [verb, group, resource, subresource, name].map(str::to_owned);
        Attributes { verb, group, resource, subresource, name, ..Attributes::default() }
    }

    #[test]
    fn rules_allow_what_they_name() {
        let pods = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]});
        let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        let scale = json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["*/scale"]});
        let named = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]});
        for (rule, asked, expected) in [
            (&pods, asked("get", "", "pods", "x"), true),
            (&pods, asked("get", "", "pods/log", "x"), true),
            (&pods, asked("get", "", "pods/exec", "x"), false),
            (&pods, asked("delete", "", "pods", "x"), false),
            (&pods, asked("get", "apps", "pods", "x"), false),
            (&all, asked("bind", "x", "y/z", ""), true),
            (&scale, asked("get", "apps", "deployments/scale", "x"), true),
            (&scale, asked("get", "apps", "deployments", "x"), false),
            (&named, asked("get", "", "secrets", "a"), true),
            (&named, asked("get", "", "secrets", "b"), false),
            (&named, asked("get", "", "secrets", ""), false),
        ] {
            assert_eq!(allows(rule, &asked), expected, "{rule} {asked:?}");
        }
        let paths = json!({"verbs": ["get"], "nonResourceURLs": ["/api", "/apis/*"]});
        for (path, expected) in [("/api", true), ("/api/v1", false), ("/apis/apps", true), ("/metrics", false)] {
            let asked = Attributes { path: Some(path.to_owned()), verb: "get".to_owned(), ..Attributes::default() };
            assert_eq!(allows(&paths, &asked), expected, "{path}");
        }
    }

    #[test]
    fn rule_is_covered_part_by_part() {
        let rule = |resources: &[&str], names: &[&str]| json!({"verbs": ["get"], "apiGroups": [""], "resources": resources, "resourceNames": names});
        let covers = |held: &Value, given: &Value| parts(given).iter().all(|part| allows(held, part));
        for (held, given, expected) in [
            (rule(&["pods", "pods/log"], &[]), rule(&["pods/log", "pods"], &[]), true),
            (rule(&["pods"], &[]), rule(&["pods/log"], &[]), false),
            (rule(&["pods"], &[]), rule(&["*"], &[]), false),
            (rule(&["*"], &[]), rule(&["*/scale"], &[]), true),
            (rule(&["*/scale"], &[]), rule(&["*/scale"], &[]), true),
            (rule(&["pods"], &["a"]), rule(&["pods"], &[]), false),
            (rule(&["pods"], &["a"]), rule(&["pods"], &["a", "b"]), false),
            (rule(&["pods"], &[]), rule(&["pods"], &["a", "b"]), true),
        ] {
            assert_eq!(covers(&held, &given), expected, "{held} {given}");
        }
    }
}
