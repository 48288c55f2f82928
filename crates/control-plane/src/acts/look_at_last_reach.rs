//! A person looks whether a key has reached a namespace yet (contract H2).

use remotegpu_accounts::{AuditAction, AuditFilter, AuditLog, EventActor};
use remotegpu_keys::{ApiKey, ApiKeyRepository};
use remotegpu_namespaces::Namespace;
use remotegpu_primitives::{Actor, PageRequest, StoreError};
use time::OffsetDateTime;

use crate::{Caller, Read};

/// The last time that a key was given a token for a namespace's cluster.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Which key; absent where it has been forgotten since.
    pub key: Option<ApiKey>,
    /// When.
    pub at: OffsetDateTime,
}

/// When a key was last given a token for the namespace, or for any of the account's where
/// none is named. What was written down a moment ago may be missing, and so may what is
/// older than the audit log goes back.
pub async fn look_at_last_reach(
    audit_log: &dyn AuditLog,
    keys: &dyn ApiKeyRepository,
    caller: &Caller<Read>,
    namespace: Option<&Namespace>,
) -> Result<Option<Reach>, StoreError> {
    let account = caller.account().id;
    let filter = AuditFilter {
        action: Some(AuditAction::CredentialMinted),
        // None of an account's events is about another one's namespace.
        subject: namespace.map(|namespace| namespace.id.as_uuid()),
        since: namespace.map(|namespace| namespace.created_at),
        ..AuditFilter::default()
    };
    let one = PageRequest::new(1, None).unwrap_or_default();
    let events = audit_log.list(account, filter, one).await?;
    let Some(last) = events.items.into_iter().next() else {
        return Ok(None);
    };
    let key = match last.actor {
        EventActor::Known(Actor::ApiKey(id)) => keys.find(account, id).await?,
        EventActor::Known(_) | EventActor::Unknown { .. } => None,
    };
    Ok(Some(Reach {
        key,
        at: last.occurred_at,
    }))
}
