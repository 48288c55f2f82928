//! Role-based access control over the stored roles and bindings.

use serde_json::{Value, json};

use crate::error::{ApiError, ApiResult};
use crate::kinds::{self, Kind, RBAC};
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

/// One rule of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub verbs: Vec<String>,
    pub groups: Vec<String>,
    pub resources: Vec<String>,
    pub names: Vec<String>,
    pub paths: Vec<String>,
}

fn has(list: &[String], value: &str) -> bool {
    list.iter().any(|item| item == "*" || item == value)
}

fn path_matches(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let strings = |field: &str| {
            let list = rule[field].as_array();
            list.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        Self {
            verbs: strings("verbs"),
            groups: strings("apiGroups"),
            resources: strings("resources"),
            names: strings("resourceNames"),
            paths: strings("nonResourceURLs"),
        }
    }

    pub fn to_json(&self) -> Value {
        let mut rule = json!({"verbs": self.verbs});
        for (field, list) in [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.paths),
        ] {
            if !list.is_empty() {
                rule[field] = json!(list);
            }
        }
        rule
    }

    fn allows(&self, asked: &Attributes) -> bool {
        if !has(&self.verbs, &asked.verb) {
            return false;
        }
        if let Some(path) = &asked.path {
            return self.paths.iter().any(|pattern| path_matches(pattern, path));
        }
        has(&self.groups, &asked.group)
            && self.allows_resource(&asked.resource, &asked.subresource)
            && (self.names.is_empty() || self.names.contains(&asked.name))
    }

    fn allows_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|allowed| match allowed.split_once('/') {
            _ if allowed == "*" => true,
            Some((of, sub)) => !subresource.is_empty() && sub == subresource && (of == "*" || of == resource),
            None => subresource.is_empty() && allowed == resource,
        })
    }

    /// Whether this rule gives all that `part`, a rule with one entry in each list, gives.
    fn covers(&self, part: &Self) -> bool {
        let one = |list: &[String]| list.first().cloned().unwrap_or_default();
        if !has(&self.verbs, &one(&part.verbs)) {
            return false;
        }
        if let [path] = part.paths.as_slice() {
            return self.paths.iter().any(|pattern| path_matches(pattern, path));
        }
        let asked = one(&part.resources);
        let (resource, subresource) = asked.split_once('/').unwrap_or((&asked, ""));
        has(&self.groups, &one(&part.groups))
            && (self.resources.contains(&asked) || self.allows_resource(resource, subresource))
            && (self.names.is_empty() || part.names.iter().any(|name| self.names.contains(name)))
    }

    /// The rule as many, each with one verb, group, resource and name.
    fn parts(&self) -> Vec<Self> {
        let mut parts = Vec::new();
        let no_name = vec![String::new()];
        let names = if self.names.is_empty() { &no_name } else { &self.names };
        for verb in &self.verbs {
            let verbs = vec![verb.clone()];
            for path in &self.paths {
                parts.push(Self { verbs: verbs.clone(), paths: vec![path.clone()], ..Self::default() });
            }
            for (group, resource) in self.groups.iter().flat_map(|g| self.resources.iter().map(move |r| (g, r))) {
                for name in names {
                    parts.push(Self {
                        verbs: verbs.clone(),
                        groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        names: Some(name.clone()).into_iter().filter(|name| !name.is_empty()).collect(),
                        paths: Vec::new(),
                    });
                }
            }
        }
        parts
    }
}

fn role_rules(role: &Value) -> Vec<Rule> {
    role["rules"].as_array().into_iter().flatten().map(Rule::read).collect()
}

/// The rules of the role that a binding in `namespace` names.
fn referenced_rules(objects: &Objects, reference: &Value, namespace: &str) -> ApiResult<Vec<Rule>> {
    let name = reference["name"].as_str().unwrap_or_default();
    let (plural, namespace) = if reference["kind"] == "Role" { ("roles", namespace) } else { ("clusterroles", "") };
    let role = objects.find(plural, namespace, name);
    role.map(|role| role_rules(&role)).ok_or_else(|| ApiError::not_found(kinds::by_plural(plural), name))
}

