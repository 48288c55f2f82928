//! A kubeconfig with a token in it is made, for tools that can run no plugin (contract T9).

use rand::CryptoRng;
use remotegpu_kubeconfig::{PlainKubeconfig, render_namespace_token};
use remotegpu_namespaces::{
    ClaimRepository, ClusterAccess, ClusterDirectory, CredentialIdentity, ExecCredential,
    InsertKubeconfigToken, IssuedToken, KubeconfigToken, KubeconfigTokenRepository, Namespace,
    NewKubeconfigToken, PlainClusterToken, TokenLifetime,
};
use remotegpu_primitives::{KeySecretId, KubeconfigTokenId, StoreError};
use time::{OffsetDateTime, UtcDateTime, format_description::well_known::Rfc3339};
use tokio::time::Instant;

use super::{
    mint_exec_credential::{MintClock, mint_first},
    render_kubeconfig::{RenderKubeconfigError, endpoint, installation, ready},
};
use crate::{
    Caller, KeyChangeLimits, KeyChangesTooOften, MintExecCredentialError, MintExecCredentialPorts,
    Read,
};

/// What a kubeconfig with a token needs.
#[derive(Clone, Copy)]
pub struct CreateKubeconfigTokenPorts<'a> {
    /// Where it is written down.
    pub tokens: &'a dyn KubeconfigTokenRepository,
    /// What mints the token.
    pub mint: MintExecCredentialPorts<'a>,
    /// Where the namespace's cluster is.
    pub clusters: &'a dyn ClusterDirectory,
    /// Which installation this is.
    pub claims: &'a dyn ClaimRepository,
    /// How often accounts make keys, and these.
    pub changes: &'a KeyChangeLimits,
}

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct CreateKubeconfigToken {
    /// For how long.
    pub lifetime: TokenLifetime,
    /// How many of theirs may live at the same time in an account.
    pub limit: u32,
}

/// A token with its file, which is told once.
#[derive(Debug)]
pub struct CreatedKubeconfigToken {
    /// What is known of it.
    pub token: KubeconfigToken,
    /// The token itself.
    pub secret: PlainClusterToken,
    /// What to save the file as.
    pub filename: String,
    /// The file.
    pub kubeconfig: PlainKubeconfig,
}

