//! Why a form comes back.

use actix_web::http::StatusCode;
use remotegpu_edge::{ApiError, ErrorCode, FieldError};

/// A refusal as a page shows it: the server's own sentence, and which fields are wrong.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The code that the API would answer, where it has one for this.
    pub(crate) code: Option<ErrorCode>,
    pub(crate) sentence: String,
    pub(crate) fields: Vec<FieldError>,
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    pub(crate) fn conflict(sentence: impl Into<String>) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            code: None,
            sentence: sentence.into(),
            fields: Vec::new(),
            retry_after: None,
        }
    }

    /// What is wrong with a field, as a sentence about what the page calls it.
    pub(crate) fn of(&self, field: &str, called: &str) -> Option<String> {
        let wrong = self.fields.iter().find(|wrong| wrong.field == field)?;
        // What is a sentence already is one.
        if wrong.message.starts_with(char::is_uppercase) {
            return Some(wrong.message.clone());
        }
        Some(format!("{called} {}", wrong.message))
    }

    /// Whether the focus goes to this field: to the first that is wrong.
    pub(crate) fn leads_to(&self, field: &str) -> bool {
        self.fields
            .first()
            .is_some_and(|first| first.field == field)
    }

    /// Whether it is about fields alone, each of which says what is wrong with it.
    pub(crate) fn is_of(&self, shown: &[&str]) -> bool {
        !self.fields.is_empty()
            && self
                .fields
                .iter()
                .all(|wrong| shown.contains(&wrong.field.as_str()))
    }
}

impl From<&ApiError> for Refusal {
    fn from(error: &ApiError) -> Self {
        if error.code().status().is_server_error() && error.code() != ErrorCode::Overloaded {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "what a form asks for could not be done");
        }
        Self {
            status: error.code().status(),
            code: Some(error.code()),
            sentence: error.detail().to_owned(),
            fields: error.errors().to_vec(),
            retry_after: error.retry_after(),
        }
    }
}

/// A refusal that is about one field, whatever its code.
pub(crate) fn at_field(mut error: ApiError, field: &str, code: ErrorCode) -> ApiError {
    if error.code() == code && error.errors().is_empty() {
        let sentence = error.detail().to_owned();
        error = error.and(&ApiError::field(FieldError::new(field, sentence)));
    }
    error
}

/// A refusal that names several fields.
pub(crate) fn refusal_of(wrong: Vec<FieldError>) -> ApiError {
    wrong
        .into_iter()
        .map(ApiError::field)
        .reduce(|first, next| first.and(&next))
        .unwrap_or_else(|| ErrorCode::InvalidField.into())
}
