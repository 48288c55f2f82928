//! Many keys at once (contract R7).

use std::collections::BTreeSet;

use remotegpu_accounts::{AuditAction, AuditEvent, AuditFilter, AuditLog, AuditSubject, Party};
use remotegpu_keys::{
    ApiKey, ApiKeyRepository, InstallationKeys, KeyChange, KeyChangeFeed, KeyKind, KeyNews,
    OwnedKey,
};
use remotegpu_namespaces::{ClusterName, IdentityCensus};
use remotegpu_primitives::{AccountId, Act, Actor, ApiKeyId, PageRequest, StoreError};
use remotegpu_scopes::Scopes;

use crate::world::{NOW, World, act, new_key, rng, seconds};

crate::on_both_databases!(
    active_keys_of_all_accounts_are_listed_in_their_order,
    keys_are_found_by_their_ids_and_judged,
    many_keys_are_revoked_with_what_stands_on_them,
    an_event_that_cannot_be_written_undoes_the_whole_batch,
    many_who_end_the_same_at_once_end_it_once,
    every_one_of_many_revocations_is_told,
);

fn owned(key: &ApiKey) -> OwnedKey {
    OwnedKey {
        id: key.id,
        account_id: key.account_id,
    }
}

fn with_acts(keys: &[OwnedKey]) -> Vec<(OwnedKey, Act)> {
    keys.iter().map(|key| (*key, act(seconds(1)))).collect()
}

async fn is_revoked(world: &World, key: OwnedKey) -> bool {
    let found = ApiKeyRepository::find(&world.database, key.account_id, key.id).await;
    found.unwrap().unwrap().revoked_at.is_some()
}

/// The account's revocations.
async fn events(world: &World, account: AccountId) -> Vec<AuditEvent> {
    let filter = AuditFilter {
        action: Some(AuditAction::ApiKeyRevoked),
        since: None,
        ..AuditFilter::default()
    };
    let page = PageRequest::new(200, None).unwrap();
    let listed = AuditLog::list(&world.database, account, filter, page).await;
    listed.unwrap().items
}

/// Of two accounts: three keys that live, one that was revoked, one that expires at
/// second 30.
async fn keys(world: &World) -> (Vec<OwnedKey>, OwnedKey, OwnedKey) {
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let mut living = Vec::new();
    for person in [ada, eve, ada] {
        living.push(owned(&world.key(person, Scopes::All).await.0));
    }
    let (revoked, _) = world.key(eve, Scopes::All).await;
    let done = world
        .database
        .revoke(eve.account, revoked.id, &act(NOW))
        .await;
    done.unwrap();
    let mut new = new_key(eve, Scopes::All);
    new.expires_at = Some(seconds(30));
    let expiring = world.insert_key(&new).await;
    (living, owned(&revoked), owned(&expiring))
}

async fn active_keys_of_all_accounts_are_listed_in_their_order(world: World) {
    let (mut living, _, expiring) = keys(&world).await;
    living.sort_by_key(|key| key.id);
    let list = async |account, after, limit, now| {
        let listed = world
            .database
            .list_active(KeyKind::ApiKey, account, after, limit, now)
            .await;
        listed.unwrap()
    };
    assert_eq!(list(None, None, 10, seconds(30)).await, living);
    let mut before = living.clone();
    before.push(expiring);
    before.sort_by_key(|key| key.id);
    assert_eq!(list(None, None, 10, seconds(29)).await, before);
    assert_eq!(list(None, None, 2, seconds(30)).await, living[..2]);
    let after = Some(living[1].id);
    assert_eq!(list(None, after, 2, seconds(30)).await, living[2..]);
    let account = living[0].account_id;
    let own = list(Some(account), None, 10, seconds(30)).await;
    let expected: Vec<OwnedKey> = living
        .into_iter()
        .filter(|key| key.account_id == account)
        .collect();
    assert_eq!(own, expected);
}

async fn keys_are_found_by_their_ids_and_judged(world: World) {
    let (living, revoked, expiring) = keys(&world).await;
    let ids = [living[1].id, revoked.id, expiring.id, unknown()];
    let mut found = world
        .database
        .find_owned(KeyKind::ApiKey, &ids, seconds(30))
        .await
        .unwrap();
    found.sort_by_key(|(key, _)| ids.iter().position(|id| *id == key.id));
    assert_eq!(
        found,
        [(living[1], true), (revoked, false), (expiring, false)]
    );
    assert_eq!(
        world
            .database
            .find_owned(KeyKind::ApiKey, &[], NOW)
            .await
            .unwrap(),
        []
    );
}

fn unknown() -> ApiKeyId {
    ApiKeyId::generate(NOW, &mut rng())
}

