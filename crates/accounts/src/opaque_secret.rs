//! Secrets that are nothing but 256 random bits behind a word that tells their kind.

/// Makes the types of one kind: the secret, what is stored in its place, and what is told of
/// a text that can be none.
macro_rules! opaque_secret {
    ($plain:ident, $hashed:ident, $malformed:ident: $prefix:literal, $what:literal) => {
        #[doc = concat!("The secret of ", $what, ": 256 random bits.")]
        #[derive(Clone, PartialEq, Eq)]
        pub struct $plain(String);

        #[doc = concat!("The SHA-256 of the secret of ", $what, ": what is stored and looked up.")]
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $hashed(pub [u8; 32]);

        #[doc = concat!("A text that can be no secret of ", $what, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("{} was expected", $what)]
        pub struct $malformed;

        impl $plain {
            /// What all of the kind begin with.
            pub const PREFIX: &'static str = $prefix;

            /// Makes a new secret.
            pub fn generate(rng: &mut (impl rand::CryptoRng + ?Sized)) -> Self {
                use base64::Engine as _;
                let mut bytes = [0; 32];
                rng.fill_bytes(&mut bytes);
                let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
                Self(format!("{}{text}", Self::PREFIX))
            }

            /// Takes a text that may be such a secret.
            pub fn parse(text: &str) -> Result<Self, $malformed> {
                let is_of_text = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                let random = text.strip_prefix(Self::PREFIX).unwrap_or_default();
                if random.len() == 43 && random.bytes().all(is_of_text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err($malformed)
                }
            }

            /// What is stored in its place.
            pub fn hash(&self) -> $hashed {
                use sha2::Digest as _;
                $hashed(sha2::Sha256::digest(self.0.as_bytes()).into())
            }

            /// The secret, for the answer that tells it.
            pub fn reveal(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Debug for $plain {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($plain))
            }
        }

        impl std::fmt::Debug for $hashed {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($hashed))
            }
        }
    };
}

pub(crate) use opaque_secret;
