//! A cluster credential is minted for a key (contract X6 to X11).
//!
//! The order is what makes a revocation win every race: the identity is written
//! down before the cluster knows it, the token is minted, and key and identity
//! are read once more, in one query, before the token leaves the house. An identity that has ended
//! by then is removed by whoever made it: perhaps nobody else remembers it.

mod clock;
mod error;

use std::time::Duration;

pub(super) use clock::MintClock;
pub use error::MintExecCredentialError;
use rand::CryptoRng;
use remotegpu_accounts::{AuditAction, AuditDetails, AuditSubject, NewAuditEvent};
use remotegpu_keys::{ApiKeyRepository, KeyRefused, PresentedKey};
use remotegpu_namespaces::{
    ClusterAccess, CredentialIdentity, CredentialMint, EnsureIdentity, ExecCredential,
    IdentityRepository, IdentityStanding, IdentitySubject, MintError, MintedToken, Namespace,
    NamespaceRepository, NamespaceStatus, PlainClusterToken, TokenLifetime,
};
use remotegpu_primitives::{Act, IdentityId, NamespaceId, StoreError};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};

use crate::{
    AuditBuffer, IdentityUses, KeyHolder, KnownIdentities, MintLimits, Signals,
    machinery::known_identities::subject_of,
};

/// How long a first mint waits for its binding to work, or for an identity of the
/// same secret and namespace that has ended to go.
const WAIT: Duration = Duration::from_secs(2);
/// How long all that the cluster is asked for one mint may take, from when the request
/// came: each request has a bound, and a first mint makes several.
const CLUSTER_WITHIN: Duration = Duration::from_millis(3_200);
/// The same for what is removed afterwards; what is not done by then is the
/// sweep's.
const REMOVED_WITHIN: Duration = Duration::from_millis(3_500);
/// A mint that finds the last one noted longer ago than this writes itself down before
/// it is answered: a day before the identity would end (contract X12).
const ALMOST_IDLE: time::Duration =
    CredentialIdentity::IDLE_AFTER.saturating_sub(time::Duration::DAY);
/// A mint is noted, to be written at leisure, when the last one is noted longer ago.
const NOTED_EVERY: time::Duration = time::Duration::HOUR;
const POLL: Duration = Duration::from_millis(20);
/// An identity that goes is looked for less and less often: the reconciler may need
/// its time, and asks the same store.
const LONGEST_POLL: Duration = Duration::from_millis(320);

/// What minting needs.
#[derive(Clone, Copy)]
pub struct MintExecCredentialPorts<'a> {
    /// Where the key is read again.
    pub keys: &'a dyn ApiKeyRepository,
    /// Where the namespace is found.
    pub namespaces: &'a dyn NamespaceRepository,
    /// Where the identity is written down.
    pub identities: &'a dyn IdentityRepository,
    /// The identities that worked before.
    pub known: &'a KnownIdentities,
    /// Where it is gathered when they were last used.
    pub uses: &'a IdentityUses,
    /// The clusters.
    pub mint: &'a dyn CredentialMint,
    /// What wakes the reconciler.
    pub signals: &'a Signals,
    /// How many mint at the same time, and how often for one key.
    pub limits: &'a MintLimits,
    /// For how long tokens are asked for.
    pub lifetime: TokenLifetime,
    /// Where mints are noted (contract R5).
    pub audit: &'a AuditBuffer,
    /// Is told how long each `TokenRequest` took, whatever came of it.
    pub token_request_took: &'a (dyn Fn(Duration) + Sync),
}

