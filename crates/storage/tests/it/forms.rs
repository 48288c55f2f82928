//! Forms, and what pages ask for that the API does not (contract H3).

use remotegpu_accounts::{
    AuditAction, AuditFilter, AuditLog, FormKey, FormRepository, SessionRepository,
};
use remotegpu_keys::{ApiKeyRepository, KeyName};
use remotegpu_namespaces::{NamespaceName, NamespaceRepository, RenameNamespace};
use remotegpu_primitives::{Act, FormHash, Origin, PageRequest, StoreError};
use remotegpu_scopes::Scopes;
use time::OffsetDateTime;

use crate::{
    on_both_databases,
    world::{NOW, World, act, new_key, rng, seconds},
};

on_both_databases!(
    all_instances_share_one_key,
    a_form_does_one_thing,
    of_a_race_one_wins,
    an_answer_is_kept_for_a_while,
    sessions_know_where_they_were_opened,
    keys_are_found_by_name_and_prefix,
    events_are_found_by_time_and_parties,
);

fn form(n: u8) -> FormHash {
    FormHash([n; 32])
}

fn by_form(form: FormHash, at: OffsetDateTime) -> Act {
    let mut act = act(at);
    act.origin.form = Some(form);
    act
}

fn page() -> PageRequest {
    PageRequest::new(50, None).unwrap()
}

async fn all_instances_share_one_key(world: World) {
    let other = world.instance().await;
    let mut random = rng();
    let (one, two) = (
        FormKey::generate(&mut random),
        FormKey::generate(&mut random),
    );
    let first = world.database.form_key(one.clone()).await.unwrap();
    assert!(first == one);
    assert!(other.form_key(two).await.unwrap() == one);
}

async fn a_form_does_one_thing(world: World) {
    // H3
    let ada = world.person("ada").await;
    let namespace = world.namespace(ada.account, "first").await;
    let rename = async |name: &str, act: &Act| {
        let name = NamespaceName::parse(name).unwrap();
        let store: &dyn NamespaceRepository = &world.database;
        store.rename(ada.account, namespace.id, &name, act).await
    };
    let forms: &dyn FormRepository = &world.database;
    assert!(forms.find_claimed(form(1), NOW).await.unwrap().is_none());
    let done = rename("second", &by_form(form(1), NOW)).await.unwrap();
    assert!(matches!(done, RenameNamespace::Renamed(_)), "{done:?}");
    let claimed = forms.find_claimed(form(1), NOW).await.unwrap().unwrap();
    assert_eq!((claimed.at, claimed.answer), (NOW, None));

    let again = rename("third", &by_form(form(1), seconds(9))).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    let found = NamespaceRepository::find(&world.database, ada.account, namespace.id).await;
    assert_eq!(found.unwrap().unwrap().name.as_str(), "second");
    let renamed = AuditFilter {
        action: Some(AuditAction::NamespaceRenamed),
        ..AuditFilter::default()
    };
    let events = AuditLog::list(&world.database, ada.account, renamed, page()).await;
    assert_eq!(events.unwrap().items.len(), 1, "nothing of it is noted");
    assert!(rename("third", &by_form(form(2), NOW)).await.is_ok());
}

async fn of_a_race_one_wins(world: World) {
    // H3
    let ada = world.person("ada").await;
    let other = world.instance().await;
    let insert = async |database: &remotegpu_storage::Database| {
        let key = new_key(ada, Scopes::All);
        ApiKeyRepository::insert(database, &key, 20, &by_form(form(1), NOW)).await
    };
    let (one, two) = tokio::join!(insert(&world.database), insert(&other));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let keys = ApiKeyRepository::list(&world.database, ada.account, page()).await;
    assert_eq!(keys.unwrap().items.len(), 1);
}

async fn an_answer_is_kept_for_a_while(world: World) {
    // H3
    let ada = world.person("ada").await;
    let forms: &dyn FormRepository = &world.database;
    let key = new_key(ada, Scopes::All);
    let made = ApiKeyRepository::insert(&world.database, &key, 20, &by_form(form(1), NOW)).await;
    made.unwrap();
    let answer = async |at| {
        let found = forms.find_claimed(form(1), at).await.unwrap();
        found.and_then(|found| found.answer)
    };
    forms
        .keep_answer(form(1), b"sealed", seconds(600))
        .await
        .unwrap();
    assert_eq!(answer(seconds(599)).await.as_deref(), Some(&b"sealed"[..]));
    assert_eq!(answer(seconds(600)).await, None);
    forms.forget_answer(form(1)).await.unwrap();
    assert_eq!(
        answer(seconds(1)).await,
        Some(Vec::new()),
        "forgotten, not awaited"
    );

    forms
        .keep_answer(form(1), b"sealed", seconds(600))
        .await
        .unwrap();
    assert_eq!(forms.delete_forms(NOW, 10, seconds(600)).await.unwrap(), 0);
    assert_eq!(answer(seconds(1)).await, None, "its time was over");
    assert_eq!(
        forms
            .delete_forms(seconds(1), 10, seconds(600))
            .await
            .unwrap(),
        1
    );
    assert!(forms.find_claimed(form(1), NOW).await.unwrap().is_none());
}

