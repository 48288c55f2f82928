//! Which paths there are, with which methods, and what holds for each. actix itself
//! answers a wrong method with 404; this table tells 404 from 405 before anything
//! else is asked (contract C5), and names the route in the log and the metrics.
//!
//! actix picks the handler by its own reading of the same list. Where the two could differ,
//! a request would be judged by one route's policy and answered by another's handler: a list
//! that leaves room for that is refused at the start.

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

/// Why a list of routes is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRoutes {
    #[error("{0}: each part of a route is a text without braces or one {{parameter}}")]
    PartlyParameter(String),
    #[error("{0} and {1} are two routes, and there is a path that fits both")]
    Overlap(String, String),
    #[error("{0} {1} is listed twice")]
    Twice(Method, String),
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
    /// Of two fronts that list the same path, the first one has it.
    pub(crate) fn new(fronts: impl IntoIterator<Item = Listed>) -> Result<Self, BadRoutes> {
        let fronts: Vec<Listed> = fronts.into_iter().collect();
        check(&fronts)?;
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
        Ok(table)
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

fn check(fronts: &[Listed]) -> Result<(), BadRoutes> {
    for route in fronts.iter().flat_map(|front| &front.routes) {
        let mut methods = route.operations.iter().map(|(method, _)| method);
        while let Some(method) = methods.next() {
            if methods.clone().any(|other| other == method) {
                return Err(BadRoutes::Twice(method.clone(), route.pattern.clone()));
            }
        }
    }
    let listed = fronts.iter().flat_map(|front| &front.routes);
    let patterns: Vec<&str> = listed.map(|route| route.pattern.as_str()).collect();
    for (index, pattern) in patterns.iter().enumerate() {
        if !pattern.split('/').all(is_text_or_parameter) {
            return Err(BadRoutes::PartlyParameter((*pattern).to_owned()));
        }
        let mut before = patterns[..index].iter();
        if let Some(other) = before.find(|other| *other != pattern && overlap(other, pattern)) {
            let (other, pattern) = ((*other).to_owned(), (*pattern).to_owned());
            return Err(BadRoutes::Overlap(other, pattern));
        }
    }
    Ok(())
}

/// actix knows more: parameters beside a text, expressions, and the rest of a path.
fn is_text_or_parameter(segment: &str) -> bool {
    let name = segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    name.map_or(!segment.contains(['{', '}']), |name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

fn matches(pattern: &str, path: &str) -> bool {
    all_segments(pattern, path, fits)
}

/// Whether there is a path that both match.
fn overlap(one: &str, other: &str) -> bool {
    all_segments(one, other, |one, other| {
        fits(one, other) || fits(other, one)
    })
}

fn all_segments(one: &str, other: &str, alike: impl Fn(&str, &str) -> bool) -> bool {
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if alike(one, other) => {}
            _ => return false,
        }
    }
}

fn fits(wanted: &str, found: &str) -> bool {
    wanted == found || wanted.starts_with('{') && !found.is_empty()
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
        RouteTable::new([listed, other]).unwrap()
    }

    #[test]
    fn one_route_has_one_handler() {
        let mut listed = Listed::default();
        for method in [Method::GET, Method::POST, Method::GET] {
            listed.route(&method, "/v1/keys", policy(WorkClass::Other));
        }
        let refused = RouteTable::new([listed]).unwrap_err();
        assert_eq!(refused.to_string(), "GET /v1/keys is listed twice");
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

    fn refused(patterns: [&[&str]; 2]) -> Option<String> {
        let fronts = patterns.map(|patterns| {
            let mut listed = Listed::default();
            for pattern in patterns {
                listed.route(&Method::GET, pattern, RoutePolicy::NOWHERE);
            }
            listed
        });
        let refused = RouteTable::new(fronts).err();
        refused.map(|refused| refused.to_string())
    }

    #[test]
    fn two_routes_that_fit_one_path_are_refused() {
        for (one, other) in [
            ("/keys/{id}", "/keys/own"),
            ("/keys/own", "/keys/{id}"),
            ("/keys/{id}", "/keys/{name}"),
            ("/keys/{id}/uses", "/keys/own/{what}"),
            ("/{what}/own", "/keys/{id}"),
        ] {
            let said =
                format!("{one} and {other} are two routes, and there is a path that fits both");
            assert_eq!(refused([&[one, other], &[]]).as_ref(), Some(&said));
            assert_eq!(refused([&[one], &[other]]).as_ref(), Some(&said));
        }
        for (one, other) in [
            ("/keys/{id}", "/keys"),
            ("/keys/{id}", "/keys/"),
            ("/keys/{id}", "/keys/{id}/uses"),
            ("/keys/{id}/uses", "/keys/own/keys"),
            ("/keys/{id}", "/names/{id}"),
        ] {
            assert_eq!(refused([&[one, other], &[]]), None);
        }
        // The first front has it, by the table and by actix.
        assert_eq!(refused([&["/keys/{id}"], &["/keys/{id}"]]), None);
    }

    #[test]
    fn a_segment_that_is_partly_a_parameter_is_refused() {
        for pattern in [
            "/docs/{file}.json",
            "/docs/v{version}",
            "/docs/{file}*",
            "/docs/{file:[a-z]+}",
            "/docs/{file:.*/x}",
            "/docs/{one}{other}",
            "/docs/file}",
            "/docs/{}",
        ] {
            let said = format!(
                "{pattern}: each part of a route is a text without braces or one {{parameter}}"
            );
            assert_eq!(refused([&[pattern], &[]]), Some(said));
        }
        assert_eq!(refused([&["/docs/{file_1}/x"], &[]]), None);
    }
}
