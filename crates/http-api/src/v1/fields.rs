//! Judging the members of a request one by one, so that one answer names all
//! that are wrong (contract C2).

use std::fmt::Display;

use crate::error::{ApiError, ErrorCode, FieldError};

/// What is wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    /// Keeps a refusal under the name that the request has for the field.
    pub(crate) fn judge<T, E: Display>(&mut self, field: &str, judged: Result<T, E>) -> Option<T> {
        match judged {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.0.push(FieldError::from_refusal(field, &refusal));
                None
            }
        }
    }
}

impl From<Fields> for ApiError {
    fn from(fields: Fields) -> Self {
        Self::fields(ErrorCode::InvalidField, fields.0)
    }
}
