use remotegpu_accounts::{Account, AccountLimits, AccountRepository, LimitChange, LimitChanges};
use remotegpu_primitives::{AccountId, PageRequest, StoreError};
use time::Duration;

use crate::{
    on_both_databases,
    world::{NOW, World, act, new_account, rng, seconds},
};

on_both_databases!(
    account_comes_back_as_it_was,
    lists_go_from_new_to_old_in_pages,
    suspension_is_noted_once_and_lifted,
    only_the_limits_that_are_given_change,
);

async fn account_comes_back_as_it_was(world: World) {
    let store: &dyn AccountRepository = &world.database;
    let account = Account {
        limits: AccountLimits {
            keys: Some(u32::MAX),
            namespaces: Some(0),
        },
        suspended_at: Some(seconds(1)),
        ..new_account("Ada's")
    };
    store.insert(&account, &act(NOW)).await.unwrap();
    assert_eq!(store.find(account.id).await.unwrap(), Some(account.clone()));
    let nobody = AccountId::generate(NOW, &mut rng());
    assert_eq!(store.find(nobody).await.unwrap(), None);
    let again = store.insert(&account, &act(NOW)).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict(_)), "{again:?}");
}

async fn lists_go_from_new_to_old_in_pages(world: World) {
    // C4
    let store: &dyn AccountRepository = &world.database;
    let mut ids = Vec::new();
    for minute in 0..5 {
        let mut account = new_account("many");
        account.id = AccountId::generate(NOW + Duration::minutes(minute), &mut rng());
        store.insert(&account, &act(NOW)).await.unwrap();
        ids.insert(0, account.id);
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let request = PageRequest::new(2, after).unwrap();
        let page = store.list(request).await.unwrap();
        seen.extend(page.items.iter().map(|account| account.id));
        after = page.next;
        if after.is_none() {
            break;
        }
        assert_eq!(page.items.len(), 2);
    }
    assert_eq!(seen, ids);
}

async fn suspension_is_noted_once_and_lifted(world: World) {
    // A13
    let store: &dyn AccountRepository = &world.database;
    let account = new_account("late");
    store.insert(&account, &act(NOW)).await.unwrap();
    let first = store.suspend(account.id, &act(seconds(1))).await.unwrap();
    assert_eq!(first.unwrap().suspended_at, Some(seconds(1)));
    let second = store.suspend(account.id, &act(seconds(2))).await.unwrap();
    assert_eq!(second.unwrap().suspended_at, Some(seconds(1)));
    let resumed = store.resume(account.id, &act(NOW)).await.unwrap();
    assert_eq!(resumed, Some(account));
    let nobody = AccountId::generate(NOW, &mut rng());
    assert_eq!(store.suspend(nobody, &act(NOW)).await.unwrap(), None);
    assert_eq!(store.resume(nobody, &act(NOW)).await.unwrap(), None);
}

async fn only_the_limits_that_are_given_change(world: World) {
    // A13
    let store: &dyn AccountRepository = &world.database;
    let account = new_account("big");
    store.insert(&account, &act(NOW)).await.unwrap();
    let (keep, default, own) = (LimitChange::Keep, LimitChange::Default, LimitChange::Own);
    for (keys, namespaces, expected) in [
        (own(3), keep, (Some(3), None)),
        (keep, own(0), (Some(3), Some(0))),
        (keep, keep, (Some(3), Some(0))),
        (default, keep, (None, Some(0))),
        (own(4), default, (Some(4), None)),
    ] {
        let changes = LimitChanges { keys, namespaces };
        let set = store.set_limits(account.id, changes, &act(NOW)).await;
        let limits = set.unwrap().unwrap().limits;
        assert_eq!((limits.keys, limits.namespaces), expected, "{changes:?}");
    }
    let nobody = AccountId::generate(NOW, &mut rng());
    for keys in [own(3), keep] {
        let changes = LimitChanges {
            keys,
            ..LimitChanges::default()
        };
        let set = store.set_limits(nobody, changes, &act(NOW)).await;
        assert_eq!(set.unwrap(), None);
    }
}
