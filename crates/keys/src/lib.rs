#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod api_key;
mod checked_secret;
mod installation_keys;
mod key_changes;
mod key_name;
mod repository;

pub use api_key::{
    ApiKey, ApiKeyChange, KeyRefused, KeySecret, KeyStatus, NewApiKey, NewKeySecret, PresentedKey,
};
pub use checked_secret::{
    ApiKeySecret, HashedApiKey, HashedSecret, MalformedSecret, PlainApiKey, PlainSecret,
    SecretKind, SecretPrefix, checksum,
};
pub use installation_keys::{InstallationKeys, KeyKind, OwnedKey};
pub use key_changes::{KeyChange, KeyChangeFeed, KeyChangeSubscription, KeyNews};
pub use key_name::{InvalidKeyName, KeyName};
pub use repository::{ApiKeyRepository, InsertApiKey, RevokeApiKey, RotateApiKey, UpdateApiKey};
