//! An admin looks at one invitation (contract T7, T8).

use remotegpu_accounts::{Invitation, InvitationRepository};
use remotegpu_primitives::{InvitationId, StoreError};
use time::OffsetDateTime;

use crate::{Admin, Caller, Person};

/// The open invitation; `None` where the account has none of this identifier.
pub async fn find_invitation(
    invitations: &dyn InvitationRepository,
    caller: &Caller<Person<Admin>>,
    id: InvitationId,
    now: OffsetDateTime,
) -> Result<Option<Invitation>, StoreError> {
    invitations.find(caller.account().id, id, now).await
}