async fn sessions_know_where_they_were_opened(world: World) {
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let store: &dyn SessionRepository = &world.database;
    let first = world.session(ada).await;
    let of_eve = world.session(eve).await;
    let mut second = crate::world::new_session(ada.user, ada.account);
    second.session.created_at = seconds(5);
    let mut from = act(seconds(5));
    from.origin = Origin {
        ip: Some("2001:db8::7".parse().unwrap()),
        user_agent: Some("a browser".to_owned()),
        ..Origin::default()
    };
    store.insert(&second, &from).await.unwrap();
    let all = store.list_of(ada.user).await.unwrap();
    assert_eq!(all.len(), 2);
    let opened = all
        .iter()
        .find(|opened| opened.session.id == second.session.id);
    let opened = opened.unwrap();
    assert_eq!(opened.ip, from.origin.ip);
    assert_eq!(opened.user_agent.as_deref(), Some("a browser"));

    let foreign = store.end_of(ada.user, of_eve.session.id, &act(NOW)).await;
    assert!(!foreign.unwrap(), "another person's");
    assert!(
        store
            .end_of(ada.user, second.session.id, &act(NOW))
            .await
            .unwrap()
    );
    assert_eq!(store.list_of(ada.user).await.unwrap().len(), 1);
    world.session(ada).await;
    let ended = store
        .end_others_of(ada.user, first.session.id, &act(NOW))
        .await;
    assert_eq!(ended.unwrap(), 1);
    let left = store.list_of(ada.user).await.unwrap();
    assert_eq!(left[0].session.id, first.session.id);
    assert_eq!(store.list_of(eve.user).await.unwrap().len(), 1);
}

async fn keys_are_found_by_name_and_prefix(world: World) {
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let mut made = Vec::new();
    for (person, name) in [
        (ada, "Laptop 50%"),
        (ada, "ci_runner"),
        (ada, "cixrunner"),
        (ada, "Ärger"),
        (eve, "laptop"),
    ] {
        let mut key = new_key(person, Scopes::All);
        key.name = KeyName::parse(name).unwrap();
        made.push(world.insert_key(&key).await);
    }
    let found = async |text: &str| -> Vec<String> {
        let found = ApiKeyRepository::search(&world.database, ada.account, text, page()).await;
        let names = found.unwrap().items.into_iter();
        names.map(|key| key.name.as_str().to_owned()).collect()
    };
    assert_eq!(found("lapTOP").await, ["Laptop 50%"]);
    assert_eq!(found("Ärger").await, ["Ärger"]);
    assert_eq!(found("50%").await, ["Laptop 50%"]);
    assert_eq!(found("i_r").await, ["ci_runner"], "no pattern");
    assert_eq!(found("%").await, ["Laptop 50%"], "no pattern");
    assert_eq!(found("\\").await, [""; 0]);
    let prefix = made[1].prefix.as_str();
    assert_eq!(found(prefix).await, ["ci_runner"]);
}

async fn events_are_found_by_time_and_parties(world: World) {
    let ada = world.person("ada").await;
    let namespace = world.namespace(ada.account, "first").await;
    let filter = AuditFilter {
        subject: Some(namespace.id.as_uuid()),
        ..AuditFilter::default()
    };
    let count = async |filter: AuditFilter| {
        let events = AuditLog::list(&world.database, ada.account, filter, page()).await;
        events.unwrap().items.len()
    };
    assert_eq!(count(filter).await, 1);
    assert_eq!(
        count(AuditFilter {
            until: Some(NOW),
            ..filter
        })
        .await,
        0
    );
    assert_eq!(
        count(AuditFilter {
            until: Some(seconds(1)),
            ..filter
        })
        .await,
        1
    );
    let other = Some(namespace.account_id.as_uuid());
    assert_eq!(
        count(AuditFilter {
            actor: other,
            ..filter
        })
        .await,
        0
    );
}