async fn many_keys_are_revoked_with_what_stands_on_them(world: World) {
    // R7, X9, R5
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let (here, there) = (
        world.namespace(ada.account, "one").await,
        world.namespace(eve.account, "one").await,
    );
    let (of_ada, new) = world.key(ada, Scopes::All).await;
    let ending = world.identity(&of_ada, new.secret.id, &here).await;
    let (of_eve, new) = world.key(eve, Scopes::All).await;
    let also_ending = world.identity(&of_eve, new.secret.id, &there).await;
    let (bystander, new) = world.key(eve, Scopes::All).await;
    let living = world.identity(&bystander, new.secret.id, &there).await;
    let (before, _) = world.key(ada, Scopes::All).await;
    let store: &dyn ApiKeyRepository = &world.database;
    store
        .revoke(ada.account, before.id, &act(NOW))
        .await
        .unwrap();

    let dev = ClusterName::parse("dev").unwrap();
    let count = async |ids: &[ApiKeyId]| {
        let counted = world.database.count_living_of(ids, seconds(1)).await;
        counted.unwrap()
    };
    let ids = [of_ada.id, of_eve.id, before.id, unknown()];
    assert_eq!(count(&ids).await, [(dev.clone(), 2)]);

    let asked = [owned(&of_eve), owned(&before), owned(&of_ada)];
    let acts = with_acts(&asked);
    let mut revoked = world
        .database
        .revoke_each(KeyKind::ApiKey, &acts)
        .await
        .unwrap();
    revoked.sort_by_key(|key| key.id);
    let mut expected = [owned(&of_ada), owned(&of_eve)];
    expected.sort_by_key(|key| key.id);
    assert_eq!(revoked, expected);
    let found = store.find(ada.account, of_ada.id).await.unwrap().unwrap();
    assert_eq!(found.revoked_at, Some(seconds(1)));
    assert!(world.has_ended(ending, seconds(1)).await);
    assert!(world.has_ended(also_ending, seconds(1)).await);
    assert!(!world.has_ended(living, seconds(1)).await);
    assert_eq!(count(&ids).await, []);
    assert!(!is_revoked(&world, owned(&bystander)).await);

    // One event for each, by the operator; none for what had ended before.
    for (account, key, count) in [(ada.account, &of_ada, 2), (eve.account, &of_eve, 1)] {
        let events = events(&world, account).await;
        assert_eq!(events.len(), count);
        let event = &events[0];
        assert_eq!(event.subject, AuditSubject::ApiKey(key.id));
        assert_eq!(
            (event.actor.clone(), event.occurred_at),
            (Party::Known(Actor::Operator), seconds(1))
        );
    }
    assert_eq!(
        world
            .database
            .revoke_each(KeyKind::ApiKey, &acts)
            .await
            .unwrap(),
        [],
        "again"
    );
    assert_eq!(
        world
            .database
            .revoke_each(KeyKind::ApiKey, &[])
            .await
            .unwrap(),
        []
    );
}

async fn an_event_that_cannot_be_written_undoes_the_whole_batch(world: World) {
    // R5
    let (living, ..) = keys(&world).await;
    let same = act(seconds(1));
    let acts: Vec<(OwnedKey, Act)> = living.iter().map(|key| (*key, same.clone())).collect();
    let failed = world.database.revoke_each(KeyKind::ApiKey, &acts).await;
    assert!(matches!(failed, Err(StoreError::Conflict(_))), "{failed:?}");
    for key in &living {
        assert!(!is_revoked(&world, *key).await);
    }
}

async fn many_who_end_the_same_at_once_end_it_once(world: World) {
    // R7: two operators, one key at a time beside them, and keys of many accounts.
    let mut all = Vec::new();
    for number in 0..12 {
        let person = world.person(&format!("p{number}")).await;
        for _ in 0..3 {
            all.push(owned(&world.key(person, Scopes::All).await.0));
        }
    }
    let turned: Vec<OwnedKey> = all.iter().rev().copied().collect();
    let (one, two) = (world.database.clone(), world.instance().await);
    let (forth, back) = (with_acts(&all), with_acts(&turned));
    let single = async {
        let mut count = 0;
        for key in &turned {
            let by = act(seconds(1));
            let done = ApiKeyRepository::revoke(&world.database, key.account_id, key.id, &by).await;
            count += usize::from(matches!(
                done.unwrap(),
                remotegpu_keys::RevokeApiKey::Revoked(_)
            ));
        }
        count
    };
    let (forth, back, single) = tokio::join!(
        one.revoke_each(KeyKind::ApiKey, &forth),
        two.revoke_each(KeyKind::ApiKey, &back),
        single
    );
    assert_eq!(
        forth.unwrap().len() + back.unwrap().len() + single,
        all.len()
    );
    let accounts: BTreeSet<AccountId> = all.iter().map(|key| key.account_id).collect();
    for account in accounts {
        assert_eq!(events(&world, account).await.len(), 3);
    }
}

async fn every_one_of_many_revocations_is_told(world: World) {
    // K13
    let (living, ..) = keys(&world).await;
    let mut told = world.database.subscribe().await.unwrap();
    world
        .database
        .revoke_each(KeyKind::ApiKey, &with_acts(&living))
        .await
        .unwrap();
    let mut left: BTreeSet<ApiKeyId> = living.iter().map(|key| key.id).collect();
    while !left.is_empty() {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), told.next());
        if let KeyNews::Changed(KeyChange::Key(id)) = next.await.unwrap().unwrap() {
            left.remove(&id);
        }
    }
}
