//! A cluster asks who a token is (contract T6).

use remotegpu_access_tokens::{
    AccessTokenRepository, NotAuthenticated, PlainAccessToken, PresentedAccessToken, Review,
    Verdict,
};
use remotegpu_primitives::StoreError;
use time::OffsetDateTime;

use crate::{AccessTokenUses, AskingCluster, KeyCache};

/// What a review needs.
#[derive(Clone, Copy)]
pub struct ReviewTokenPorts<'a> {
    /// Access tokens, behind the cache.
    pub tokens: &'a dyn AccessTokenRepository,
    /// The cache itself.
    pub cache: &'a KeyCache,
    /// Uses of tokens that are not written down yet.
    pub uses: &'a AccessTokenUses,
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct TokenQuestion<'a> {
    /// What somebody has shown to the cluster: anything.
    pub token: &'a str,
    /// For whom it has to be; none means the cluster's own API server.
    pub asked: &'a [String],
    /// What the cluster's API server is called, as configured.
    pub configured: &'a [String],
}

/// Answers for the cluster that asks, and notes the token's use. What can be no token falls
/// without a query.
///
/// # Errors
/// Nobody knows: neither yes nor no may be told.
pub async fn review_token(
    ports: ReviewTokenPorts<'_>,
    cluster: &AskingCluster,
    question: TokenQuestion<'_>,
    now: OffsetDateTime,
) -> Result<Verdict, StoreError> {
    let Ok(token) = PlainAccessToken::parse(question.token) else {
        return Ok(Verdict::NotAuthenticated(NotAuthenticated::Unknown));
    };
    let hash = token.hash();
    let judge = |presented: Option<&PresentedAccessToken>| {
        let review = Review {
            presented,
            cluster: cluster.cluster(),
            asked: question.asked,
            configured: question.configured,
            now,
        };
        review.judge()
    };
    if let Some(recalled) = ports.cache.recall_token(&hash) {
        let (verdict, id) = (
            judge(Some(&recalled.presented)),
            recalled.presented.token.id,
        );
        let let_in = told(&verdict, cluster, Some(&recalled.presented));
        if let_in && ports.cache.token_use_is_worth_noting(id, now) {
            ports.uses.note(id, now);
        }
        return Ok(verdict);
    }
    let found = ports.tokens.find_by_hash(&hash).await?;
    let verdict = judge(found.as_ref());
    if told(&verdict, cluster, found.as_ref())
        && let Some(found) = &found
    {
        ports.uses.note(found.token.id, now);
    }
    Ok(verdict)
}

/// Whether it was let in. The cluster is told nothing of why not; who runs the server asks
/// for it.
fn told(
    verdict: &Verdict,
    cluster: &AskingCluster,
    presented: Option<&PresentedAccessToken>,
) -> bool {
    let Verdict::NotAuthenticated(reason) = verdict else {
        return true;
    };
    tracing::debug!(
        cluster = %cluster.cluster(),
        token = presented.map(|presented| tracing::field::display(&presented.token.handle)),
        %reason,
        "an access token was refused"
    );
    false
}
