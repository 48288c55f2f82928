//! What somebody has made in an account, and what becomes of it when their role there does
//! not carry it any more (contract K15).

use remotegpu_accounts::{AuditAction, AuditDetails, AuditSubject, Made, MadeKind, NewAuditEvent};
use remotegpu_primitives::{AccountId, Act, ApiKeyId, KubeconfigTokenId};

use crate::types::DbUuid;

/// Active API keys that somebody made in an account.
macro_rules! active_keys_of {
    ($account:expr, $maker:expr, $now:expr) => {
        $crate::schema::api_keys::account_id
            .eq($crate::types::DbUuid::from($account))
            .and($crate::schema::api_keys::created_by.eq($crate::types::DbUuid::from($maker)))
            .and($crate::schema::api_keys::kind.eq($crate::api_keys::kinds::KEY))
            .and($crate::schema::api_keys::revoked_at.is_null())
            .and(
                $crate::schema::api_keys::expires_at
                    .is_null()
                    .or($crate::schema::api_keys::expires_at.gt($crate::types::DbTime::from($now))),
            )
    };
}

/// Takes from a maker in an account what their role there does not carry any more: their
/// active API keys are revoked, with all that they have opened in the clusters, or taken
/// over. Within the transaction that takes the role away, with the account's row held; the
/// act's own event is recorded beside it. Answers a [`MadeBefore`].
///
/// What else stands on a maker's role comes here, for people and for whatever else makes
/// things: kubeconfig tokens end with the keys and are never taken over; access tokens end
/// with a membership, beside the call of this in `remove`.
///
/// [`MadeBefore`]: remotegpu_accounts::MadeBefore
macro_rules! end_made_by {
    ($connection:expr, $account:expr, $maker:expr, $keys:expr, $act:expr) => {{
        use $crate::schema::{api_keys, credential_identities};
        let (account, maker, act) = ($account, $maker, $act);
        let mut before = remotegpu_accounts::MadeBefore::default();
        if let remotegpu_accounts::KeysOfMaker::TakeOver(heir) = $keys {
            let taken: Vec<$crate::members::made::KeyRow> = diesel::update(api_keys::table)
                .filter($crate::members::made::active_keys_of!(
                    account, maker, act.at
                ))
                .set(api_keys::created_by.eq($crate::types::DbUuid::from(heir)))
                .returning((api_keys::id, api_keys::name))
                .load($connection)
                .await?;
            before.taken_over = taken.into_iter().map($crate::members::made::key).collect();
        }
        let revoked: Vec<$crate::members::made::KeyRow> = diesel::update(api_keys::table)
            .filter($crate::members::made::active_keys_of!(
                account, maker, act.at
            ))
            .set(api_keys::revoked_at.eq($crate::types::DbTime::from(act.at)))
            .returning((api_keys::id, api_keys::name))
            .load($connection)
            .await?;
        let ids = revoked.iter().map(|(id, _)| *id);
        $crate::identities::end_identities!(
            $connection,
            credential_identities::key_id.eq_any(ids),
            act.at
        );
        before.ended = revoked
            .into_iter()
            .map($crate::members::made::key)
            .collect();
        let of_maker = api_keys::account_id
            .eq($crate::types::DbUuid::from(account))
            .and(api_keys::created_by.eq($crate::types::DbUuid::from(maker)));
        let tokens = $crate::kubeconfig_tokens::end_kubeconfig_tokens!(
            $connection, of_maker, at act.at
        );
        let tokens = tokens.into_iter().map($crate::members::made::token);
        before.ended.extend(tokens);
        for event in $crate::members::made::events(act, account, &before) {
            $crate::audit_events::record!($connection, event);
        }
        before
    }};
}

pub(crate) use {active_keys_of, end_made_by};

/// A key's identifier and name.
pub type KeyRow = (DbUuid, String);

pub fn key((id, name): KeyRow) -> Made {
    Made {
        kind: MadeKind::ApiKey,
        id: ApiKeyId::from(id).to_string(),
        name,
    }
}

/// A token in a kubeconfig, with its account and the name of its namespace.
pub fn token((id, _, name): (DbUuid, DbUuid, String)) -> Made {
    Made {
        kind: MadeKind::KubeconfigToken,
        id: KubeconfigTokenId::from(id).to_string(),
        name,
    }
}

/// What each thing that ended, or changed hands, has in the audit log of its own.
pub fn events(
    act: &Act,
    account: AccountId,
    before: &remotegpu_accounts::MadeBefore,
) -> Vec<NewAuditEvent> {
    let revoked = before.ended.iter().map(|made| (made, None));
    let changed = || Some(vec!["created_by".to_owned()]);
    let taken = before.taken_over.iter().map(|made| (made, changed()));
    let of = |((made, changed), number): ((&Made, Option<Vec<String>>), u32)| {
        let (action, subject) = match made.kind {
            MadeKind::ApiKey => {
                let subject = AuditSubject::ApiKey(made.id.parse().ok()?);
                match changed {
                    None => (AuditAction::ApiKeyRevoked, subject),
                    Some(_) => (AuditAction::ApiKeyUpdated, subject),
                }
            }
            MadeKind::KubeconfigToken => {
                let subject = AuditSubject::KubeconfigToken(made.id.parse().ok()?);
                (AuditAction::KubeconfigTokenEnded, subject)
            }
        };
        let details = AuditDetails {
            changed,
            ..AuditDetails::default()
        };
        Some(NewAuditEvent::new(&act.part(number), account, action, subject).with(details))
    };
    revoked.chain(taken).zip(1..).filter_map(of).collect()
}
