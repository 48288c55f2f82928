//! Audit events that belong to no transaction, gathered so that no request waits
//! for their write: mints, and passwords that were refused (contract R5).

use std::time::Duration;

use async_trait::async_trait;
use remotegpu_accounts::{AuditLog, NewAuditEvent};
use remotegpu_primitives::{AuditEventId, StoreError};
use time::OffsetDateTime;

use crate::machinery::buffer::{Buffer, Entry, Pace};

/// The events of this instance that are not written yet. What an instance that is
/// killed holds here is lost: no more than a second's, while the store is there.
pub type AuditBuffer = Buffer<NewAuditEvent>;

impl AuditBuffer {
    /// Keeps an event for the next flush.
    pub fn note(&self, event: NewAuditEvent) {
        self.keep(event);
    }
}

#[async_trait]
impl Entry for NewAuditEvent {
    type Key = AuditEventId;
    type Store = dyn AuditLog;
    const NAME: &'static str = "audit events";
    const PACE: Pace = Pace {
        // Half a kilobyte each.
        capacity: 20_000,
        crowd: 1000,
        every: Duration::from_secs(1),
        apart: time::Duration::ZERO,
        rest: 0,
    };

    fn key(&self) -> AuditEventId {
        self.act.id
    }

    fn at(&self) -> OffsetDateTime {
        self.act.at
    }

    async fn write(log: &Self::Store, events: &[Self]) -> Result<(), StoreError> {
        log.append(events).await
    }

    fn tell_dropped(&self, error: &StoreError) {
        tracing::error!(
            event = %self.act.id,
            action = self.action.as_str(),
            request_id = self.act.origin.request_id,
            error = error as &dyn std::error::Error,
            "an audit event can never be written, and is dropped"
        );
    }
}
