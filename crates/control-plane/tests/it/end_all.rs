//! Much is ended at once (contract R7).

use remotegpu_control_plane::{
    Choice, EndAll, EndAllKeysPorts, Ended, EndedKeys, Operator, end_all_keys, end_all_sessions,
};
use remotegpu_keys::ApiKeyRepository;
use remotegpu_primitives::{AccountId, ApiKeyId, SessionId};
use remotegpu_scopes::Scopes;
use remotegpu_test_support::{act, rng};

use crate::world::World;

async fn keys(world: &World, choice: Choice<'_, ApiKeyId>, mode: EndAll) -> (EndedKeys, Vec<u64>) {
    let ports = EndAllKeysPorts {
        keys: &world.store.database,
        identities: &world.store.database,
        clock: &*world.clock,
    };
    let (operator, mut told) = (Operator::at_the_command_line(), Vec::new());
    let tell = &mut |ended: &EndedKeys| told.push(ended.keys.total());
    let ended = end_all_keys(ports, operator, choice, mode, &mut rng(), tell).await;
    (ended.unwrap(), told)
}

fn all<Id>() -> Choice<'static, Id> {
    Choice {
        account: None,
        ids: None,
    }
}

fn of<Id>(ids: &[Id], account: Option<AccountId>) -> Choice<'_, Id> {
    Choice {
        account,
        ids: Some(ids),
    }
}

#[tokio::test]
async fn all_keys_are_counted_and_revoked_in_batches() {
    // R7: 450 keys of two accounts, one of which opens a namespace.
    let world = World::new().await;
    let eve = world.store.person("eve", world.now()).await.unwrap();
    let namespace = world.namespace("team").await;
    let key = async |person| {
        let made = world
            .store
            .key(person, Scopes::All, None, world.now())
            .await;
        made.unwrap()
    };
    let (first, secret) = key(&world.ada).await;
    world.mint(&secret, namespace.id).await.unwrap();
    for _ in 0..299 {
        key(&world.ada).await;
    }
    for _ in 0..150 {
        key(&eve).await;
    }

    let (counted, told) = keys(&world, all(), EndAll::Count).await;
    let accounts = [(world.ada.account.id, 300), (eve.account.id, 150)];
    assert_eq!(counted.keys.accounts, accounts.into());
    let identities: Vec<_> = counted.identities.values().copied().collect();
    assert_eq!(identities, [1]);
    assert_eq!(told, [200, 400, 450]);
    assert!(
        world
            .store
            .presented(&secret)
            .await
            .unwrap()
            .key
            .revoked_at
            .is_none()
    );

    let (ended, _) = keys(&world, all(), EndAll::End).await;
    assert_eq!(ended, counted);
    let found = ApiKeyRepository::find(&world.store.database, first.account_id, first.id).await;
    assert!(found.unwrap().unwrap().revoked_at.is_some());
    // X9: what a running server does then.
    assert_eq!(world.reconcile().await.0, 1);
    let (again, told) = keys(&world, all(), EndAll::End).await;
    assert_eq!((again.keys.total(), told), (0, Vec::new()));
}

#[tokio::test]
async fn keys_are_chosen_by_account_and_by_id() {
    // R7
    let world = World::new().await;
    let eve = world.store.person("eve", world.now()).await.unwrap();
    let mut ids = Vec::new();
    for person in [&world.ada, &world.ada, &eve, &eve] {
        let made = world
            .store
            .key(person, Scopes::All, None, world.now())
            .await;
        ids.push(made.unwrap().0.id);
    }
    let (ada, eve) = (world.ada.account.id, eve.account.id);
    let gone = ids[1];
    let store: &dyn ApiKeyRepository = &world.store.database;
    store.revoke(ada, gone, &act(world.now())).await.unwrap();

    let nobody = ApiKeyId::generate(world.now(), &mut rng());
    let asked = [ids[0], gone, ids[2], nobody, ids[0]];
    let (ended, _) = keys(&world, of(&asked, Some(ada)), EndAll::End).await;
    let expected = Ended {
        accounts: [(ada, 1)].into(),
        unknown: 2,
        ended_before: 1,
    };
    assert_eq!(ended.keys, expected);
    let (ended, _) = keys(&world, of(&[], None), EndAll::End).await;
    assert_eq!(ended.keys, Ended::default());
    let of_eve = Choice {
        account: Some(eve),
        ids: None,
    };
    let (ended, _) = keys(&world, of_eve, EndAll::End).await;
    assert_eq!(ended.keys.accounts, [(eve, 2)].into());
}

#[tokio::test]
async fn sessions_are_counted_and_ended() {
    // R7
    let world = World::new().await;
    let eve = world.store.person("eve", world.now()).await.unwrap();
    let (ada, of_ada) = (world.ada.account.id, world.ada.session.id);
    let end = async |choice, mode| {
        let tell: &mut dyn FnMut(&Ended) = &mut |_| {};
        let (database, clock) = (&world.store.database, &*world.clock);
        let operator = Operator::at_the_command_line();
        end_all_sessions(database, operator, choice, mode, &mut rng(), clock, tell)
            .await
            .unwrap()
    };
    let both = [(ada, 1), (eve.account.id, 1)];
    assert_eq!(end(all(), EndAll::Count).await.accounts, both.into());
    let nobody = SessionId::generate(world.now(), &mut rng());
    let asked = [of_ada, nobody, eve.session.id];
    let ended = end(of(&asked, Some(ada)), EndAll::End).await;
    assert_eq!((ended.accounts, ended.unknown), ([(ada, 1)].into(), 2));
    let ended = end(all(), EndAll::End).await;
    assert_eq!(ended.accounts, [(eve.account.id, 1)].into());
    assert_eq!(end(all(), EndAll::End).await.total(), 0);
}
