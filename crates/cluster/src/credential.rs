//! Who the control plane is to a cluster.

use std::time::Duration;

use http::HeaderValue;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Resource, config::AuthInfo};
use remotegpu_namespaces::MintError;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::{
    cluster::ACT_WITHIN,
    request::{Ask, Fault, item},
    token_answer::{read_token, token_request},
    transport::Transport,
};

/// The extension of a kubeconfig's user that says how its credential is renewed.
pub(crate) const RENEWAL: &str = "remotegpu.ai/service-account";

const LIFETIME: time::Duration = time::Duration::HOUR;
/// A token is renewed in the middle of its life, so that a cluster that is away
/// for a while does not end it.
const RENEW_AFTER: Duration = Duration::from_mins(30);

/// The control plane's own credential.
pub(crate) enum Credential {
    /// What the kubeconfig says: the transport brings it along.
    Kubeconfig(Transport),
    /// A token that we renew ourselves.
    Renewed(RenewedToken),
}

impl Credential {
    /// Is what `other` is from now on, if both are of one kind; answers whether.
    pub(crate) async fn replace(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Kubeconfig(transport), Self::Kubeconfig(other)) => transport.replace(other),
            (Self::Renewed(token), Self::Renewed(other)) => token.replace(other).await,
            _ => return false,
        }
        true
    }
}

/// Whose token is renewed, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renewal {
    /// The context whose user mints the tokens.
    pub(crate) context: String,
    /// The service account's namespace.
    pub(crate) namespace: String,
    /// The service account.
    pub(crate) name: String,
}

impl Renewal {
    /// Reads the extension, where a user has it.
    pub(crate) fn of(user: &AuthInfo) -> Option<Self> {
        let extensions = user.extensions.as_ref()?;
        let found = extensions.iter().find(|named| named.name == RENEWAL)?;
        let text = |field: &str| found.extension[field].as_str().map(str::to_owned);
        Some(Self {
            context: text("context")?,
            namespace: text("namespace")?,
            name: text("name")?,
        })
    }
}

/// A service account's token that is minted anew before it ends.
pub(crate) struct RenewedToken {
    minter: Transport,
    namespace: String,
    name: String,
    current: Mutex<Option<Current>>,
}

struct Current {
    bearer: HeaderValue,
    since: Instant,
}

impl RenewedToken {
    pub(crate) fn new(minter: Transport, renewal: &Renewal) -> Self {
        Self {
            minter,
            namespace: renewal.namespace.clone(),
            name: renewal.name.clone(),
            current: Mutex::default(),
        }
    }

    /// Mints with another transport from now on, and soon: the token of before may end
    /// with what minted it.
    async fn replace(&self, other: &Self) {
        let mut current = self.current.lock().await;
        self.minter.replace(&other.minter);
        *current = None;
    }

    /// A token that counts, as a header; never the one that was refused.
    pub(crate) async fn token(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue, Fault> {
        // One mint at a time: who waits takes what the other one brought.
        let mut current = self.current.lock().await;
        let kept = current
            .as_ref()
            .filter(|kept| Some(&kept.bearer) != refused);
        let kept = kept.map(|kept| (kept.bearer.clone(), kept.since.elapsed()));
        if let Some((bearer, age)) = &kept
            && *age < RENEW_AFTER
        {
            return Ok(bearer.clone());
        }
        match timeout(ACT_WITHIN, self.mint())
            .await
            .unwrap_or(Err(Fault::Slow))
        {
            Ok(bearer) => {
                *current = Some(Current {
                    bearer: bearer.clone(),
                    since: Instant::now(),
                });
                Ok(bearer)
            }
            // The old one is good for a while; it says itself when it no longer is.
            Err(fault) => kept.map(|(bearer, _)| bearer).ok_or(fault),
        }
    }

    async fn mint(&self) -> Result<HeaderValue, Fault> {
        let accounts = ServiceAccount::url_path(&(), Some(&self.namespace));
        let account = item(&accounts, &self.name).map_err(|_| Fault::Credential)?;
        let request = token_request(LIFETIME);
        let ask = Ask::post(format!("{account}/token"), &request);
        let answer = ask.send(&self.minter, None).await?;
        if let Some(fault) = answer.fault() {
            return Err(fault);
        }
        if !answer.is_success() {
            return Err(Fault::Credential);
        }
        let minted = read_token(answer.body()).map_err(|_: MintError| Fault::NotInKind)?;
        let bearer = format!("Bearer {}", minted.token.reveal());
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| Fault::NotInKind)?;
        bearer.set_sensitive(true);
        Ok(bearer)
    }
}
