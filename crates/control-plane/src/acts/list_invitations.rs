//! An admin looks at who is asked into the account (contract T7).

use remotegpu_accounts::{Invitation, InvitationRepository};
use remotegpu_primitives::{Page, PageRequest, StoreError};
use time::OffsetDateTime;

use crate::{Admin, Caller, Person};

/// A page of the account's open invitations, newest first.
pub async fn list_invitations(
    invitations: &dyn InvitationRepository,
    caller: &Caller<Person<Admin>>,
    page: PageRequest,
    now: OffsetDateTime,
) -> Result<Page<Invitation>, StoreError> {
    invitations.list(caller.account().id, page, now).await
}