/// There is no such file, and nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum CreateKubeconfigTokenError {
    /// The namespace has no kubeconfig.
    #[error(transparent)]
    Render(#[from] RenderKubeconfigError),
    /// Whoever asks may not any more, or the namespace has gone.
    #[error("there is no such namespace")]
    Refused,
    /// Whoever asks has as many as they may have.
    #[error("So many of your kubeconfigs with a token live at the same time at the most")]
    LimitReached,
    /// The account makes too many.
    #[error(transparent)]
    TooOften(#[from] KeyChangesTooOften),
    /// The cluster gave no token.
    #[error(transparent)]
    Mint(#[from] MintExecCredentialError),
}

impl From<StoreError> for CreateKubeconfigTokenError {
    fn from(error: StoreError) -> Self {
        Self::Mint(error.into())
    }
}

/// Makes a kubeconfig with a token for an active namespace of the account, which allows there
/// what the caller's role does. The token is an identity of its own under the rules of keys: it
/// ends with the caller's role and membership, with the namespace, by the clock, or by hand.
pub async fn create_kubeconfig_token(
    ports: CreateKubeconfigTokenPorts<'_>,
    caller: &Caller<Read>,
    namespace: &Namespace,
    wanted: CreateKubeconfigToken,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<CreatedKubeconfigToken, CreateKubeconfigTokenError> {
    ready(caller, namespace)?;
    let cluster = ports.clusters.find(&namespace.cluster);
    let cluster = cluster.ok_or(RenderKubeconfigError::ClusterNotConfigured)?;
    let endpoint = endpoint(cluster, installation(ports.claims).await?);
    let clock = MintClock::starting(now, Instant::now());
    let account = caller.account().id;
    let turn = ports.changes.begin(account, now)?;
    // Held to the end, the store's part included.
    let limits = ports.mint.limits;
    let place = limits.enter(&namespace.cluster, account).await;
    let _place = place.map_err(MintExecCredentialError::from)?;
    let mut nobodys_hash = [0; 32];
    rng.fill_bytes(&mut nobodys_hash);
    let new = NewKubeconfigToken {
        id: KubeconfigTokenId::generate(now, rng),
        secret_id: KeySecretId::generate(now, rng),
        nobodys_hash,
        account_id: account,
        namespace_id: namespace.id,
        created_by: caller.id(),
        session_id: caller.session().map(|context| context.session.id),
        created_at: now,
        expires_at: now + wanted.lifetime.duration(),
    };
    match ports.tokens.insert(&new, wanted.limit).await? {
        InsertKubeconfigToken::Inserted => {}
        InsertKubeconfigToken::Refused => return Err(CreateKubeconfigTokenError::Refused),
        InsertKubeconfigToken::LimitReached => {
            return Err(CreateKubeconfigTokenError::LimitReached);
        }
    }
    let act = caller.act(rng, now);
    let issuing = async {
        let minting = clock.within(mint(ports, &new, namespace, rng, clock));
        let (identity, credential) = minting.await?;
        let issued = IssuedToken {
            identity: identity.object_name(),
            token_id: credential.token_id.clone(),
        };
        // In the transaction that makes the act an act: what has ended meanwhile has ended.
        let token = ports
            .tokens
            .mark_issued(account, new.id, &issued, &act)
            .await?;
        let token = token.ok_or(CreateKubeconfigTokenError::Refused)?;
        Ok((token, credential.token))
    };
    let (token, secret) = match issuing.await {
        Ok(issued) => issued,
        Err(error) => {
            abandon(ports, &new, clock.now()).await;
            return Err(error);
        }
    };
    turn.made();
    let filename = filename(namespace);
    let head = head(&token, namespace, &filename);
    let kubernetes_namespace = namespace.kubernetes_namespace.as_str();
    let kubeconfig =
        render_namespace_token(&head, &endpoint, kubernetes_namespace, secret.reveal());
    Ok(CreatedKubeconfigToken {
        kubeconfig: kubeconfig.map_err(RenderKubeconfigError::from)?,
        token,
        secret,
        filename,
    })
}

/// Has the cluster make the identity and mint its one token.
async fn mint(
    ports: CreateKubeconfigTokenPorts<'_>,
    new: &NewKubeconfigToken,
    namespace: &Namespace,
    rng: &mut impl CryptoRng,
    clock: MintClock,
) -> Result<(CredentialIdentity, ExecCredential), MintExecCredentialError> {
    let presented = ports.mint.keys.find_by_secret(new.secret_id).await?;
    let presented = presented.ok_or(MintExecCredentialError::NotAllowed)?;
    mint_first(ports.mint, &presented, namespace, rng, clock).await
}

/// Ends what nobody was given. Where the store does not do it, the clock does.
async fn abandon(
    ports: CreateKubeconfigTokenPorts<'_>,
    new: &NewKubeconfigToken,
    now: OffsetDateTime,
) {
    match ports.tokens.abandon(new.account_id, new.id, now).await {
        Ok(()) => ports.mint.signals.wake_identities(),
        Err(error) => tracing::warn!(
            token = %new.id,
            error = &error as &dyn std::error::Error,
            "a kubeconfig token that was never handed out is left to the clock"
        ),
    }
}

/// Beside the file without a secret, which is named like the namespace.
fn filename(namespace: &Namespace) -> String {
    remotegpu_kubeconfig::filename(&format!("token-{}", namespace.name))
}

/// What the file says of itself.
fn head(token: &KubeconfigToken, namespace: &Namespace, filename: &str) -> String {
    let until = UtcDateTime::from(token.expires_at).truncate_to_second();
    let until = until.format(&Rfc3339).unwrap_or_default();
    let may = match token.access {
        ClusterAccess::Tenant => "It opens",
        ClusterAccess::Viewer => "It shows all but secrets of",
    };
    format!(
        "This file holds a secret, a token: whoever has the file has what the token opens.\n\
         {may} {} until {until}, unless it is ended before.\n\
         \n\
         Keep it for yourself: chmod 600 {filename}\n\
         Use it: export KUBECONFIG=\"$PWD/{filename}\"\n\
         Beside what you have: export KUBECONFIG=\"$HOME/.kube/config:$PWD/{filename}\"",
        namespace.kubernetes_namespace
    )
}
