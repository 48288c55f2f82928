//! Which code each refusal of a use case has.

use remotegpu_control_plane::{
    AcceptInvitationError, AuthenticateApiKeyError, AuthenticateServiceUserError,
    AuthenticateSessionError, ChangeMemberError, ChangePasswordError, CreateInvitationError,
    CreateKubeconfigTokenError, CreateNamespaceError, CreateServiceUserError, CredentialsNotKnown,
    DeleteInvitationError, ExpiryNotAllowed, IssueAccessTokenError, IssueServiceUserTokenError,
    KeyChangesTooOften, MintExecCredentialError, NotAllowed, Overloaded, PasswordError,
    RenameNamespaceError, RenderKubeconfigError, RevokeApiKeyError, RotateApiKeyError, SignInError,
    SignUpError,
};

use super::{ApiError, ErrorCode, FieldError};

impl From<AuthenticateSessionError> for ApiError {
    fn from(error: AuthenticateSessionError) -> Self {
        match error {
            AuthenticateSessionError::Malformed(_) | AuthenticateSessionError::Ended => {
                ErrorCode::InvalidAccessToken.into()
            }
            AuthenticateSessionError::Store(error) => error.into(),
        }
    }
}

/// Contract A3, T8: why a token opens nothing is nobody's business.
impl From<AuthenticateServiceUserError> for ApiError {
    fn from(error: AuthenticateServiceUserError) -> Self {
        match error {
            AuthenticateServiceUserError::Malformed(_) | AuthenticateServiceUserError::Ended => {
                ErrorCode::InvalidAccessToken.into()
            }
            AuthenticateServiceUserError::Store(error) => error.into(),
        }
    }
}

/// Contract A10, A11, T8.
impl From<NotAllowed> for ApiError {
    fn from(error: NotAllowed) -> Self {
        match error {
            NotAllowed::PasswordChangeRequired => ErrorCode::PasswordChangeRequired.into(),
            NotAllowed::NotForServiceUsers => ErrorCode::NotForServiceUsers.into(),
            NotAllowed::RoleTooSmall => ErrorCode::RoleTooSmall.into(),
        }
    }
}

/// Contract A4: why a key opens nothing is nobody's business.
impl From<AuthenticateApiKeyError> for ApiError {
    fn from(error: AuthenticateApiKeyError) -> Self {
        match error {
            AuthenticateApiKeyError::Malformed(_)
            | AuthenticateApiKeyError::Unknown
            | AuthenticateApiKeyError::Refused(_) => ErrorCode::InvalidApiKey.into(),
            AuthenticateApiKeyError::Store(error) => error.into(),
        }
    }
}

/// Contract T6: nobody's credential was judged.
impl From<CredentialsNotKnown> for ApiError {
    fn from(error: CredentialsNotKnown) -> Self {
        Self::from(ErrorCode::DatabaseUnavailable).because(error)
    }
}

impl From<Overloaded> for ApiError {
    fn from(error: Overloaded) -> Self {
        Self::come_again(ErrorCode::Overloaded, error.retry_after)
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        let code = match error {
            PasswordError::Overloaded(error) => return error.into(),
            PasswordError::Stopped => ErrorCode::Overloaded,
            PasswordError::Unreadable(_) => ErrorCode::Internal,
        };
        Self::from(code).because(error)
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::WrongCredentials => ErrorCode::WrongCredentials.into(),
            SignInError::Throttled(wait) => Self::throttled(wait),
            SignInError::NoAccount => ErrorCode::NoAccount.into(),
            SignInError::AccountSuspended => ErrorCode::AccountSuspended.into(),
            SignInError::Overloaded(error) => error.into(),
            SignInError::Password(error) => error.into(),
            SignInError::Store(error) => error.into(),
        }
    }
}

impl From<SignUpError> for ApiError {
    fn from(error: SignUpError) -> Self {
        match error {
            SignUpError::EmailTaken => ErrorCode::EmailTaken.into(),
            SignUpError::Throttled(wait) => Self::throttled(wait),
            SignUpError::Overloaded(error) => error.into(),
            SignUpError::Password(error) => error.into(),
            SignUpError::Store(error) => error.into(),
        }
    }
}

impl From<ChangePasswordError> for ApiError {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::WrongCredentials => ErrorCode::WrongCredentials.into(),
            ChangePasswordError::Unchanged => Self::field(FieldError::from_refusal("new", &error)),
            ChangePasswordError::Throttled(wait) => Self::throttled(wait),
            ChangePasswordError::Overloaded(error) => error.into(),
            ChangePasswordError::Password(error) => error.into(),
            ChangePasswordError::Store(error) => error.into(),
        }
    }
}

