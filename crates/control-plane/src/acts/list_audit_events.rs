//! A person looks at who did what in the account (contract R5).

use remotegpu_accounts::{AuditEvent, AuditFilter, AuditLog};
use remotegpu_primitives::{Page, PageRequest, StoreError};

use crate::{Admin, Caller};

/// A page of the account's events, newest first.
pub async fn list_audit_events(
    audit_log: &dyn AuditLog,
    caller: &Caller<Admin>,
    filter: AuditFilter,
    page: PageRequest,
) -> Result<Page<AuditEvent>, StoreError> {
    audit_log.list(caller.account().id, filter, page).await
}
