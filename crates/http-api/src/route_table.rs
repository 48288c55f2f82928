//! Which paths there are, and with which methods. actix itself answers a wrong
//! method with 404; this table tells 404 from 405 before anything else is asked
//! (contract C5), and names the route in the log and the metrics.

use std::collections::HashMap;

use actix_web::http::Method;
use utoipa::openapi::OpenApi;

use crate::{
    error::{ApiError, ErrorCode},
    routes::WorkClass,
};

#[derive(Debug)]
pub(crate) struct RouteTable {
    /// Those without a parameter, found at once; most requests are for one.
    literal: HashMap<String, Route>,
    patterns: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    pattern: String,
    methods: Vec<Method>,
    allow: String,
    class: WorkClass,
}

impl RouteTable {
    pub(crate) fn new() -> Self {
        Self {
            literal: HashMap::new(),
            patterns: Vec::new(),
        }
    }

    /// Every route of the document but those for which `left_out` says so.
    pub(crate) fn with_documented(
        mut self,
        document: &OpenApi,
        left_out: impl Fn(&str) -> bool,
    ) -> Self {
        for (pattern, item) in &document.paths.paths {
            if left_out(pattern) {
                continue;
            }
            let methods = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let methods = methods
                .into_iter()
                .filter(|(_, operation)| operation.is_some())
                .map(|(method, _)| method)
                .collect();
            self.push(pattern, methods);
        }
        self
    }

    /// A route that is in no document.
    pub(crate) fn with_get(mut self, pattern: &str) -> Self {
        self.push(pattern, vec![Method::GET]);
        self
    }

    fn push(&mut self, pattern: &str, mut methods: Vec<Method>) {
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        let mut allow: Vec<&str> = methods.iter().map(Method::as_str).collect();
        allow.sort_unstable();
        let route = Route {
            pattern: pattern.to_owned(),
            allow: allow.join(", "),
            class: WorkClass::of(pattern),
            methods,
        };
        if pattern.contains('{') {
            self.patterns.push(route);
        } else {
            self.literal.insert(pattern.to_owned(), route);
        }
    }

    /// The pattern of the route that answers, for the log; `None` for a path
    /// that does not exist.
    pub(crate) fn pattern_of(&self, path: &str) -> Option<&str> {
        self.route(path).map(|route| route.pattern.as_str())
    }

    /// The class of work that a request is. Refuses a path that does not exist,
    /// and a method that it does not have.
    pub(crate) fn check(&self, method: &Method, path: &str) -> Result<WorkClass, ApiError> {
        let route = self.route(path).ok_or(ErrorCode::NotFound)?;
        if route.methods.contains(method) {
            Ok(route.class)
        } else {
            Err(ApiError::method_not_allowed(&route.allow))
        }
    }

    fn route(&self, path: &str) -> Option<&Route> {
        let mut patterns = self.patterns.iter();
        self.literal
            .get(path)
            .or_else(|| patterns.find(|route| matches(&route.pattern, path)))
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

    fn table() -> RouteTable {
        let mut table = RouteTable::new().with_get("/livez");
        table.push("/v1/keys", vec![Method::GET, Method::POST]);
        table.push("/v1/keys/{key_id}", vec![Method::PATCH]);
        table
    }

    #[test]
    fn an_unknown_path_is_404_and_a_wrong_method_405_with_allow() {
        // C5
        let check = |method: Method, path: &str| table().check(&method, path);
        for (method, path) in [
            (Method::GET, "/livez"),
            (Method::HEAD, "/livez"),
            (Method::POST, "/v1/keys"),
            (Method::PATCH, "/v1/keys/x"),
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
}
