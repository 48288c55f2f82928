//! A member makes themselves an access token, which opens clusters (contract T1 to T5).

use rand::CryptoRng;
use remotegpu_access_tokens::{
    AccessToken, AccessTokenRepository, InsertAccessToken, NewAccessToken, PlainAccessToken,
    TokenHandle, TokenNote, TokenWord,
};
use remotegpu_keys::KeyName;
use remotegpu_kubeconfig::{
    ClusterEndpoint, FileWord, RenderError, TokenContext, TokenNames, render_token, token_filename,
};
use remotegpu_namespaces::{
    ClaimRepository, Cluster, ClusterDirectory, ClusterName, Namespace, NamespaceStatus,
};
use remotegpu_primitives::{AccessTokenId, InstallationId, StoreError};
use time::{Duration, OffsetDateTime};

use crate::{
    Caller, KeyChangeLimits, KeyChangesTooOften, NotAllowed, Person, Read, RenderedKubeconfig,
    acts::{create_namespace::find_cluster, render_kubeconfig::told_apart},
};

/// What the operator allows of access tokens, and how they are called.
#[derive(Debug, Clone)]
pub struct AccessTokenRules {
    /// How many active ones a member may have in an account (contract T10).
    pub limit: u32,
    /// How long one may live.
    pub longest: Duration,
    /// Whether one may never expire.
    pub may_never_expire: bool,
    /// What their identifiers begin with (contract T2).
    pub word: TokenWord,
    /// What the names of their files begin with (contract T2).
    pub file_word: FileWord,
}

impl Default for AccessTokenRules {
    fn default() -> Self {
        Self {
            limit: 20,
            longest: Duration::days(365),
            may_never_expire: false,
            word: TokenWord::default(),
            file_word: FileWord::default(),
        }
    }
}

/// An end that no token may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExpiryNotAllowed {
    /// It has none, and must.
    #[error("An access token must have an expiration")]
    Needed,
    /// It is not in the future.
    #[error("expires_at must be in the future")]
    NotInFuture,
    /// It is too far away.
    #[error("expires_at must be at most {} days away", .0.whole_days())]
    TooFar(Duration),
}

impl AccessTokenRules {
    /// Whether a token that is made at `now` may end then.
    pub fn judge_expiry(
        &self,
        expires_at: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<(), ExpiryNotAllowed> {
        match expires_at {
            None if self.may_never_expire => Ok(()),
            None => Err(ExpiryNotAllowed::Needed),
            Some(end) if end <= now => Err(ExpiryNotAllowed::NotInFuture),
            Some(end) if end - now > self.longest => Err(ExpiryNotAllowed::TooFar(self.longest)),
            Some(_) => Ok(()),
        }
    }
}

/// What a token shall be.
#[derive(Debug, Clone)]
pub struct IssueAccessToken {
    /// Its name.
    pub name: KeyName,
    /// What is noted beside it.
    pub note: Option<TokenNote>,
    /// The names of the clusters that it shall open; doubled ones are folded.
    pub clusters: Vec<String>,
    /// What commands without a namespace are for, where it is chosen.
    pub namespace: Option<Namespace>,
    /// When it ends by itself; never where absent.
    pub expires_at: Option<OffsetDateTime>,
    /// What its file calls things.
    pub names: TokenNames,
}

/// A token with its secret and the file that holds it, which are told once.
#[derive(Debug)]
pub struct IssuedAccessToken {
    /// The token.
    pub token: AccessToken,
    /// The secret.
    pub secret: PlainAccessToken,
    /// The file.
    pub file: TokenFile,
}

/// A kubeconfig with a token inside. Nothing of it is printed.
pub struct TokenFile(RenderedKubeconfig);

impl TokenFile {
    /// What to save it as.
    pub fn name(&self) -> &str {
        &self.0.filename
    }

    /// What stands in it, for the one answer that tells it.
    pub fn reveal(&self) -> &str {
        &self.0.yaml
    }
}

impl std::fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenFile")
    }
}

