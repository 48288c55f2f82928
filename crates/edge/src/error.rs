//! What an error answers: the status table of contract section 10.

use std::{borrow::Cow, error::Error, fmt};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use remotegpu_primitives::{InvalidPage, StoreError};
use time::Duration;

mod from_use_cases;

macro_rules! error_codes {
    ($($code:ident = $status:literal $word:literal $retry_after:literal $sentence:literal,)*) => {
        /// A word that programs can tell errors apart by.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", $word, "`")] $code,)*
        }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// The status table: status, word, `retry-after` in seconds where it
            /// is not 0, and what is said when there is nothing better to say.
            fn row(self) -> (u16, &'static str, u32, &'static str) {
                match self {
                    $(Self::$code => ($status, $word, $retry_after, $sentence),)*
                }
            }
        }
    };
}

error_codes! {
    InvalidBody = 400 "invalid_body" 0 "The body is not what this route takes",
    InvalidField = 400 "invalid_field" 0 "A field is wrong",
    InvalidScopes = 400 "invalid_scopes" 0 "The scopes are wrong",
    ForeignNamespace = 400 "foreign_namespace" 0 "Every namespace ID must be a namespace of this account",
    ExpiryNotInFuture = 400 "expiry_not_in_future" 0 "expires_at must be in the future",
    ClusterUnknown = 400 "cluster_unknown" 0 "There is no such cluster",
    MissingAccessToken = 401 "missing_access_token" 0 "Missing access token",
    InvalidAccessToken = 401 "invalid_access_token" 0 "Invalid access token",
    WrongCredentials = 401 "wrong_credentials" 0 "Wrong e-mail or password",
    MissingApiKey = 401 "missing_api_key" 0 "Missing API key",
    InvalidApiKey = 401 "invalid_api_key" 0 "Invalid API key",
    Csrf = 403 "csrf" 0 "The request comes from another site",
    RoleTooSmall = 403 "role_too_small" 0 "Your role in this account does not allow this",
    ExecNotAllowed = 403 "exec_not_allowed" 0 "This API key does not allow Kubernetes exec for this namespace",
    PasswordChangeRequired = 403 "password_change_required" 0 "The password must be changed first",
    AccountSuspended = 403 "account_suspended" 0 "The account is suspended",
    NotForServiceUsers = 403 "not_for_service_users" 0 "This is for people, not for service users",
    WrongPerson = 403 "wrong_person" 0 "The invitation is for somebody else",
    NoAccount = 403 "no_account" 0 "You are a member of no account",
    NotFound = 404 "not_found" 0 "There is nothing here",
    ApiKeyNotFound = 404 "api_key_not_found" 0 "API key not found",
    MethodNotAllowed = 405 "method_not_allowed" 0 "This path does not take this method",
    KeyLimit = 409 "key_limit" 0 "The account's limit of active API keys is reached",
    KeyNotActive = 409 "key_not_active" 0 "Revoked or expired keys cannot be modified",
    NameTaken = 409 "name_taken" 0 "The account already has a namespace of this name",
    EmailTaken = 409 "email_taken" 0 "This e-mail is already in use",
    NamespaceLimit = 409 "namespace_limit" 0 "The account's limit of namespaces is reached",
    NamespaceNotReady = 409 "namespace_not_ready" 0 "The namespace is not ready yet",
    LastAdmin = 409 "last_admin" 0 "The account's last admin cannot leave, be removed or be demoted",
    AlreadyInvited = 409 "already_invited" 0 "This address is a member's, or is invited already",
    LimitReached = 409 "limit_reached" 0 "There are as many of these as there may be",
    BodyTooLarge = 413 "body_too_large" 0 "The body is longer than 65536 bytes",
    UnsupportedMediaType = 415 "unsupported_media_type" 0 "The body must be application/json in UTF-8, without a content-encoding",
    Misdirected = 421 "misdirected" 0 "This server does not answer for this host",
    TooManyAttempts = 429 "too_many_attempts" 1 "Too many attempts",
    RateLimited = 429 "rate_limited" 1 "This is asked for too often",
    Internal = 500 "internal" 0 "Something went wrong on the server",
    ClusterUnavailable = 503 "cluster_unavailable" 5 "The cluster is not available",
    TokenWithoutExpiration = 503 "token_without_expiration" 5 "The backing Kubernetes token response did not include an expiration",
    NamespaceProvisioning = 503 "namespace_provisioning" 2 "The namespace is not ready yet",
    DatabaseUnavailable = 503 "database_unavailable" 1 "The database is not available",
    Overloaded = 503 "overloaded" 1 "The server takes no more requests just now",
}

