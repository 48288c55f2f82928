//! What a form sends.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, UnreadBody};
use url::form_urlencoded;

use crate::answer::is_fragment;

/// A form that nobody has read yet.
pub(crate) struct SentForm {
    is_form: bool,
    /// Whether a script sent it, to show the answer itself.
    pub(crate) is_fragment: bool,
    body: UnreadBody,
}

impl FromRequest for SentForm {
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let mut parts = kind.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let is_charset = name.trim().eq_ignore_ascii_case("charset");
            is_charset.then(|| value.trim().trim_matches('"').to_owned())
        });
        let is_utf8 = charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"));
        let encoded = request.headers().contains_key(header::CONTENT_ENCODING);
        ready(Ok(Self {
            is_form: kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
                && is_utf8
                && !encoded,
            is_fragment: is_fragment(request),
            body: UnreadBody::of(request, payload),
        }))
    }
}

impl SentForm {
    /// Reads it.
    pub(crate) async fn read(self) -> Result<Fields, ApiError> {
        if !self.is_form {
            let detail = "The body must be a form, application/x-www-form-urlencoded in UTF-8";
            return Err(ApiError::new(ErrorCode::UnsupportedMediaType, detail));
        }
        let body = self.body.read().await?;
        let text = std::str::from_utf8(&body)
            .map_err(|_| ApiError::new(ErrorCode::InvalidBody, "The form is not UTF-8"))?;
        Ok(Fields::parse(text))
    }
}

/// The fields of a form that are not taken yet. What nobody takes is refused, as an unknown
/// member is (contract H3). They may hold secrets, and so are shown by no `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes());
        Self(
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    /// The field of this name, empty where there is none.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, ApiError> {
        let mut all = self.all(name);
        match all.len() {
            0 => Ok(String::new()),
            1 => Ok(all.remove(0)),
            _ => Err(wrong(name, "must not stand more than once")),
        }
    }

    /// All fields of this name, as checkboxes send them.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        let mut all = Vec::new();
        self.0.retain_mut(|(found, value)| {
            let taken = found == name;
            if taken {
                all.push(std::mem::take(value));
            }
            !taken
        });
        all
    }

    /// Refuses whatever is left.
    pub(crate) fn finish(&self) -> Result<(), ApiError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                let detail = format!("The form has a field that is not known: {shown}");
                Err(ApiError::new(ErrorCode::InvalidBody, detail))
            }
        }
    }

    /// What is left, to be sent again. Passwords are no part of it.
    pub(crate) fn encoded(&self) -> String {
        let secret = |name: &str| name.contains("password") || name == "current" || name == "new";
        let kept = self.0.iter().filter(|(name, _)| !secret(name));
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .finish()
    }
}

fn wrong(name: &'static str, what: &str) -> ApiError {
    ApiError::field(FieldError::new(name, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_stands_once_and_is_known() {
        // H3
        let mut fields = Fields::parse("name=a+b&n=1&n=2&name2=%E2%82%AC");
        assert_eq!(fields.text("name").unwrap(), "a b");
        assert!(fields.clone().text("n").is_err());
        assert_eq!(fields.all("n"), ["1", "2"]);
        assert!(fields.finish().is_err());
        assert_eq!(fields.text("name2").unwrap(), "€");
        assert!(fields.finish().is_ok());
        assert_eq!(fields.text("absent").unwrap(), "");
    }

    #[test]
    fn what_is_carried_on_holds_no_password() {
        let fields = Fields::parse("name=x&password=secret&current=a&new=b&to=%2F");
        assert_eq!(fields.encoded(), "name=x&to=%2F");
    }
}
