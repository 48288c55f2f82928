//! What somebody has made in an account, and what becomes of it when their role there does
//! not carry it any more (contract K15).

use remotegpu_accounts::{
    AuditAction, AuditDetails, AuditSubject, Made, MadeBefore, MadeKind, NewAuditEvent,
};
use remotegpu_primitives::{AccountId, Act, ApiKeyId, KubeconfigTokenId};

use crate::{access_tokens::Gone, types::DbUuid};

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
/// things: kubeconfig tokens end with the keys and are never taken over. What people alone
/// make ends beside the call of this.
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

/// Deletes the access tokens of somebody who is no member of the account any more, as part of
/// what ends with the membership.
macro_rules! end_access_tokens_of {
    ($connection:expr, $account:expr, $holder:expr, $act:expr, $before:expr) => {{
        use $crate::schema::access_tokens;
        let gone: Vec<$crate::access_tokens::Gone> = diesel::delete(access_tokens::table)
            .filter(access_tokens::account_id.eq($crate::types::DbUuid::from($account)))
            .filter(access_tokens::created_by.eq($crate::types::DbUuid::from($holder)))
            .returning($crate::access_tokens::gone!())
            .load($connection)
            .await?;
        for gone in &gone {
            let part = $crate::members::made::next_part($act, &$before);
            $crate::audit_events::record!($connection, $crate::access_tokens::deleted(&part, gone));
            $before
                .ended
                .push($crate::members::made::access_token(gone));
        }
    }};
}

/// Deletes the open invitations of somebody who is no admin of the account any more, as part
/// of what ends with the role: whoever may let nobody in has let nobody in.
macro_rules! end_invitations_of {
    ($connection:expr, $account:expr, $maker:expr, $act:expr, $before:expr) => {{
        use $crate::schema::invitations;
        let gone: Vec<($crate::types::DbUuid, String)> = diesel::delete(invitations::table)
            .filter(invitations::account_id.eq($crate::types::DbUuid::from($account)))
            .filter(invitations::created_by.eq($crate::types::DbUuid::from($maker)))
            .filter(invitations::expires_at.gt($crate::types::DbTime::from($act.at)))
            .returning((invitations::id, invitations::email))
            .load($connection)
            .await?;
        for (id, email) in gone {
            let part = $crate::members::made::next_part($act, &$before);
            let action = remotegpu_accounts::AuditAction::InvitationDeleted;
            $crate::audit_events::record!(
                $connection,
                $crate::invitations::event(&part, $account, id.into(), action)
            );
            $before
                .ended
                .push($crate::members::made::invitation((id, email)));
        }
    }};
}

pub(crate) use {active_keys_of, end_access_tokens_of, end_invitations_of, end_made_by};

/// The part of the act that ends what comes next.
pub fn next_part(act: &Act, before: &MadeBefore) -> Act {
    let parts = before.ended.len() + before.taken_over.len() + 1;
    act.part(u32::try_from(parts).unwrap_or(u32::MAX))
}

pub fn access_token((_, _, handle, name): &Gone) -> Made {
    Made {
        kind: MadeKind::AccessToken,
        id: handle.clone(),
        name: name.clone(),
    }
}

pub fn invitation((id, email): (DbUuid, String)) -> Made {
    Made {
        kind: MadeKind::Invitation,
        id: remotegpu_primitives::InvitationId::from(id).to_string(),
        name: email,
    }
}

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
pub fn events(act: &Act, account: AccountId, before: &MadeBefore) -> Vec<NewAuditEvent> {
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
            // What people alone make is told where it ends.
            MadeKind::AccessToken | MadeKind::Invitation => return None,
        };
        let details = AuditDetails {
            changed,
            ..AuditDetails::default()
        };
        Some(NewAuditEvent::new(&act.part(number), account, action, subject).with(details))
    };
    revoked.chain(taken).zip(1..).filter_map(of).collect()
}
