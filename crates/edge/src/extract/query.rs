//! Parameters of a query string.

use std::{
    borrow::Cow,
    future::{Ready, ready},
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use remotegpu_primitives::PageRequest;
use url::form_urlencoded;

use crate::error::{ApiError, FieldError};

/// A query string that nobody has judged yet. What no route knows is left alone:
/// links pick up parameters on their way.
#[derive(Debug)]
pub struct Query(String);

impl FromRequest for Query {
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.query_string().to_owned())))
    }
}

impl Query {
    /// The parameter of this name, which may stand once.
    pub fn get(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, ApiError> {
        let mut values = form_urlencoded::parse(self.0.as_bytes())
            .filter(|(found, _)| found == name)
            .map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() {
            let error = FieldError::new(name, "must not stand more than once");
            return Err(ApiError::field(error));
        }
        Ok(value)
    }

    /// `limit` and `cursor` (contract C4).
    pub fn page(&self) -> Result<PageRequest, ApiError> {
        let limit = self.get("limit").and_then(|limit| {
            let page = PageRequest::parse(limit.as_deref(), None)?;
            Ok(page.limit())
        });
        let cursor = self.get("cursor").and_then(|cursor| {
            let page = PageRequest::parse(None, cursor.as_deref())?;
            Ok(page.after())
        });
        match (limit, cursor) {
            (Ok(limit), Ok(cursor)) => Ok(PageRequest::new(limit, cursor)?),
            (Err(limit), Err(cursor)) => Err(limit.and(&cursor)),
            (Err(one), _) | (_, Err(one)) => Err(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<u16, String> {
        let page = Query(query.to_owned()).page();
        page.map(PageRequest::limit)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_limit_is_a_number_from_1_to_200() {
        // C4
        assert_eq!(page(""), Ok(50));
        assert_eq!(page("limit=1&utm_source=mail"), Ok(1));
        assert_eq!(page("limit=200"), Ok(200));
        for bad in [
            "0",
            "201",
            "-1",
            "",
            "a",
            "1.0",
            "%FF",
            "99999999999999999999",
            "%2B1",
        ] {
            let wanted = Err("limit must be a number from 1 to 200".to_owned());
            assert_eq!(page(&format!("limit={bad}")), wanted, "{bad}");
        }
        assert!(page("limit=1&limit=2").is_err());
        assert!(
            page("cursor=nonsense")
                .unwrap_err()
                .starts_with("cursor must be")
        );
    }
}