/// Contract T7, T10.
impl From<CreateInvitationError> for ApiError {
    fn from(error: CreateInvitationError) -> Self {
        match error {
            CreateInvitationError::AlreadyInvited => ErrorCode::AlreadyInvited.into(),
            CreateInvitationError::LimitReached => {
                Self::new(ErrorCode::LimitReached, error.to_string())
            }
            CreateInvitationError::NotAllowed(error) => error.into(),
            CreateInvitationError::Store(error) => error.into(),
        }
    }
}

/// Contract T7.
impl From<DeleteInvitationError> for ApiError {
    fn from(error: DeleteInvitationError) -> Self {
        match error {
            DeleteInvitationError::NotFound => ErrorCode::NotFound.into(),
            DeleteInvitationError::NotAllowed(error) => error.into(),
            DeleteInvitationError::Store(error) => error.into(),
        }
    }
}

/// Contract T7, T10.
impl From<AcceptInvitationError> for ApiError {
    fn from(error: AcceptInvitationError) -> Self {
        use AcceptInvitationError as E;
        let in_password = |error: &dyn std::fmt::Display| {
            Self::field(FieldError::from_refusal("password", &error.to_string()))
        };
        match error {
            E::NotFound => ErrorCode::NotFound.into(),
            E::WrongPerson => ErrorCode::WrongPerson.into(),
            E::SignInFirst => ErrorCode::MissingAccessToken.into(),
            E::WrongCredentials => ErrorCode::WrongCredentials.into(),
            E::PasswordMissing => in_password(&error),
            E::InvalidPassword(error) => in_password(&error),
            E::Throttled(wait) => Self::throttled(wait),
            E::Overloaded(error) => error.into(),
            E::Password(error) => error.into(),
            E::Store(error) => error.into(),
        }
    }
}

/// Contract T8.
impl From<CreateServiceUserError> for ApiError {
    fn from(error: CreateServiceUserError) -> Self {
        match error {
            CreateServiceUserError::LimitReached => {
                Self::new(ErrorCode::LimitReached, error.to_string())
            }
            CreateServiceUserError::NotFound => ErrorCode::NotFound.into(),
            CreateServiceUserError::NotAllowed(error) => error.into(),
            CreateServiceUserError::Store(error) => error.into(),
        }
    }
}

/// Contract K4, T8.
impl From<IssueServiceUserTokenError> for ApiError {
    fn from(error: IssueServiceUserTokenError) -> Self {
        match error {
            IssueServiceUserTokenError::ExpiryNotInFuture => ErrorCode::ExpiryNotInFuture.into(),
            IssueServiceUserTokenError::LimitReached => {
                Self::new(ErrorCode::LimitReached, error.to_string())
            }
            IssueServiceUserTokenError::NotFound => ErrorCode::NotFound.into(),
            IssueServiceUserTokenError::NotAllowed(error) => error.into(),
            IssueServiceUserTokenError::Store(error) => error.into(),
        }
    }
}

/// Contract T7.
impl From<ChangeMemberError> for ApiError {
    fn from(error: ChangeMemberError) -> Self {
        match error {
            ChangeMemberError::NotFound => ErrorCode::NotFound.into(),
            ChangeMemberError::NotAllowed(error) => error.into(),
            ChangeMemberError::LastAdmin => ErrorCode::LastAdmin.into(),
            ChangeMemberError::OwnKeys => {
                Self::field(FieldError::from_refusal("take_over_keys", &error))
            }
            ChangeMemberError::Store(error) => error.into(),
        }
    }
}

/// Contract K16.
impl From<KeyChangesTooOften> for ApiError {
    fn from(error: KeyChangesTooOften) -> Self {
        let refusal = Self::come_again(ErrorCode::RateLimited, error.0);
        refusal.saying(error.to_string())
    }
}

/// Contract T5, T10. What stands in a request is judged before; this is what is left.
impl From<IssueAccessTokenError> for ApiError {
    fn from(error: IssueAccessTokenError) -> Self {
        use IssueAccessTokenError as E;
        let wrong = |field: &str, error: &E| Self::field(FieldError::new(field, error.to_string()));
        match error {
            E::NoCluster => wrong("clusters", &error),
            E::ClusterUnknown(_) => ErrorCode::ClusterUnknown.into(),
            E::ForeignNamespace => ErrorCode::ForeignNamespace.into(),
            E::NamespaceElsewhere => wrong("namespace_id", &error),
            E::Expiry(ExpiryNotAllowed::NotInFuture) => ErrorCode::ExpiryNotInFuture.into(),
            E::Expiry(_) => wrong("expires_at", &error),
            E::LimitReached => ErrorCode::LimitReached.into(),
            E::TooOften(error) => error.into(),
            E::NotAllowed(error) => error.into(),
            E::Store(error) => error.into(),
            E::Render(error) => Self::from(ErrorCode::Internal).because(error),
        }
    }
}

