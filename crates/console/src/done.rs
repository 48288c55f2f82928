//! What was done, as the page says that a form leads to. The word goes there in a cookie, so
//! that addresses stay what they are, and a reload does not say it again.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite},
};
use serde::{Deserialize, Serialize};
use time::Duration;

use crate::console::Console;

const COOKIE: &str = "remotegpu_done";

macro_rules! acts {
    ($($name:ident = $word:literal $sentence:literal,)*) => {
        /// What a form has done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum Done {
            $($name,)*
        }

        impl Done {
            const ALL: &[Self] = &[$(Self::$name),*];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }
        }
    };
}

acts! {
    NamespaceCreated = "namespace-created" "The namespace is being made. It is yours to use once its status is active.",
    NamespaceRenamed = "namespace-renamed" "The namespace was renamed.",
    NamespaceDeleted = "namespace-deleted" "The namespace is being deleted. Nobody reaches it any more.",
    KeyChanged = "key-changed" "The key was changed.",
    KeyRevoked = "key-revoked" "The key was revoked. Calls with it fail from now on.",
    KeySaved = "key-saved" "The key is forgotten here. You have the only copy.",
    TokenSaved = "token-saved" "The token is forgotten here. You have the only copy.",
    TokenDeleted = "token-deleted" "The token was deleted. Clusters refuse it within seconds.",
    KubeconfigSaved = "kubeconfig-saved" "The kubeconfig is forgotten here. You have the only copy.",
    KubeconfigTokenEnded = "kubeconfig-token-ended" "The kubeconfig has ended. Calls with it fail from now on.",
    RoleChanged = "role-changed" "The role was changed. It holds with their next request.",
    MemberRemoved = "member-removed" "The member was removed. They are out of this account.",
    AccountLeft = "account-left" "You have left the account.",
    ServiceUserCreated = "service-user-created" "The service user was created. It gets in with a token.",
    ServiceUserChanged = "service-user-changed" "The service user was changed. It holds with its next request.",
    ServiceUserDeleted = "service-user-deleted" "The service user was deleted. Its tokens open nothing any more.",
    ServiceUserTokenDeleted = "service-user-token-deleted" "The token was deleted. The next request with it is refused.",
    InvitationDeleted = "invitation-deleted" "The invitation was deleted. Its link opens nothing any more.",
    InvitationAccepted = "invitation-accepted" "Welcome. You are a member of this account now.",
    AccountSwitched = "account-switched" "You act for another account now.",
    PasswordChanged = "password-changed" "The password was changed. Your other sessions have ended.",
    SessionEnded = "session-ended" "The session was ended.",
    SessionsEnded = "sessions-ended" "All other sessions were ended.",
}

impl Done {
    /// What the form before this page has done.
    pub(crate) fn said(request: &HttpRequest) -> Option<&'static str> {
        let cookie = request.cookie(COOKIE)?;
        let known = Self::ALL
            .iter()
            .find(|done| done.word() == cookie.value())?;
        Some(known.sentence())
    }

    /// Tells the next page.
    pub(crate) fn tell(self, console: &Console, answer: &mut HttpResponse) {
        put(console, answer, self.word(), Duration::MINUTE);
    }

    /// Once it was said, it is not said again.
    pub(crate) fn forget(console: &Console, request: &HttpRequest, answer: &mut HttpResponse) {
        if request.cookie(COOKIE).is_some() {
            put(console, answer, "", Duration::ZERO);
        }
    }
}

fn put(console: &Console, answer: &mut HttpResponse, word: &str, age: Duration) {
    let cookie = Cookie::build(COOKIE, word)
        .path("/")
        .http_only(true)
        .secure(console.edge.public_url().is_https())
        .same_site(SameSite::Lax)
        .max_age(age)
        .finish();
    // A plain word, in a cookie that is well-formed.
    let _ = answer.add_cookie(&cookie);
}
