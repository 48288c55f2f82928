//! The token in a file that a kubeconfig names, which whoever renews it writes anew. The
//! client's own reader would take a byte order mark or a line end for a part of it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, header::AUTHORIZATION};
use kube::{client::AuthError, config::AuthInfo};
use remotegpu_primitives::without_byte_order_mark;

/// How long a token is used before its file is read again.
const READ_EVERY: Duration = Duration::from_secs(50);
/// The same where its file holds none.
const AGAIN: Duration = Duration::from_secs(1);

/// Who a user is whose token stands in a file.
pub(crate) struct TokenFile {
    path: PathBuf,
    current: Mutex<(HeaderValue, Instant)>,
}

impl TokenFile {
    /// Reads the user's file, and takes it from them, so that nobody else does. A token in
    /// the kubeconfig itself counts for more.
    pub(crate) fn take(user: &mut AuthInfo) -> Result<Option<Arc<Self>>, AuthError> {
        let path = user.token_file.take().filter(|_| user.token.is_none());
        let Some(path) = path.map(PathBuf::from) else {
            return Ok(None);
        };
        let current = Mutex::new((read(&path)?, Instant::now()));
        Ok(Some(Arc::new(Self { path, current })))
    }

    /// Says in the request who asks.
    pub(crate) fn sign<B>(&self, mut request: Request<B>) -> Request<B> {
        let bearer = self.bearer(Instant::now());
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request
    }

    fn bearer(&self, now: Instant) -> HeaderValue {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(current.1) >= READ_EVERY {
            // Where there is none any more, the last one may still be good.
            let read_at = now.checked_sub(READ_EVERY.saturating_sub(AGAIN));
            *current = match read(&self.path) {
                Ok(bearer) => (bearer, now),
                Err(_) => (current.0.clone(), read_at.unwrap_or(now)),
            };
        }
        current.0.clone()
    }
}

fn read(path: &Path) -> Result<HeaderValue, AuthError> {
    let bytes =
        std::fs::read(path).map_err(|error| AuthError::ReadTokenFile(error, path.into()))?;
    let token = without_byte_order_mark(&bytes).trim_ascii();
    // Between emptying it and writing it anew: the last one may still be good.
    if token.is_empty() {
        let error = std::io::Error::other("it is empty");
        return Err(AuthError::ReadTokenFile(error, path.into()));
    }
    let bearer = HeaderValue::from_bytes(&[b"Bearer ", token].concat());
    let mut bearer = bearer.map_err(AuthError::InvalidBearerToken)?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_its_file_says_without_mark_and_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mut user = AuthInfo {
            token_file: Some(path.display().to_string()),
            ..AuthInfo::default()
        };
        assert!(
            TokenFile::take(&mut user.clone()).is_err(),
            "there is none yet"
        );
        std::fs::write(&path, "\u{feff}one\r\n").unwrap();
        let file = TokenFile::take(&mut user).unwrap().unwrap();
        assert_eq!(user.token_file, None);
        let signed = file.sign(Request::new(()));
        let header = &signed.headers()[AUTHORIZATION];
        assert!(header == "Bearer one" && header.is_sensitive());

        // It is read again after a while, and outlives its file.
        std::fs::write(&path, "two\n").unwrap();
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert_eq!(file.bearer(later(1)), "Bearer one");
        assert_eq!(file.bearer(later(60)), "Bearer two");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(file.bearer(later(120)), "Bearer two");
        std::fs::write(&path, "three").unwrap();
        assert_eq!(file.bearer(later(122)), "Bearer three");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.bearer(later(180)), "Bearer three");
    }
}
