//! A cluster asks who a token is, and what is remembered of that (contract T6, K13).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use remotegpu_access_tokens::{
    AccessToken, AccessTokenRepository, HashedAccessToken, InsertAccessToken, NewAccessToken,
    NotAuthenticated, PlainAccessToken, PresentedAccessToken, TokenHandle, TokenWord, TokensOf,
    Verdict,
};
use remotegpu_control_plane::{
    AccessTokenUses, AskingCluster, CachedAccessTokens, KeyCache, ReviewTokenPorts, TokenQuestion,
    review_token,
};
use remotegpu_keys::{KeyChange, KeyName};
use remotegpu_namespaces::ClusterName;
use remotegpu_primitives::{AccessTokenId, AccountId, Act, Page, PageRequest, StoreError};
use remotegpu_test_support::{act, rng};
use time::{Duration, OffsetDateTime};

use crate::world::World;

/// The store, and how often it is asked for a secret; it may be away.
struct Counted {
    store: Arc<dyn AccessTokenRepository>,
    asked: AtomicUsize,
    away: AtomicBool,
}

#[async_trait]
impl AccessTokenRepository for Counted {
    async fn find(
        &self,
        account: AccountId,
        of: TokensOf,
        handle: &TokenHandle,
    ) -> Result<Option<AccessToken>, StoreError> {
        self.store.find(account, of, handle).await
    }

