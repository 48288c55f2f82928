//! Acts: who changes something, when, and from where (contract R5).

use std::net::IpAddr;

use rand::CryptoRng;
use time::OffsetDateTime;

use crate::{AccountId, ApiKeyId, AuditEventId, ServiceUserTokenId, SessionId, UserId};

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
    /// What the actor was let in by. Whatever stores the act asks for it again, in the same
    /// transaction: between being let in and being done an act may take its time.
    pub standing: Option<Standing>,
}

/// What lets somebody act for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The account.
    pub account: AccountId,
    /// Who.
    pub user: UserId,
    /// The words of the roles that suffice.
    pub roles: &'static [&'static str],
    /// What they have shown.
    pub shown: Shown,
}

/// What somebody has shown who acts for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A session.
    Session(SessionId),
    /// A service user's token.
    Token(ServiceUserTokenId),
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
            standing: None,
        }
    }

    /// The same of an actor who was let in so.
    #[must_use]
    pub fn standing_on(self, standing: Option<Standing>) -> Self {
        Self { standing, ..self }
    }

    /// A part of this act, the first being 1, that has an audit event of its own.
    #[must_use]
    pub fn part(&self, number: u32) -> Self {
        let id = self.id.as_uuid().as_u128().wrapping_add(number.into());
        let mut part = self.clone();
        part.id = AuditEventId::from_uuid(uuid::Uuid::from_u128(id));
        // The act itself claims the form, and asks whether its actor may.
        part.origin.form = None;
        part.standing = None;
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