impl ErrorCode {
    /// The HTTP status, one for each code (contract section 10).
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The word itself.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// What is said when there is nothing better to say.
    pub fn sentence(self) -> &'static str {
        self.row().3
    }

    /// The code for an answer that a library made.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            413 => Self::BodyTooLarge,
            415 => Self::UnsupportedMediaType,
            421 => Self::Misdirected,
            400..=499 => Self::InvalidBody,
            _ => Self::Internal,
        }
    }
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: `scopes.kubernetes_exec.namespace_ids[3]`.
    pub field: String,
    /// What, as the end of a sentence that begins with the field.
    pub message: String,
}

impl FieldError {
    /// What is wrong, and where.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }

    /// A domain type's refusal: a sentence whose first word is the field, by
    /// whatever name the domain has for it.
    pub fn from_refusal(field: &str, refusal: &impl fmt::Display) -> Self {
        let sentence = refusal.to_string();
        let message = sentence.split_once(' ').map_or("is wrong", |(_, end)| end);
        Self::new(field, message)
    }

    fn sentence(&self) -> String {
        format!("{} {}", self.field, self.message)
    }
}

/// An error as it is answered. Its cause is for the log alone.
#[derive(Debug)]
pub struct ApiError {
    code: ErrorCode,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<u64>,
    allow: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// An error of this code, in these words.
    pub fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = code.row().2;
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: (retry_after > 0).then_some(retry_after.into()),
            allow: None,
            source: None,
        }
    }

    /// One field is wrong.
    pub fn field(error: FieldError) -> Self {
        Self::new(ErrorCode::InvalidField, error.sentence()).with_fields(vec![error])
    }

    /// This one, which names the fields of another as well (contract C2).
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.errors.extend_from_slice(&other.errors);
        self
    }

    /// The path takes these methods, and not the request's.
    pub fn method_not_allowed(allow: &str) -> Self {
        Self {
            allow: Some(allow.to_owned()),
            ..ErrorCode::MethodNotAllowed.into()
        }
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let detail = format!("The body is longer than {limit} bytes");
        Self::new(ErrorCode::BodyTooLarge, detail)
    }

    /// Contract A8, K16, X8: the next try may come after this long, which is told in
    /// whole seconds.
    pub(crate) fn come_again(code: ErrorCode, wait: Duration) -> Self {
        let part = u64::from(wait.subsec_nanoseconds() > 0);
        let seconds = u64::try_from(wait.whole_seconds()).unwrap_or(0) + part;
        Self {
            retry_after: Some(seconds.max(1)),
            ..code.into()
        }
    }

    /// The same error in other words than its code's.
    #[must_use]
    pub fn saying(mut self, detail: String) -> Self {
        self.detail = detail.into();
        self
    }

    pub(crate) fn throttled(wait: Duration) -> Self {
        Self::come_again(ErrorCode::TooManyAttempts, wait)
    }

    /// Names the fields that are wrong.
    #[must_use]
    pub fn with_fields(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// Keeps what it comes from for the log.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// A sentence for a person.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields that are wrong, where single ones are.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// In how many seconds to come again.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// The methods that the path takes, for a 405.
    pub fn allow(&self) -> Option<&str> {
        self.allow.as_deref()
    }

    /// The error and what it comes from, for the log.
    pub(crate) fn chain(&self) -> String {
        let mut chain = self.detail.to_string();
        let mut next: Option<&(dyn Error + 'static)> = match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        };
        while let Some(error) = next {
            chain.push_str(": ");
            chain.push_str(&error.to_string());
            next = error.source();
        }
        chain
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

/// Marks an answer that is a refusal in a shape of its own, as a form that comes back with
/// what was typed. It leaves as it is, and is counted as what it says.
#[derive(Debug, Clone, Copy)]
pub struct Refused(pub Option<ErrorCode>);

/// The status alone: the document is written where the request is known.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.sentence())
    }
}

/// Contract C7: what is down is 503; what should never happen is 500.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::NotAllowed => ErrorCode::RoleTooSmall,
            StoreError::Unavailable(_) => ErrorCode::DatabaseUnavailable,
            StoreError::Conflict(_) | StoreError::Corrupt(_) => ErrorCode::Internal,
        };
        Self::from(code).because(error)
    }
}