/// Mints a token with which the holder of a key opens the namespace, if the key's scopes
/// say so.
pub async fn mint_exec_credential(
    ports: MintExecCredentialPorts<'_>,
    holder: &KeyHolder,
    namespace: NamespaceId,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<ExecCredential, MintExecCredentialError> {
    let clock = MintClock::starting(now, holder.came().into());
    let act = holder.act(rng, now);
    let minted = mint_for(ports, holder, namespace, rng, &act, clock);
    clock.within(minted).await
}

async fn mint_for(
    ports: MintExecCredentialPorts<'_>,
    holder: &KeyHolder,
    namespace: NamespaceId,
    rng: &mut impl CryptoRng,
    act: &Act,
    clock: MintClock,
) -> Result<ExecCredential, MintExecCredentialError> {
    let presented = holder.presented();
    let account = presented.key.account_id;
    let may = presented.key.scopes.allow_kubernetes_exec(namespace);
    let known = ports
        .known
        .find(subject_of(presented), namespace)
        .filter(|identity| may && identity.account_id == account);
    let mut found = None;
    let cluster = if let Some(identity) = &known {
        &identity.cluster
    } else {
        let read = ports.namespaces.find(account, namespace).await?;
        &found.insert(allowed(presented, read)?).cluster
    };
    // Contract X8. After the scopes: who may not mint is told so however often. And
    // before a place is taken: a key that asks too often keeps nobody from one.
    ports.limits.check_rate(holder, namespace)?;
    // Held to the end, the store's part included.
    let _turn = ports.limits.enter(cluster, account).await?;
    if let Some(identity) = known {
        if let Some(credential) = mint_again(ports, presented, &identity, act, clock).await? {
            return Ok(credential);
        }
        ports.known.forget(&identity);
    }
    let namespace = if let Some(namespace) = found {
        namespace
    } else {
        let read = ports.namespaces.find(account, namespace).await?;
        allowed(presented, read)?
    };
    let (identity, credential) = mint_first(ports, presented, &namespace, rng, clock).await?;
    ports.audit.note(event(act, &identity, &credential));
    ports.known.remember(identity);
    Ok(credential)
}

/// Mints for an identity that worked before: one request to the cluster, and one to
/// the store. Nothing where the identity is not what it was; then nothing of this
/// call is left in the cluster either, because nothing was made.
async fn mint_again(
    ports: MintExecCredentialPorts<'_>,
    presented: &PresentedKey,
    identity: &CredentialIdentity,
    act: &Act,
    clock: MintClock,
) -> Result<Option<ExecCredential>, MintExecCredentialError> {
    let asked = ports.lifetime.to_ask(presented.ends_at(), act.at);
    let minted = timeout_at(
        clock.came + CLUSTER_WITHIN,
        request_token(ports, identity, asked),
    )
    .await;
    let later = clock.now();
    let has_token = matches!(minted, Ok(Ok(_)));
    let Some(Living { ends_at }) = living(ports, identity.id, has_token, later).await? else {
        let refused = end_of_refused(ports, presented, identity, later).await?;
        return refused.map_or(Ok(None), Err);
    };
    match minted {
        // Somebody removed it behind our back: it has to be made again.
        Ok(Err(MintError::IdentityMissing)) => Ok(None),
        Ok(minted) => {
            let credential = judged(identity, minted?, asked, ends_at, act.at)?;
            ports.audit.note(event(act, identity, &credential));
            Ok(Some(credential))
        }
        Err(_) => Err(MintExecCredentialError::TooSlow),
    }
}

/// Mints for an identity that may have to be made, and to be removed again.
pub(super) async fn mint_first(
    ports: MintExecCredentialPorts<'_>,
    presented: &PresentedKey,
    namespace: &Namespace,
    rng: &mut impl CryptoRng,
    clock: MintClock,
) -> Result<(CredentialIdentity, ExecCredential), MintExecCredentialError> {
    let now = clock.began;
    let wanted = CredentialIdentity {
        id: IdentityId::generate(now, rng),
        subject: subject_of(presented),
        account_id: presented.key.account_id,
        namespace_id: namespace.id,
        kubernetes_namespace: namespace.kubernetes_namespace.clone(),
        cluster: namespace.cluster.clone(),
        // What it really is the store knows.
        access: ClusterAccess::Tenant,
        bound: false,
        ends_at: presented.ends_at(),
    };
    let asked = ports.lifetime.to_ask(presented.ends_at(), now);
    let identity = ensure(ports, &wanted, clock).await?;
    // Dropping it at any point is safe: the identity's row stands.
    let minted = timeout_at(
        clock.came + CLUSTER_WITHIN,
        obtain(ports, &identity, asked, clock),
    )
    .await
    .unwrap_or(Err(MintExecCredentialError::TooSlow));

    // From the store, not from what was read before the cluster was asked: who
    // ended the key meanwhile must not see a token come out after it, whatever
    // the cluster has answered.
    let later = clock.now();
    let living = living(ports, identity.id, minted.is_ok(), later).await?;
    let Some(Living { ends_at }) = living else {
        let refused = end_of_refused(ports, presented, &identity, later).await?;
        forget(ports, &identity, clock.came + REMOVED_WITHIN).await;
        // Or the key was ended and allowed again: this identity stays ended.
        return Err(refused.unwrap_or(MintExecCredentialError::TooSlow));
    };
    let credential = judged(&identity, minted?, asked, ends_at, now)?;
    let identity = CredentialIdentity {
        bound: true,
        ..identity
    };
    Ok((identity, credential))
}

/// An identity that has not ended.
struct Living {
    ends_at: Option<OffsetDateTime>,
}

/// Reads whether the identity lives, after all that the cluster was asked, and notes
/// that it is used, if a token was minted for it. Where the last use that is written
/// down lies almost as far back as an identity may rest, this one is written before
/// the answer, or the identity has ended meanwhile (contract X10, X12).
async fn living(
    ports: MintExecCredentialPorts<'_>,
    id: IdentityId,
    has_token: bool,
    now: OffsetDateTime,
) -> Result<Option<Living>, StoreError> {
    let IdentityStanding::Living {
        ends_at,
        last_minted_at,
    } = ports.identities.standing(id, now).await?
    else {
        return Ok(None);
    };
    let rested = now - last_minted_at;
    if has_token && rested >= ALMOST_IDLE {
        let is_noted = ports.identities.note_mint(id, now).await?;
        return Ok(is_noted.then_some(Living { ends_at }));
    }
    if has_token && rested >= NOTED_EVERY {
        ports.uses.note(id, now);
    }
    Ok(Some(Living { ends_at }))
}

/// The token, if it may be handed out.
fn judged(
    identity: &CredentialIdentity,
    minted: MintedToken,
    asked: time::Duration,
    ends_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<ExecCredential, MintExecCredentialError> {
    let credential = minted
        .judge(asked, ends_at, now)
        .map_err(|_| MintExecCredentialError::Unusable)?;
    let IdentitySubject::KeySecret { key_id, .. } = identity.subject;
    tracing::debug!(
        key = %key_id,
        identity = %identity.id,
        namespace = %identity.namespace_id,
        seconds = asked.whole_seconds(),
        "a cluster token was minted"
    );
    Ok(credential)
}

fn event(act: &Act, identity: &CredentialIdentity, credential: &ExecCredential) -> NewAuditEvent {
    let subject = AuditSubject::Namespace(identity.namespace_id);
    let action = AuditAction::CredentialMinted;
    NewAuditEvent::new(act, identity.account_id, action, subject).with(AuditDetails {
        identity: Some(identity.object_name()),
        token_id: credential.token_id.clone(),
        expires_at: Some(credential.expires_at),
        ..AuditDetails::default()
    })
}

/// Has the cluster make the identity, if it was not seen to work before, and mint
/// a token for it.
async fn obtain(
    ports: MintExecCredentialPorts<'_>,
    identity: &CredentialIdentity,
    asked: time::Duration,
    clock: MintClock,
) -> Result<MintedToken, MintExecCredentialError> {
    let minted = mint(ports, identity, asked, clock).await?;
    if !identity.bound {
        wait_until_bound(ports, identity, &minted.token).await?;
        ports.identities.mark_bound(identity.id).await?;
    }
    Ok(minted)
}

/// Removes what this call may have made, of an identity that has ended for good. That
/// the row still stands is no reason to leave it to the reconciler: it may have looked
/// before this call made something, and be about to remove the row.
async fn forget(ports: MintExecCredentialPorts<'_>, identity: &CredentialIdentity, until: Instant) {
    let removed = async {
        let located = ports.mint.locate(identity).await?;
        ports.mint.remove(&located).await
    };
    // Where this fails the sweep does it.
    let removed = timeout_at(until, removed).await;
    let error: &dyn std::error::Error = match &removed {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(late) => late,
    };
    tracing::warn!(
        identity = %identity.id,
        cluster = %identity.cluster,
        error,
        "a cluster identity that has ended is left to the sweep"
    );
}

/// Contract N6, X11: what is another account's, or goes, does not exist.
fn allowed(
    presented: &PresentedKey,
    found: Option<Namespace>,
) -> Result<Namespace, MintExecCredentialError> {
    let namespace = found
        .filter(|namespace| presented.key.scopes.allow_kubernetes_exec(namespace.id))
        .ok_or(MintExecCredentialError::NotAllowed)?;
    match namespace.status.known() {
        Some(NamespaceStatus::Active) => Ok(namespace),
        Some(NamespaceStatus::Deleting) => Err(MintExecCredentialError::NotAllowed),
        // A newer version's word opens nothing either (contract R6).
        Some(NamespaceStatus::Provisioning | NamespaceStatus::Failed) | None => {
            Err(MintExecCredentialError::NotReady)
        }
    }
}

/// Ends an identity that nothing justifies any more, and tells what refuses its key;
/// nothing where the key is allowed and the identity alone has ended.
async fn end_of_refused(
    ports: MintExecCredentialPorts<'_>,
    presented: &PresentedKey,
    identity: &CredentialIdentity,
    now: OffsetDateTime,
) -> Result<Option<MintExecCredentialError>, StoreError> {
    match still_allowed(ports, presented, identity.namespace_id, now).await {
        Ok(()) => Ok(None),
        Err(MintExecCredentialError::Store(error)) => Err(error),
        Err(refusal) => {
            ports.identities.end(identity.id, now).await?;
            ports.signals.wake_identities();
            Ok(Some(refusal))
        }
    }
}

/// Whether the key may still mint for the namespace, and if not why.
async fn still_allowed(
    ports: MintExecCredentialPorts<'_>,
    presented: &PresentedKey,
    namespace: NamespaceId,
    now: OffsetDateTime,
) -> Result<(), MintExecCredentialError> {
    let again = ports
        .keys
        .find_by_secret(presented.secret.id)
        .await?
        .ok_or(MintExecCredentialError::KeyRefused(KeyRefused::Revoked))?;
    again
        .check(now)
        .map_err(MintExecCredentialError::KeyRefused)?;
    let account = presented.key.account_id;
    let found = ports.namespaces.find(account, namespace).await?;
    allowed(&again, found)?;
    Ok(())
}

async fn ensure(
    ports: MintExecCredentialPorts<'_>,
    wanted: &CredentialIdentity,
    clock: MintClock,
) -> Result<CredentialIdentity, MintExecCredentialError> {
    let until = Instant::now() + WAIT;
    let mut poll = POLL;
    loop {
        match ports.identities.ensure(wanted, clock.now()).await? {
            EnsureIdentity::Ready(identity) => return Ok(identity),
            EnsureIdentity::Refused => return Err(MintExecCredentialError::NotAllowed),
            EnsureIdentity::Ending if Instant::now() >= until => {
                return Err(MintExecCredentialError::TooSlow);
            }
            EnsureIdentity::Ending => {
                ports.signals.wake_identities();
                tokio::time::sleep(poll).await;
                poll = (poll * 2).min(LONGEST_POLL);
            }
        }
    }
}

async fn mint(
    ports: MintExecCredentialPorts<'_>,
    identity: &CredentialIdentity,
    asked: time::Duration,
    clock: MintClock,
) -> Result<MintedToken, MintExecCredentialError> {
    if !identity.bound {
        make(ports, identity).await?;
    }
    match request_token(ports, identity, asked).await {
        Err(MintError::IdentityMissing) => {
            // Somebody removed it behind our back, or it has ended: then it must
            // not come back under the same name.
            let standing = ports.identities.standing(identity.id, clock.now()).await?;
            if standing == IdentityStanding::Ended {
                return Err(MintExecCredentialError::TooSlow);
            }
            make(ports, identity).await?;
            Ok(request_token(ports, identity, asked).await?)
        }
        answered => Ok(answered?),
    }
}

async fn request_token(
    ports: MintExecCredentialPorts<'_>,
    identity: &CredentialIdentity,
    asked: time::Duration,
) -> Result<MintedToken, MintError> {
    let _stopwatch = Stopwatch {
        started: Instant::now(),
        tell: ports.token_request_took,
    };
    ports.mint.mint(identity, asked).await
}

/// Tells how long it lived, also where what it measures is given up half done: a
/// cluster that hangs is what one wants to see.
struct Stopwatch<'a> {
    started: Instant,
    tell: &'a (dyn Fn(Duration) + Sync),
}

impl Drop for Stopwatch<'_> {
    fn drop(&mut self) {
        (self.tell)(self.started.elapsed());
    }
}

async fn make(
    ports: MintExecCredentialPorts<'_>,
    identity: &CredentialIdentity,
) -> Result<(), MintExecCredentialError> {
    let made = ports.mint.make(identity).await;
    made.map_err(MintExecCredentialError::Cluster)
}

async fn wait_until_bound(
    ports: MintExecCredentialPorts<'_>,
    identity: &CredentialIdentity,
    token: &PlainClusterToken,
) -> Result<(), MintExecCredentialError> {
    let until = Instant::now() + WAIT;
    loop {
        let opens = ports.mint.opens(identity, token).await;
        if opens.map_err(MintExecCredentialError::Cluster)? {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(MintExecCredentialError::TooSlow);
        }
        tokio::time::sleep(POLL).await;
    }
}
