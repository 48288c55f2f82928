use remotegpu_keys::{ApiKey, KeyName, KeySecret, PlainApiKey, SecretPrefix};
use remotegpu_primitives::{AccountId, ApiKeyId, KeySecretId, NamespaceId, UserId};
use remotegpu_scopes::{NamespaceAccess, Scopes};
use remotegpu_test_support::rng;
use time::{Duration as Span, OffsetDateTime, macros::datetime};

use super::*;

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00:00.123456 UTC);

fn presented() -> (HashedApiKey, PresentedKey) {
    let secret = PlainApiKey::generate(&mut rng());
    let key = ApiKey {
        id: ApiKeyId::generate(NOW, &mut rng()),
        account_id: AccountId::generate(NOW, &mut rng()),
        name: KeyName::parse("Schlüssel ☂").unwrap(),
        prefix: secret.prefix(),
        scopes: Scopes::All,
        created_at: NOW,
        created_by: UserId::generate(NOW, &mut rng()),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    };
    let secret_id = KeySecretId::generate(NOW, &mut rng());
    let presented = PresentedKey {
        key,
        secret: KeySecret {
            id: secret_id,
            ends_at: None,
        },
        account_suspended: false,
        maker_may: true,
    };
    (secret.hash(), presented)
}

fn get(cache: &KeyCache, hash: &HashedApiKey) -> Option<PresentedKey> {
    cache.recall(hash).map(|recalled| recalled.presented())
}

fn trusted(capacity: usize) -> KeyCache {
    let cache = KeyCache::new(capacity);
    cache.trust(Instant::now());
    cache
}

#[test]
fn what_comes_out_is_what_went_in() {
    let cache = trusted(100);
    let namespaces = (0..3).map(|_| NamespaceId::generate(NOW, &mut rng()));
    let some = Scopes::KubernetesExec(NamespaceAccess::Only(namespaces.collect()));
    for scopes in [
        Scopes::All,
        Scopes::Inference,
        Scopes::Unknown(r#"{"volumes":true}"#.to_owned()),
        Scopes::KubernetesExec(NamespaceAccess::All),
        some,
    ] {
        let (hash, mut key) = presented();
        key.key.scopes = scopes;
        cache.insert(&hash, cache.begin(), &key);
        assert_eq!(get(&cache, &hash), Some(key));
    }
    let (hash, mut key) = presented();
    key.key.expires_at = Some(datetime!(9999-12-31 23:59:59.999999 UTC));
    key.key.revoked_at = Some(NOW);
    key.key.created_at = datetime!(1969-12-31 23:59:59.5 UTC);
    key.key.prefix = SecretPrefix::from_stored(String::new());
    key.secret.ends_at = Some(NOW + Span::DAY);
    (key.account_suspended, key.maker_may) = (true, false);
    cache.insert(&hash, cache.begin(), &key);
    assert_eq!(get(&cache, &hash), Some(key));
    assert_eq!(cache.counts(), KeyCacheCounts { hits: 6, misses: 6 });
}

#[test]
fn a_change_of_key_account_or_maker_makes_it_stale() {
    // K13
    type Pick = fn(&PresentedKey) -> KeyChange;
    let picks: [Pick; 4] = [
        |key| KeyChange::Key(key.key.id),
        |key| KeyChange::Account(key.key.account_id),
        |key| KeyChange::Maker(key.key.created_by),
        |_| KeyChange::Everything,
    ];
    for pick in picks {
        let cache = trusted(100);
        let (hash, key) = presented();
        let (other_hash, other) = presented();
        cache.insert(&hash, cache.begin(), &key);
        cache.insert(&other_hash, cache.begin(), &other);
        cache.note(pick(&key));
        assert_eq!(get(&cache, &hash), None);
        let all = pick(&key) == KeyChange::Everything;
        assert_eq!(get(&cache, &other_hash).is_none(), all);
        // Read again, it is fresh again.
        cache.insert(&hash, cache.begin(), &key);
        assert_eq!(get(&cache, &hash), Some(key));
    }
}

#[test]
fn a_query_that_began_before_a_change_brings_nothing() {
    // K13
    let cache = trusted(100);
    let (hash, key) = presented();
    let begun = cache.begin();
    cache.note(KeyChange::Key(key.key.id));
    cache.insert(&hash, begun, &key);
    assert_eq!(get(&cache, &hash), None);

    // The other order: the change is noted after the answer came in.
    let begun = cache.begin();
    cache.insert(&hash, begun, &key);
    cache.note(KeyChange::Key(key.key.id));
    assert_eq!(get(&cache, &hash), None);
}

#[test]
fn a_change_is_noted_when_nobody_waits_for_its_end() {
    // K13
    let cache = trusted(100);
    let (hash, key) = presented();
    cache.insert(&hash, cache.begin(), &key);
    let later = cache.note_later(KeyChange::Key(key.key.id));
    assert!(get(&cache, &hash).is_some());
    drop(later);
    assert_eq!(get(&cache, &hash), None);
}

#[test]
fn a_cache_that_hears_of_no_changes_knows_nothing() {
    // K13
    let cache = KeyCache::new(100);
    let (hash, key) = presented();
    cache.insert(&hash, cache.begin(), &key);
    cache.trust(Instant::now());
    assert_eq!(get(&cache, &hash), None, "it was filled without trust");

    cache.insert(&hash, cache.begin(), &key);
    assert!(get(&cache, &hash).is_some());
    cache.distrust();
    assert_eq!(get(&cache, &hash), None);

    // A proof that is too old.
    let cache = KeyCache::new(100);
    let Some(long_ago) = cache.started.checked_sub(TRUST) else {
        return;
    };
    cache.trust(long_ago.max(cache.started));
    assert!(cache.is_trusted());
    cache
        .trusted_until
        .store(millis(cache.started.elapsed()), Ordering::SeqCst);
    assert!(!cache.is_trusted());
}

#[test]
fn it_holds_no_more_than_it_may() {
    let cache = trusted(1000);
    let mut last = None;
    for _ in 0..5000 {
        let (hash, key) = presented();
        cache.insert(&hash, cache.begin(), &key);
        last = Some(hash);
    }
    let held = cache.entries.as_ref().map_or(0, ByHash::len);
    assert!((500..=1100).contains(&held), "{held}");
    assert!(last.is_some());

    let none = trusted(0);
    let (hash, key) = presented();
    none.insert(&hash, none.begin(), &key);
    assert_eq!(get(&none, &hash), None);
}

#[test]
fn a_key_in_steady_use_is_noted_now_and_then() {
    // K14
    let cache = trusted(10);
    let (hash, key) = presented();
    cache.insert(&hash, cache.begin(), &key);
    let noted = (0..60)
        .filter(|second| {
            let recalled = cache.recall(&hash).unwrap();
            recalled.use_is_worth_noting(NOW + Span::seconds(*second))
        })
        .collect::<Vec<i64>>();
    assert_eq!(noted, [0, 20, 40]);
}

#[test]
fn a_retired_cache_remembers_nothing_again() {
    // R7
    let cache = trusted(100);
    let (hash, key) = presented();
    let begun = cache.begin();
    cache.insert(&hash, begun, &key);
    assert!(get(&cache, &hash).is_some());
    cache.retire();
    assert!(get(&cache, &hash).is_none() && !cache.is_trusted());
    // Changes are heard of as before, which is no reason to trust it.
    cache.trust(Instant::now());
    let begun = cache.begin();
    cache.insert(&hash, begun, &key);
    assert!(get(&cache, &hash).is_none() && !cache.is_trusted());
}
