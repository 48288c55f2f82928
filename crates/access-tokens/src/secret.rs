//! The secret of an access token (contract T5).

use remotegpu_keys::{HashedSecret, PlainSecret, SecretKind};

/// The kind of the secrets of access tokens.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessTokenSecret {}

/// A raw access token.
pub type PlainAccessToken = PlainSecret<AccessTokenSecret>;

/// What is stored of an access token.
pub type HashedAccessToken = HashedSecret<AccessTokenSecret>;

impl SecretKind for AccessTokenSecret {
    const PREFIX: &'static str = "rgat_";
    const NAME: &'static str = "AccessToken";
}

#[cfg(test)]
mod tests {
    use rand::{rand_core::UnwrapErr, rngs::SysRng};
    use remotegpu_keys::PlainApiKey;

    use super::*;

    #[test]
    fn it_is_of_a_kind_of_its_own_and_prints_its_type() {
        // T5, K2
        let token = PlainAccessToken::generate(&mut UnwrapErr(SysRng));
        assert!(token.reveal().starts_with("rgat_"));
        assert_eq!(token.reveal().len(), 41);
        assert!(PlainApiKey::parse(token.reveal()).is_err());
        let key = PlainApiKey::generate(&mut UnwrapErr(SysRng));
        assert!(PlainAccessToken::parse(key.reveal()).is_err());
        let printed = format!("{token:?} {:?}", token.hash());
        assert_eq!(printed, "PlainAccessToken HashedAccessToken");
    }
}
