//! Judging the members of a request one by one, so that one answer names all that are
//! wrong (contract C2).

use std::fmt::Display;

use remotegpu_edge::{ApiError, ErrorCode, FieldError};

/// A request may hold thousands of wrong members; so many are named.
pub(crate) const NAMED: usize = 100;

/// What is wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// As the contract lists them.
    order: &'static [&'static str],
    wrong: Vec<Wrong>,
}

/// What is wrong with one field.
#[derive(Debug)]
struct Wrong {
    /// Its place: what is known to nobody is judged before all (contract C1).
    place: usize,
    field: String,
    /// The answer if nothing else is wrong.
    alone: ApiError,
    /// What is named where something else is wrong too.
    named: Vec<FieldError>,
    /// Whether its sentence stands before all others.
    is_first: bool,
}

impl Fields {
    /// For fields that the contract lists in this order.
    pub(crate) fn in_order(order: &'static [&'static str]) -> Self {
        let wrong = Vec::new();
        Self { order, wrong }
    }

    /// Keeps a refusal under the name that the request has for the field.
    pub(crate) fn judge<T, E: Display>(&mut self, field: &str, judged: Result<T, E>) -> Option<T> {
        match judged {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.refuse(FieldError::from_refusal(field, &refusal));
                None
            }
        }
    }

    /// Keeps what another has refused: each of its fields for itself.
    pub(crate) fn take<T>(&mut self, judged: Result<T, ApiError>) -> Option<T> {
        match judged {
            Ok(value) => Some(value),
            Err(error) => {
                error
                    .errors()
                    .iter()
                    .cloned()
                    .for_each(|error| self.refuse(error));
                None
            }
        }
    }

    /// This field is wrong.
    pub(crate) fn refuse(&mut self, error: FieldError) {
        let (field, named) = (error.field.clone(), vec![error.clone()]);
        self.keep(&field, ApiError::field(error), named, false);
    }

    /// This field is wrong, and alone would be answered like that.
    pub(crate) fn refuse_as(&mut self, alone: ApiError, error: FieldError) {
        self.keep(&error.field.clone(), alone, vec![error], false);
    }

    /// Several things in one field are wrong; `is_first` where the sentence stands before
    /// all others.
    pub(crate) fn refuse_all(
        &mut self,
        field: &str,
        alone: ApiError,
        named: Vec<FieldError>,
        is_first: bool,
    ) {
        self.keep(field, alone, named, is_first);
    }

    /// Of what is said of one field, the first counts.
    fn keep(&mut self, field: &str, alone: ApiError, named: Vec<FieldError>, is_first: bool) {
        let place = self.order.iter().position(|known| *known == field);
        let place = place.map_or(0, |place| place + 1);
        if place > 0 && self.is_refused(field) {
            return;
        }
        self.wrong.push(Wrong {
            place,
            field: field.to_owned(),
            alone,
            named,
            is_first,
        });
    }

    /// Whether something is wrong with this field.
    pub(crate) fn is_refused(&self, field: &str) -> bool {
        self.wrong.iter().any(|wrong| wrong.field == field)
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.wrong.is_empty()
    }

    /// An error that says all of it, if anything is wrong. Its code and sentence are those
    /// of the first.
    pub(crate) fn done(mut self) -> Result<(), ApiError> {
        self.wrong.sort_by_key(|wrong| wrong.place);
        let first = self.wrong.iter().position(|wrong| wrong.is_first);
        let Some(first) = self.wrong.get(first.unwrap_or(0)) else {
            return Ok(());
        };
        let (code, detail) = (first.alone.code(), first.alone.detail().to_owned());
        if self.wrong.len() == 1 {
            return Err(self.wrong.remove(0).alone);
        }
        let named = self.wrong.into_iter().flat_map(|wrong| wrong.named);
        Err(ApiError::new(code, detail).with_fields(named.take(NAMED).collect()))
    }
}

/// For who has found something wrong.
impl From<Fields> for ApiError {
    fn from(fields: Fields) -> Self {
        match fields.done() {
            Err(error) => error,
            Ok(()) => ErrorCode::InvalidBody.into(),
        }
    }
}