    async fn find_by_hash(
        &self,
        hash: &HashedAccessToken,
    ) -> Result<Option<PresentedAccessToken>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable(None));
        }
        self.store.find_by_hash(hash).await
    }

    async fn list(
        &self,
        account: AccountId,
        of: TokensOf,
        page: PageRequest,
    ) -> Result<Page<AccessToken>, StoreError> {
        self.store.list(account, of, page).await
    }

    async fn insert(
        &self,
        token: &NewAccessToken,
        limit: u32,
        act: &Act,
    ) -> Result<InsertAccessToken, StoreError> {
        self.store.insert(token, limit, act).await
    }

    async fn delete(
        &self,
        account: AccountId,
        of: TokensOf,
        handle: &TokenHandle,
        act: &Act,
    ) -> Result<bool, StoreError> {
        self.store.delete(account, of, handle, act).await
    }

    async fn record_use(&self, uses: &[(AccessTokenId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.store.record_use(uses).await
    }

    async fn remove_expired(&self, before: OffsetDateTime, limit: u32) -> Result<u64, StoreError> {
        self.store.remove_expired(before, limit).await
    }
}

struct Reviews {
    world: World,
    store: Arc<Counted>,
    tokens: CachedAccessTokens,
    cache: Arc<KeyCache>,
    uses: AccessTokenUses,
    token: AccessToken,
    secret: PlainAccessToken,
}

impl Reviews {
    async fn new() -> Self {
        let world = World::new().await;
        let store = Arc::new(Counted {
            store: Arc::new(world.store.database.clone()),
            asked: AtomicUsize::new(0),
            away: AtomicBool::new(false),
        });
        let cache = Arc::new(KeyCache::new(100));
        cache.trust(Instant::now());
        let (secret, now) = (PlainAccessToken::generate(&mut rng()), world.now());
        let new = NewAccessToken {
            id: AccessTokenId::generate(now, &mut rng()),
            handle: TokenHandle::generate(&TokenWord::default(), &mut rng()),
            account_id: world.ada.account.id,
            name: KeyName::parse("laptop").unwrap(),
            note: None,
            hash: secret.hash(),
            prefix: secret.prefix(),
            clusters: vec![cluster("eu")],
            created_at: now,
            created_by: world.ada.user.id,
            expires_at: Some(now + Duration::HOUR),
        };
        let inserted = store.insert(&new, 3, &act(now)).await.unwrap();
        let InsertAccessToken::Inserted(token) = inserted else {
            panic!("{inserted:?}")
        };
        Self {
            tokens: CachedAccessTokens::new(store.clone(), cache.clone()),
            uses: AccessTokenUses::default(),
            world,
            store,
            cache,
            token,
            secret,
        }
    }

    async fn ask_at(
        &self,
        token: &str,
        name: &str,
        now: OffsetDateTime,
    ) -> Result<Verdict, StoreError> {
        let ports = ReviewTokenPorts {
            tokens: &self.tokens,
            cache: &self.cache,
            uses: &self.uses,
        };
        let question = TokenQuestion {
            token,
            asked: &[],
            configured: &[],
        };
        let asking = AskingCluster::in_this_process(cluster(name));
        review_token(ports, &asking, question, now).await
    }

    async fn ask(&self, token: &str, name: &str) -> Option<NotAuthenticated> {
        match self.ask_at(token, name, self.world.now()).await.unwrap() {
            Verdict::Authenticated { .. } => None,
            Verdict::NotAuthenticated(why) => Some(why),
        }
    }

    fn asked(&self) -> usize {
        self.store.asked.load(Ordering::SeqCst)
    }
}

fn cluster(name: &str) -> ClusterName {
    ClusterName::parse(name).unwrap()
}

#[tokio::test]
async fn a_token_that_was_asked_for_is_remembered_and_junk_costs_no_query() {
    // T6
    let reviews = Reviews::new().await;
    let secret = reviews.secret.reveal();
    let altered = format!("{}0", &secret[..secret.len() - 1]);
    for junk in [
        "",
        "junk",
        &altered,
        &secret[1..],
        "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V",
    ] {
        // One in 62 alterations is none.
        if junk != secret {
            let refused = reviews.ask(junk, "eu").await;
            assert_eq!(refused, Some(NotAuthenticated::Unknown));
        }
    }
    assert_eq!(reviews.asked(), 0);
    for _ in 0..3 {
        assert_eq!(reviews.ask(secret, "eu").await, None);
        let elsewhere = reviews.ask(secret, "us").await;
        assert_eq!(elsewhere, Some(NotAuthenticated::OtherCluster));
    }
    assert_eq!(reviews.asked(), 1);
    // An unknown one is asked for each time: anybody can invent them.
    let unknown = PlainAccessToken::generate(&mut rng());
    for _ in 0..2 {
        let refused = reviews.ask(unknown.reveal(), "eu").await;
        assert_eq!(refused, Some(NotAuthenticated::Unknown));
    }
    assert_eq!(reviews.asked(), 3);
}

#[tokio::test]
async fn what_is_remembered_ends_with_what_it_stands_on() {
    // K13, T6
    let reviews = Reviews::new().await;
    let secret = reviews.secret.reveal();
    assert_eq!(reviews.ask(secret, "eu").await, None);
    let token = &reviews.token;
    for (count, change) in [
        KeyChange::AccessToken(token.id),
        KeyChange::Account(token.account_id),
        KeyChange::Maker(token.created_by),
        KeyChange::Everything,
    ]
    .into_iter()
    .enumerate()
    {
        reviews.cache.note(change);
        for _ in 0..2 {
            assert_eq!(reviews.ask(secret, "eu").await, None);
        }
        assert_eq!(reviews.asked(), 2 + count, "{change:?}");
    }
    let now = reviews.world.now();
    let expired = reviews.ask_at(secret, "eu", now + Duration::HOUR).await;
    let expired_as = Verdict::NotAuthenticated(NotAuthenticated::Expired);
    assert_eq!(
        expired.unwrap(),
        expired_as,
        "by the clock, remembered or not"
    );

    let (account, handle) = (token.account_id, &token.handle);
    let (of, act) = (TokensOf::All, act(now));
    let deleted = reviews.tokens.delete(account, of, handle, &act).await;
    assert!(deleted.unwrap());
    let refused = reviews.ask(secret, "eu").await;
    assert_eq!(refused, Some(NotAuthenticated::Unknown), "the next review");
}

#[tokio::test]
async fn while_the_store_is_away_nothing_is_told_of_what_is_not_remembered() {
    // K13, T6
    let reviews = Reviews::new().await;
    let secret = reviews.secret.reveal();
    assert_eq!(reviews.ask(secret, "eu").await, None);
    reviews.store.away.store(true, Ordering::SeqCst);
    assert_eq!(reviews.ask(secret, "eu").await, None, "it is remembered");
    let now = reviews.world.now();
    let unknown = PlainAccessToken::generate(&mut rng());
    for token in [unknown.reveal(), secret] {
        let asked = reviews.ask_at(token, "eu", now).await;
        assert_eq!(asked.is_err(), token != secret, "{asked:?}");
    }
    reviews.cache.retire();
    assert!(reviews.ask_at(secret, "eu", now).await.is_err());
    let junk = reviews.ask("junk", "eu").await;
    assert_eq!(junk, Some(NotAuthenticated::Unknown));
}

#[tokio::test]
async fn a_use_is_noted_now_and_then_and_a_refusal_is_none() {
    // K14, T5
    let reviews = Reviews::new().await;
    let (secret, now) = (reviews.secret.reveal(), reviews.world.now());
    let used = async || {
        reviews.uses.flush(&*reviews.store, now).await.unwrap();
        let (account, handle) = (reviews.token.account_id, &reviews.token.handle);
        let found = reviews.store.find(account, TokensOf::All, handle).await;
        found.unwrap().unwrap().last_used_at
    };
    reviews.ask(secret, "us").await.unwrap();
    assert_eq!(used().await, None);
    assert_eq!(reviews.ask(secret, "eu").await, None);
    assert_eq!(used().await, Some(now));
}