impl From<RevokeApiKeyError> for ApiError {
    fn from(error: RevokeApiKeyError) -> Self {
        match error {
            RevokeApiKeyError::NotFound => ErrorCode::ApiKeyNotFound.into(),
            RevokeApiKeyError::NotActive => ErrorCode::KeyNotActive.into(),
            RevokeApiKeyError::Store(error) => error.into(),
        }
    }
}

impl From<RotateApiKeyError> for ApiError {
    fn from(error: RotateApiKeyError) -> Self {
        match error {
            RotateApiKeyError::NotFound => ErrorCode::ApiKeyNotFound.into(),
            RotateApiKeyError::NotActive => ErrorCode::KeyNotActive.into(),
            RotateApiKeyError::TooOften(error) => error.into(),
            RotateApiKeyError::Grace => {
                Self::field(FieldError::from_refusal("grace_seconds", &error))
            }
            RotateApiKeyError::Store(error) => error.into(),
        }
    }
}

impl From<CreateNamespaceError> for ApiError {
    fn from(error: CreateNamespaceError) -> Self {
        match error {
            CreateNamespaceError::ClusterUnknown => ErrorCode::ClusterUnknown.into(),
            CreateNamespaceError::NameTaken => ErrorCode::NameTaken.into(),
            CreateNamespaceError::LimitReached => ErrorCode::NamespaceLimit.into(),
            CreateNamespaceError::Store(error) => error.into(),
        }
    }
}

/// Contract N6.
impl From<RenameNamespaceError> for ApiError {
    fn from(error: RenameNamespaceError) -> Self {
        match error {
            RenameNamespaceError::NotFound => ErrorCode::NotFound.into(),
            RenameNamespaceError::NotReady => ErrorCode::NamespaceNotReady.into(),
            RenameNamespaceError::NameTaken => ErrorCode::NameTaken.into(),
            RenameNamespaceError::Store(error) => error.into(),
        }
    }
}

/// Contract N6.
impl From<RenderKubeconfigError> for ApiError {
    fn from(error: RenderKubeconfigError) -> Self {
        let code = match error {
            RenderKubeconfigError::NotFound => ErrorCode::NotFound,
            RenderKubeconfigError::NotReady => ErrorCode::NamespaceNotReady,
            RenderKubeconfigError::NoneReady => {
                return Self::new(ErrorCode::NamespaceNotReady, error.to_string());
            }
            RenderKubeconfigError::ClusterNotConfigured => ErrorCode::ClusterUnavailable,
            RenderKubeconfigError::Store(error) => return error.into(),
            RenderKubeconfigError::Render(_) => ErrorCode::Internal,
        };
        Self::from(code).because(error)
    }
}

/// Contract T9. What a key would be told of itself is not for people.
impl From<CreateKubeconfigTokenError> for ApiError {
    fn from(error: CreateKubeconfigTokenError) -> Self {
        use CreateKubeconfigTokenError as E;
        match error {
            E::Render(error) => error.into(),
            E::TooOften(error) => error.into(),
            E::LimitReached => Self::new(ErrorCode::LimitReached, error.to_string()),
            E::Refused
            | E::Mint(
                MintExecCredentialError::KeyRefused(_) | MintExecCredentialError::NotAllowed,
            ) => ErrorCode::NotFound.into(),
            E::Mint(MintExecCredentialError::NotReady) => ErrorCode::NamespaceNotReady.into(),
            E::Mint(error) => error.into(),
        }
    }
}

/// Contract X6, X8.
impl From<MintExecCredentialError> for ApiError {
    fn from(error: MintExecCredentialError) -> Self {
        use MintExecCredentialError as E;
        let code = match error {
            E::Store(error) => return error.into(),
            E::Overloaded(error) => return error.into(),
            E::RateLimited(wait) => {
                let refusal = Self::come_again(ErrorCode::RateLimited, wait);
                let when = match refusal.retry_after() {
                    Some(seconds) if seconds > 1 => format!("in {seconds} seconds"),
                    _ => "in 1 second".to_owned(),
                };
                return refusal.saying(format!("{error}: come again {when}"));
            }
            E::KeyRefused(_) => ErrorCode::InvalidApiKey,
            E::NotAllowed => ErrorCode::ExecNotAllowed,
            E::NotReady => ErrorCode::NamespaceProvisioning,
            E::NoExpiration => ErrorCode::TokenWithoutExpiration,
            E::Unusable | E::Cluster(_) | E::TooSlow => ErrorCode::ClusterUnavailable,
        };
        Self::new(code, error.to_string()).because(error)
    }
}
