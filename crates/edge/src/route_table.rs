//! Which paths there are, with which methods, and what holds for each. actix itself
//! answers a wrong method with 404; this table tells 404 from 405 before anything
//! else is asked (contract C5), and names the route in the log and the metrics.

use std::{cmp::Reverse, collections::HashMap};

use actix_web::http::Method;

use crate::{
    error::{ApiError, ErrorCode},
    policy::RoutePolicy,
};

/// What one front lists.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    routes: Vec<Route>,
    elsewhere: Vec<(String, RoutePolicy)>,
}

impl Listed {
    pub(crate) fn route(&mut self, method: &Method, pattern: &str, policy: RoutePolicy) {
        let known = self
            .routes
            .iter_mut()
            .find(|known| known.pattern == pattern);
        let operation = (method.clone(), policy);
        match known {
            Some(route) => route.operations.push(operation),
            None => self.routes.push(Route {
                pattern: pattern.to_owned(),
                operations: vec![operation],
            }),
        }
    }

    pub(crate) fn elsewhere(&mut self, prefix: &str, policy: RoutePolicy) {
        self.elsewhere.push((prefix.to_owned(), policy));
    }
}

/// The routes of a listener.
#[derive(Debug)]
pub(crate) struct RouteTable {
    /// Those without a parameter, found at once; most requests are for one.
    literal: HashMap<String, Route>,
    patterns: Vec<Route>,
    /// The longest prefix first.
    elsewhere: Vec<(String, RoutePolicy)>,
}

/// A path, and what each of its methods is.
#[derive(Debug)]
struct Route {
    pattern: String,
    operations: Vec<(Method, RoutePolicy)>,
}

/// What the table says of a request.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// The pattern of the path, for the log.
    pub(crate) pattern: &'a str,
    pub(crate) policy: &'a RoutePolicy,
    /// Whether the path exists and takes the method.
    pub(crate) exists: Result<(), ApiError>,
}

impl RouteTable {
    /// Of two fronts that claim a path, the first one has it.
    pub(crate) fn new(fronts: impl IntoIterator<Item = Listed>) -> Self {
        let mut table = Self {
            literal: HashMap::new(),
            patterns: Vec::new(),
            elsewhere: Vec::new(),
        };
        for listed in fronts {
            for route in listed.routes {
                if route.pattern.contains('{') {
                    table.patterns.push(route);
                } else {
                    let pattern = route.pattern.clone();
                    table.literal.entry(pattern).or_insert(route);
                }
            }
            table.elsewhere.extend(listed.elsewhere);
        }
        table
            .elsewhere
            .sort_by_key(|(prefix, _)| Reverse(prefix.len()));
        table
    }

    /// Finds what answers to a request, or what says that nothing does.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let mut patterns = self.patterns.iter();
        let route = self
            .literal
            .get(path)
            .or_else(|| patterns.find(|route| matches(&route.pattern, path)));
        let Some(route) = route else {
            let mut elsewhere = self.elsewhere.iter();
            let policy = elsewhere.find(|(prefix, _)| path.starts_with(prefix));
            return Found {
                pattern: "unknown",
                policy: policy.map_or(&RoutePolicy::NOWHERE, |(_, policy)| policy),
                exists: Err(ErrorCode::NotFound.into()),
            };
        };
        let wanted = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut operations = route.operations.iter();
        let (policy, exists) = match operations.find(|(method, _)| method == wanted) {
            Some((_, policy)) => (policy, Ok(())),
            None => (
                &route.operations[0].1,
                Err(ApiError::method_not_allowed(&route.allow())),
            ),
        };
        Found {
            pattern: &route.pattern,
            policy,
            exists,
        }
    }
}

impl Route {
    fn allow(&self) -> String {
        let methods = self.operations.iter().map(|(method, _)| method.as_str());
        let mut allow: Vec<&str> = methods.collect();
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        allow.sort_unstable();
        allow.join(", ")
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == found => {}
            (Some(wanted), Some(found)) if wanted.starts_with('{') && !found.is_empty() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::WorkClass;

    fn policy(class: WorkClass) -> RoutePolicy {
        RoutePolicy {
            class,
            ..RoutePolicy::NOWHERE
        }
    }

    fn table() -> RouteTable {
        let (mut listed, mut other) = (Listed::default(), Listed::default());
        let usual = policy(WorkClass::Other);
        listed.route(&Method::GET, "/livez", policy(WorkClass::Probe));
        listed.route(&Method::GET, "/v1/keys", usual);
        listed.route(&Method::POST, "/v1/keys", policy(WorkClass::Password));
        listed.route(&Method::PATCH, "/v1/keys/{key_id}", usual);
        listed.route(&Method::GET, "/v1/keys/{key_id}/uses/{use_id}", usual);
        listed.elsewhere("/v1/", policy(WorkClass::Mint));
        listed.elsewhere("/v1/openai/", policy(WorkClass::Password));
        other.route(&Method::POST, "/livez", usual);
        RouteTable::new([listed, other])
    }

    #[test]
    fn an_unknown_path_is_404_and_a_wrong_method_405_with_allow() {
        // C5
        let check = |method: Method, path: &str| table().find(&method, path).exists;
        for (method, path) in [
            (Method::GET, "/livez"),
            (Method::HEAD, "/livez"),
            (Method::POST, "/v1/keys"),
            (Method::PATCH, "/v1/keys/x"),
            (Method::GET, "/v1/keys/x/uses/y"),
        ] {
            assert!(check(method, path).is_ok());
        }
        for path in [
            "",
            "*",
            "/",
            "/livez/",
            "//livez",
            "/v1/keys/",
            "/v1/keys/a/b",
            "/v1/keys/a/uses/",
            "/V1/keys",
        ] {
            let error = check(Method::GET, path).unwrap_err();
            assert_eq!(error.code(), ErrorCode::NotFound, "{path}");
        }
        for (method, path, allow) in [
            (Method::DELETE, "/v1/keys", "GET, HEAD, POST"),
            (Method::GET, "/v1/keys/x", "PATCH"),
            (Method::OPTIONS, "/livez", "GET, HEAD"),
        ] {
            let error = check(method, path).unwrap_err();
            assert_eq!(error.code(), ErrorCode::MethodNotAllowed);
            assert_eq!(error.allow(), Some(allow));
        }
    }

    #[test]
    fn each_method_has_a_policy_of_its_own_and_each_prefix_one_for_the_rest() {
        let table = table();
        let class = |method: Method, path: &str| table.find(&method, path).policy.class;
        assert_eq!(class(Method::HEAD, "/livez"), WorkClass::Probe);
        assert_eq!(class(Method::GET, "/v1/keys"), WorkClass::Other);
        assert_eq!(class(Method::POST, "/v1/keys"), WorkClass::Password);
        assert_eq!(class(Method::GET, "/v1/nothing"), WorkClass::Mint);
        assert_eq!(class(Method::GET, "/v1/openai/x"), WorkClass::Password);
        assert_eq!(class(Method::GET, "/else"), WorkClass::Other);
    }
}
