#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod access_token;
mod cluster_user;
mod handle;
mod installation_tokens;
mod note;
mod repository;
mod review;
mod secret;

pub use access_token::{AccessToken, NewAccessToken, PresentedAccessToken, TokenStatus};
pub use cluster_user::ClusterUser;
pub use handle::{InvalidTokenWord, MalformedTokenHandle, TokenHandle, TokenWord};
pub use installation_tokens::{InstallationAccessTokens, OwnedAccessToken};
pub use note::{InvalidTokenNote, TokenNote};
pub use repository::{AccessTokenRepository, InsertAccessToken, TokensOf};
pub use review::{NotAuthenticated, Review, Verdict};
pub use secret::{AccessTokenSecret, HashedAccessToken, PlainAccessToken};
