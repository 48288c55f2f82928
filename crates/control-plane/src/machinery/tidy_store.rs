//! What ends by the passing of time alone is ended in the store, and what nobody needs
//! any more goes from it.

use remotegpu_access_tokens::AccessTokenRepository;
use remotegpu_accounts::{AuditLog, FormRepository, SessionPolicy, SessionRepository};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_namespaces::{CredentialIdentity, IdentityRepository, KubeconfigTokenRepository};
use remotegpu_primitives::StoreError;
use time::{Duration, OffsetDateTime};

use crate::Signals;

/// How much is ended or removed in one statement, and how many times in one go:
/// several instances may do it at the same time.
const AT_ONCE: u32 = 1000;
const ROUNDS: u32 = 50;
/// How many revoked and expired keys an account may have (contract K16).
const DEAD_KEYS: u32 = 1000;
/// How far the clocks of two instances may be apart: what has just ended here may not
/// have ended there.
const CLOCKS_APART: Duration = Duration::MINUTE;
/// How long all accounts are not looked at again, but those that lost a key lately.
const ALL_ACCOUNTS_EVERY: Duration = Duration::HOUR;
/// How much further than to the last time one looks back for such keys.
const LOOK_BACK: Duration = Duration::minutes(10);

/// What tidying needs.
#[derive(Clone, Copy)]
pub struct TidyPorts<'a> {
    /// The identities that nobody uses, or nothing justifies.
    pub identities: &'a dyn IdentityRepository,
    /// The keys that are dead.
    pub keys: &'a dyn ApiKeyRepository,
    /// The access tokens that expired.
    pub access_tokens: &'a dyn AccessTokenRepository,
    /// For how long both are kept.
    pub dead_key_retention: Duration,
    /// The tokens in kubeconfigs that have ended.
    pub kubeconfig_tokens: &'a dyn KubeconfigTokenRepository,
    /// The sessions that end by the clock.
    pub sessions: &'a dyn SessionRepository,
    /// How long sessions live.
    pub session_policy: SessionPolicy,
    /// Forms that were sent.
    pub forms: &'a dyn FormRepository,
    /// Where old audit events are.
    pub audit_log: &'a dyn AuditLog,
    /// For how long they are kept.
    pub audit_retention: Duration,
    /// What wakes whoever ends identities in the clusters.
    pub signals: &'a Signals,
}

/// What an instance remembers from one time to the next.
#[derive(Debug, Default)]
pub struct Tidied {
    accounts_at: Option<OffsetDateTime>,
    all_accounts_at: Option<OffsetDateTime>,
}

/// Does a step again while there seems to be more; answers of how much it was.
macro_rules! in_rounds {
    ($step:expr) => {
        async {
            let mut all = 0;
            for _ in 0..ROUNDS {
                let done: u64 = $step.await?;
                all += done;
                if done < u64::from(AT_ONCE) {
                    break;
                }
            }
            Ok::<u64, StoreError>(all)
        }
        .await
    };
}

/// Does it once. A step that fails is told of, and keeps none behind it from being done.
pub async fn tidy_store(ports: TidyPorts<'_>, tidied: &mut Tidied, now: OffsetDateTime) {
    let before = now - CredentialIdentity::IDLE_AFTER;
    let idle = in_rounds!(ports.identities.end_idle(before, AT_ONCE, now));
    let unjustified = ports.identities.end_unjustified(now).await;
    if [&idle, &unjustified]
        .iter()
        .any(|ended| matches!(ended, Ok(1..)))
    {
        ports.signals.wake_identities();
    }
    tell("identities that nobody uses were not ended", idle);
    tell("unjustified identities were not looked for", unjustified);
    let before = now - CLOCKS_APART;
    let secrets = in_rounds!(ports.keys.remove_ended_secrets(before, AT_ONCE));
    tell("secrets that ended were not removed", secrets);
    let before = now - ports.dead_key_retention;
    let old = in_rounds!(ports.keys.remove_dead(before, AT_ONCE));
    tell("keys that ended long ago were not removed", old);
    let expired = in_rounds!(ports.access_tokens.remove_expired(before, AT_ONCE));
    tell(
        "access tokens that expired long ago were not removed",
        expired,
    );
    let before = now - CLOCKS_APART;
    let tokens = in_rounds!(ports.kubeconfig_tokens.remove_ended(before, AT_ONCE));
    tell("kubeconfig tokens that ended were not removed", tokens);
    let surplus = remove_surplus(ports, tidied, now).await;
    tell("keys that are too many were not removed", surplus);
    let SessionPolicy { idle, total } = ports.session_policy;
    let removed = ports.sessions.delete_ended(now - total, now - idle).await;
    tell("sessions that ended were not removed", removed);
    // A form can be sent as long as the session that it is of.
    let before = now - total - CLOCKS_APART;
    let removed = in_rounds!(ports.forms.delete_forms(before, AT_ONCE, now));
    tell(
        "forms that nobody can send any more were not removed",
        removed,
    );
    let before = now - ports.audit_retention;
    let removed = in_rounds!(ports.audit_log.delete_before(before, AT_ONCE));
    tell("audit events that are too old were not removed", removed);
}

async fn remove_surplus(
    ports: TidyPorts<'_>,
    tidied: &mut Tidied,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let is_due = |at: OffsetDateTime| (now - at).abs() >= ALL_ACCOUNTS_EVERY;
    let all = tidied.all_accounts_at.is_none_or(is_due);
    let since = tidied.accounts_at.filter(|_| !all).map(|at| at - LOOK_BACK);
    let removed = ports.keys.remove_surplus(DEAD_KEYS, since, now).await?;
    tidied.accounts_at = Some(now);
    if all {
        tidied.all_accounts_at = Some(now);
    }
    Ok(removed)
}

fn tell<T>(what: &'static str, result: Result<T, StoreError>) {
    if let Err(error) = result {
        tracing::warn!(error = &error as &dyn std::error::Error, "{what}");
    }
}