/// No token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueAccessTokenError {
    /// It opens nothing.
    #[error("At least one cluster is required")]
    NoCluster,
    /// The configuration names no such cluster: the place of the first.
    #[error("There is no such cluster")]
    ClusterUnknown(usize),
    /// The namespace is not one of the account that lives.
    #[error("The namespace must be a namespace of this account")]
    ForeignNamespace,
    /// The namespace stands in none of the clusters.
    #[error("The namespace must stand in one of the clusters")]
    NamespaceElsewhere,
    /// Its end is not allowed.
    #[error(transparent)]
    Expiry(#[from] ExpiryNotAllowed),
    /// The caller has as many active ones as they may have.
    #[error("The limit of active access tokens is reached")]
    LimitReached,
    /// The account has made keys and tokens too often.
    #[error(transparent)]
    TooOften(#[from] KeyChangesTooOften),
    /// The caller is no member any more, or must change their password first.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be written.
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// What issuing a token needs.
#[derive(Clone, Copy)]
pub struct IssueAccessTokenPorts<'a> {
    /// The tokens.
    pub tokens: &'a dyn AccessTokenRepository,
    /// The clusters that there are.
    pub clusters: &'a dyn ClusterDirectory,
    /// Which installation this is.
    pub claims: &'a dyn ClaimRepository,
    /// How often an account makes keys and tokens.
    pub limits: &'a KeyChangeLimits,
    /// What the operator allows.
    pub rules: &'a AccessTokenRules,
}

/// Makes a token that stands for the caller in the clusters that they have chosen.
pub async fn issue_access_token(
    ports: IssueAccessTokenPorts<'_>,
    caller: &Caller<Person<Read>>,
    wanted: IssueAccessToken,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<IssuedAccessToken, IssueAccessTokenError> {
    let clusters = choose_clusters(ports.clusters, &wanted.clusters)?;
    let names: Vec<ClusterName> = clusters.iter().map(|one| one.name.clone()).collect();
    if let Some(namespace) = &wanted.namespace {
        let lives = namespace.status != NamespaceStatus::Deleting;
        if namespace.account_id != caller.account().id || !lives {
            return Err(IssueAccessTokenError::ForeignNamespace);
        }
        if !names.contains(&namespace.cluster) {
            return Err(IssueAccessTokenError::NamespaceElsewhere);
        }
    }
    ports.rules.judge_expiry(wanted.expires_at, now)?;
    let installation = ports.claims.installation().await?;
    let installation =
        installation.ok_or_else(|| StoreError::unavailable("no server has started on it yet"))?;
    let turn = ports.limits.begin(caller.account().id, now)?;
    let secret = PlainAccessToken::generate(rng);
    let handle = TokenHandle::generate(&ports.rules.word, rng);
    let contexts: Vec<TokenContext> = clusters
        .into_iter()
        .map(|cluster| context(cluster, wanted.namespace.as_ref(), installation))
        .collect();
    // Before it is stored: nothing is that cannot be told.
    let yaml = render_token(&contexts, handle.as_str(), secret.reveal(), wanted.names)?;
    let file_word = &ports.rules.file_word;
    let filename = token_filename(file_word, handle.as_str(), wanted.name.as_str());
    let new = NewAccessToken {
        id: AccessTokenId::generate(now, rng),
        handle,
        account_id: caller.account().id,
        name: wanted.name,
        note: wanted.note,
        hash: secret.hash(),
        prefix: secret.prefix(),
        clusters: names,
        created_at: now,
        created_by: caller.id(),
        expires_at: wanted.expires_at,
    };
    let act = caller.act(rng, now);
    match ports.tokens.insert(&new, ports.rules.limit, &act).await? {
        InsertAccessToken::Inserted(token) => {
            turn.made();
            let file = TokenFile(RenderedKubeconfig { filename, yaml });
            Ok(IssuedAccessToken {
                token,
                secret,
                file,
            })
        }
        InsertAccessToken::LimitReached => Err(IssueAccessTokenError::LimitReached),
        InsertAccessToken::NotAllowed => Err(NotAllowed::RoleTooSmall.into()),
    }
}

/// The clusters of these names, each once, in their order.
fn choose_clusters(
    clusters: &dyn ClusterDirectory,
    names: &[String],
) -> Result<Vec<Cluster>, IssueAccessTokenError> {
    let mut chosen: Vec<Cluster> = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let found = find_cluster(clusters, Some(name));
        let cluster = found.ok_or(IssueAccessTokenError::ClusterUnknown(place))?;
        if chosen.iter().all(|known| known.name != cluster.name) {
            chosen.push(cluster);
        }
    }
    if chosen.is_empty() {
        return Err(IssueAccessTokenError::NoCluster);
    }
    Ok(chosen)
}

fn context(
    cluster: Cluster,
    chosen: Option<&Namespace>,
    installation: InstallationId,
) -> TokenContext {
    let here = chosen.filter(|namespace| namespace.cluster == cluster.name);
    TokenContext {
        // What the namespaces' own files call it (contract X3).
        unique_cluster_name: format!("remotegpu-{}-{}", cluster.name, told_apart(installation)),
        kubernetes_namespace: here.map(|here| here.kubernetes_namespace.as_str().to_owned()),
        cluster: ClusterEndpoint {
            name: cluster.name.as_str().to_owned(),
            server: cluster.server,
            certificate_authority_pem: cluster.certificate_authority_pem,
        },
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_token_ends_unless_the_operator_lets_it_last() {
        // T5
        use ExpiryNotAllowed as Not;
        let now = datetime!(2026-01-01 00:00 UTC);
        let rules = AccessTokenRules::default();
        let lasting = AccessTokenRules {
            may_never_expire: true,
            ..rules.clone()
        };
        let year = Duration::days(365);
        let at = |after: Duration| Some(now + after);
        for (rules, expires_at, expected) in [
            (&rules, None, Err(Not::Needed)),
            (&lasting, None, Ok(())),
            (&lasting, at(Duration::ZERO), Err(Not::NotInFuture)),
            (&rules, at(Duration::SECOND), Ok(())),
            (&rules, at(year), Ok(())),
            (&rules, at(year + Duration::SECOND), Err(Not::TooFar(year))),
            (
                &lasting,
                at(year + Duration::SECOND),
                Err(Not::TooFar(year)),
            ),
        ] {
            assert_eq!(rules.judge_expiry(expires_at, now), expected);
        }
        let sentence = Not::TooFar(year).to_string();
        assert_eq!(sentence, "expires_at must be at most 365 days away");
    }
}