impl From<InvalidPage> for ApiError {
    fn from(error: InvalidPage) -> Self {
        let field = match error {
            InvalidPage::Limit => "limit",
            InvalidPage::Cursor => "cursor",
        };
        Self::field(FieldError::from_refusal(field, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_status_of_the_contract() {
        // Section 10
        let table = [
            (
                400,
                "invalid_body invalid_field invalid_scopes foreign_namespace expiry_not_in_future cluster_unknown",
            ),
            (
                401,
                "missing_access_token invalid_access_token wrong_credentials missing_api_key invalid_api_key",
            ),
            (
                403,
                "csrf role_too_small exec_not_allowed password_change_required account_suspended not_for_service_users wrong_person no_account",
            ),
            (404, "not_found api_key_not_found"),
            (405, "method_not_allowed"),
            (
                409,
                "key_limit key_not_active name_taken email_taken namespace_limit namespace_not_ready last_admin already_invited limit_reached",
            ),
            (413, "body_too_large"),
            (415, "unsupported_media_type"),
            (421, "misdirected"),
            (429, "too_many_attempts rate_limited"),
            (500, "internal"),
            (
                503,
                "cluster_unavailable token_without_expiration namespace_provisioning database_unavailable overloaded",
            ),
        ];
        let wanted: Vec<(u16, &str)> = table
            .iter()
            .flat_map(|(status, words)| words.split(' ').map(|word| (*status, word)))
            .collect();
        let found: Vec<(u16, &str)> = ErrorCode::ALL
            .iter()
            .map(|code| (code.status().as_u16(), code.as_str()))
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_down_says_when_to_come_again() {
        // C7
        for code in ErrorCode::ALL {
            let error = ApiError::from(*code);
            let wanted = matches!(code.status().as_u16(), 429 | 503);
            assert_eq!(error.retry_after().is_some(), wanted, "{code:?}");
        }
        let error = ApiError::throttled(Duration::milliseconds(1500));
        assert_eq!(error.retry_after(), Some(2));
        assert_eq!(ApiError::throttled(Duration::ZERO).retry_after(), Some(1));
    }

    #[test]
    fn a_cause_is_in_the_log_and_not_in_the_answer() {
        // C7
        let error = ApiError::from(StoreError::corrupt("row 7 is odd"));
        assert_eq!(error.detail(), "Something went wrong on the server");
        assert!(
            error
                .chain()
                .ends_with("the store holds something unreadable: row 7 is odd")
        );
    }

    #[test]
    fn a_domain_refusal_names_the_field_of_the_request() {
        // C2
        let error = ApiError::field(FieldError::from_refusal(
            "new",
            &"password must have 12 to 128 characters",
        ));
        assert_eq!(error.detail(), "new must have 12 to 128 characters");
        assert_eq!(error.errors()[0].field, "new");
    }
}
