#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod act;
mod id;
mod paging;
mod store_error;
mod text;
mod word;

pub use act::{Act, Actor, FormHash, Origin, Shown, Standing};
pub use id::{
    AccessTokenId, AccountId, ApiKeyId, AuditEventId, IdentityId, InstallationId, InstanceId,
    InvitationId, KeySecretId, KubeconfigTokenId, MalformedId, NamespaceId, ServiceUserTokenId,
    SessionId, UserId,
};
pub use paging::{Cursor, InvalidPage, Page, PageRequest};
pub use store_error::StoreError;
pub use text::{is_unfit_in_a_name, without_byte_order_mark};
pub use word::{Vocabulary, Word};

/// Where the time comes from. Only the binary has one that reads the system's
/// clock; everything else is given the time, so that a test can choose it.
pub trait Clock: Send + Sync {
    /// The time now, in UTC.
    fn now(&self) -> time::OffsetDateTime;
}