fn binds(binding: &Value, user: &User, namespace: &str) -> bool {
    binding["subjects"].as_array().into_iter().flatten().any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("User") => name == "*" || name == user.name,
            Some("Group") => user.groups.iter().any(|group| group == name),
            Some("ServiceAccount") => {
                let namespace = subject["namespace"].as_str().filter(|text| !text.is_empty()).unwrap_or(namespace);
                user.name == format!("system:serviceaccount:{namespace}:{name}")
            }
            _ => false,
        }
    })
}

/// All rules that hold for a user: those for the whole cluster, and the namespace's own.
pub(crate) fn rules_for(objects: &Objects, user: &User, namespace: &str) -> Vec<Rule> {
    let everything = |list: &str| vec![list.to_owned()];
    let mut rules = Vec::new();
    if user.is_master() {
        rules.push(Rule {
            verbs: everything("*"),
            groups: everything("*"),
            resources: everything("*"),
            ..Rule::default()
        });
        rules.push(Rule { verbs: everything("*"), paths: everything("*"), ..Rule::default() });
    }
    let for_cluster = objects.list("clusterrolebindings", None);
    let in_namespace = objects.list("rolebindings", Some(namespace)).take_while(|_| !namespace.is_empty());
    for (_, binding) in for_cluster.chain(in_namespace) {
        if binds(binding, user, namespace) {
            rules.extend(referenced_rules(objects, &binding["roleRef"], namespace).unwrap_or_default());
        }
    }
    rules
}

pub(crate) fn allowed(objects: &Objects, user: &User, asked: &Attributes) -> bool {
    rules_for(objects, user, &asked.namespace).iter().any(|rule| rule.allows(asked))
}

/// Refuses a role or binding that would give more than its writer holds.
pub(crate) fn check_escalation(objects: &Objects, user: &User, kind: &Kind, written: &Value) -> ApiResult<()> {
    if user.is_master() || kind.group != RBAC {
        return Ok(());
    }
    let namespace = written["metadata"]["namespace"].as_str().unwrap_or_default();
    let name = written["metadata"]["name"].as_str().unwrap_or_default();
    let reference = &written["roleRef"];
    let is_role = reference.is_null();
    let (verb, resource, role) = match reference["kind"].as_str() {
        _ if is_role => ("escalate", kind.plural, name),
        Some("Role") => ("bind", "roles", reference["name"].as_str().unwrap_or_default()),
        _ => ("bind", "clusterroles", reference["name"].as_str().unwrap_or_default()),
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
    if held.iter().any(|rule| rule.allows(&asked)) {
        return Ok(());
    }
    let given = if is_role { role_rules(written) } else { referenced_rules(objects, reference, namespace)? };
    let missing: Vec<Rule> =
        given.iter().flat_map(Rule::parts).filter(|part| !held.iter().any(|rule| rule.covers(part))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = |rule: &Rule| {
        let lists = [
            ("APIGroups", &rule.groups),
            ("Resources", &rule.resources),
            ("ResourceNames", &rule.names),
            ("NonResourceURLs", &rule.paths),
            ("Verbs", &rule.verbs),
        ];
        let lists = lists.iter().filter(|(_, list)| !list.is_empty());
        lists.map(|(field, list)| format!("{field}:{}", quoted(list, ", "))).collect::<Vec<_>>().join(", ")
    };
    let missing = missing.iter().map(|rule| format!("{{{}}}", text(rule))).collect::<Vec<_>>().join("\n");
    let (user, groups) = (&user.name, quoted(&user.groups, " "));
    let why = format!(
        "user {user:?} (groups={groups}) is attempting to grant RBAC permissions not currently held:\n{missing}"
    );
    Err(ApiError::forbidden(kind.plural, kind.group, name, &why))
}

/// `["a", "b"]` as Go prints lists.
fn quoted(list: &[String], separator: &str) -> String {
    let items = list.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>();
    format!("[{}]", items.join(separator))
}
