//! Acts: who changes something, when, and from where (contract R5).

use std::net::IpAddr;

use rand::CryptoRng;
use time::OffsetDateTime;

use crate::{ApiKeyId, AuditEventId, UserId};

/// One change that somebody makes. Whatever stores the change stores with it, in
/// the same transaction, one audit event under the act's own identifier: so an
/// act is noted once, however often its storing is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// The identifier of its audit event.
    pub id: AuditEventId,
    /// When: the time that the change itself counts from.
    pub at: OffsetDateTime,
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
}

impl Act {
    /// An act of `actor` at `now`.
    pub fn new(
        actor: Actor,
        origin: Origin,
        rng: &mut (impl CryptoRng + ?Sized),
        now: OffsetDateTime,
    ) -> Self {
        Self {
            id: AuditEventId::generate(now, rng),
            at: now,
            actor,
            origin,
        }
    }

    /// A part of this act, the first being 1, that has an audit event of its own.
    #[must_use]
    pub fn part(&self, number: u32) -> Self {
        let id = self.id.as_uuid().as_u128().wrapping_add(number.into());
        let mut part = self.clone();
        part.id = AuditEventId::from_uuid(uuid::Uuid::from_u128(id));
        // The act itself claims the form.
        part.origin.form = None;
        part
    }
}

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person, with a session.
    User(UserId),
    /// A machine that manages, with a token of its own (contract T8).
    ServiceUser(UserId),
    /// A program, with an API key.
    ApiKey(ApiKeyId),
    /// The installation's operator, on the server (contract A13).
    Operator,
    /// The installation itself.
    System,
    /// Somebody who has not shown who they are.
    Anonymous,
}

/// Where an act comes from; nothing of it where it does not come over the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The request's identifier, as the answer and the log have it (contract C3).
    pub request_id: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The form that asks for the act, which is stored with the act: a form does one
    /// thing, however often it is sent (contract H3).
    pub form: Option<FormHash>,
}

/// The SHA-256 of the one-time identifier that a form carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FormHash(pub [u8; 32]);
