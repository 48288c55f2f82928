//! Words that a newer version wrote: shown as they are, they open nothing, nobody acts
//! on them, and what bears them can be ended (contract R6).

use remotegpu_accounts::{
    AuditAction, AuditEvent, AuditFilter, AuditLog, AuditSubject, Role, SessionRepository,
    UserRepository,
};
use remotegpu_keys::{ApiKeyChange, ApiKeyRepository, KeyName, RevokeApiKey, UpdateApiKey};
use remotegpu_namespaces::{
    BacklogSource, EnsureIdentity, IdentityRepository, IdentityStanding, NamespaceName,
    NamespaceRepository, NamespaceStatus, RenameNamespace,
};
use remotegpu_primitives::{Actor, PageRequest, Word};
use remotegpu_scopes::Scopes;
use uuid::Uuid;

use crate::{
    on_both_databases,
    world::{Guard, NOW, World, act, dev, seconds, wanted},
};

on_both_databases!(
    an_event_of_a_newer_version_is_shown_as_it_is,
    a_key_with_a_newer_scope_opens_nothing_and_can_be_ended,
    a_namespace_with_a_newer_status_is_left_alone_and_can_be_deleted,
    a_member_of_a_newer_role_may_do_nothing,
    an_identity_that_a_newer_version_justified_is_not_ended_by_the_sweep,
    a_row_that_cannot_be_read_is_left_out_of_its_list,
    a_page_of_rows_that_cannot_be_read_does_not_end_its_list,
);

const NEWER_SCOPES: &str = r#"{"volumes":{"read":true}}"#;

impl World {
    /// An identifier as SQL has it.
    fn quoted(&self, id: Uuid) -> String {
        match self.guard {
            Guard::Sqlite(_) => format!("x'{}'", id.simple()),
            Guard::Postgres(_) => format!("'{id}'"),
        }
    }

    fn set(&self, table: &str, change: &str, id: Uuid) {
        let id = self.quoted(id);
        self.execute(&format!("UPDATE {table} SET {change} WHERE id = {id}"));
    }
}

fn page(limit: u16) -> PageRequest {
    PageRequest::new(limit, None).unwrap()
}

async fn an_event_of_a_newer_version_is_shown_as_it_is(world: World) {
    // R6, R5
    let ada = world.person("ada").await;
    let (key, _) = world.key(ada, Scopes::All).await;
    world.execute(
        "UPDATE audit_events SET action = 'volume.attached', actor_type = 'robot', \
         subject_type = 'volume', ip = 'nowhere', details = '{\"name\":\"x\",\"size\":7}' \
         WHERE action = 'api_key.issued'",
    );
    let list = async || {
        let log: &dyn AuditLog = &world.database;
        let page = log
            .list(ada.account, AuditFilter::default(), page(50))
            .await;
        page.unwrap().items
    };
    let events = list().await;
    assert_eq!(events.len(), 2);
    let newer = |event: &&AuditEvent| event.action.known().is_none();
    let event = events.iter().find(newer).unwrap();
    assert_eq!(event.action.as_str(), "volume.attached");
    assert_eq!(event.actor.parts(), ("robot", None));
    assert_eq!(event.subject.parts(), ("volume", key.id.as_uuid()));
    assert_eq!(event.origin.ip, None);
    assert_eq!(event.details.name.as_deref(), Some("x"));
    let created = |event: &&AuditEvent| event.action == AuditAction::AccountCreated;
    let event = events.iter().find(created).unwrap();
    assert_eq!(event.actor, Actor::Operator);
    assert_eq!(event.subject, AuditSubject::Account(ada.account));

    world.execute("UPDATE audit_events SET details = 'no JSON'");
    assert_eq!(list().await.len(), 2);
    let role = "UPDATE audit_events SET details = '{\"role\":\"owner\"}'";
    world.execute(role);
    assert_eq!(
        list().await[0].details.role,
        Some(Word::Unknown("owner".to_owned()))
    );
}

async fn a_key_with_a_newer_scope_opens_nothing_and_can_be_ended(world: World) {
    // R6, K10
    let ada = world.person("ada").await;
    let home = world.namespace(ada.account, "home").await;
    let (older, _) = world.key(ada, Scopes::Inference).await;
    let (key, new) = world.key(ada, Scopes::All).await;
    let identity = world.identity(&key, new.secret.id, &home).await;
    world.set(
        "api_keys",
        &format!("scopes = '{NEWER_SCOPES}'"),
        key.id.as_uuid(),
    );

    let keys: &dyn ApiKeyRepository = &world.database;
    let listed = keys.list(ada.account, page(50)).await.unwrap().items;
    let of = |id| &listed.iter().find(|key| key.id == id).unwrap().scopes;
    assert_eq!(*of(key.id), Scopes::Unknown(NEWER_SCOPES.to_owned()));
    assert_eq!(*of(older.id), Scopes::Inference);
    let presented = keys.find_by_hash(&new.secret.hash).await.unwrap().unwrap();
    assert!(presented.check(NOW).is_ok());
    let scopes = &presented.key.scopes;
    assert!(!scopes.allow_inference() && !scopes.allow_kubernetes_exec(home.id));
    let refused = wanted(
        &key,
        new.secret.id,
        &world.namespace(ada.account, "other").await,
    );
    let made = world.database.ensure(&refused, NOW).await.unwrap();
    assert_eq!(made, EnsureIdentity::Refused);

    // Another name leaves what is not understood as it is.
    let change = ApiKeyChange {
        name: Some(KeyName::parse("renamed").unwrap()),
        ..ApiKeyChange::default()
    };
    let updated = keys.update(ada.account, key.id, &change, &act(NOW)).await;
    let UpdateApiKey::Updated(renamed) = updated.unwrap() else {
        panic!()
    };
    assert_eq!(renamed.scopes.to_string(), NEWER_SCOPES);

    let revoked = keys.revoke(ada.account, key.id, &act(NOW)).await.unwrap();
    assert!(matches!(revoked, RevokeApiKey::Revoked(_)));
    assert!(world.has_ended(identity, NOW).await);
}

async fn a_namespace_with_a_newer_status_is_left_alone_and_can_be_deleted(world: World) {
    // R6
    let ada = world.person("ada").await;
    let newer = world.new_namespace(ada.account, "newer").await;
    world.set("namespaces", "status = 'paused'", newer.id.as_uuid());
    let namespaces: &dyn NamespaceRepository = &world.database;
    let listed = namespaces.list(ada.account, page(50)).await.unwrap().items;
    assert_eq!(listed[0].status, Word::Unknown("paused".to_owned()));
    assert_eq!(listed[0].status.to_string(), "paused");
    let in_cluster = namespaces.list_in(&dev(), None, 10).await.unwrap();
    assert_eq!(in_cluster.len(), 1, "no sweep takes it for a stranger's");

    // Its work is due, and is nobody's here.
    assert_eq!(namespaces.due_work(seconds(60)).await.unwrap(), []);
    let (now, until) = (seconds(60), seconds(90));
    let claimed = namespaces.claim(&dev(), None, 10, now, until).await;
    assert_eq!(claimed.unwrap(), []);
    let backlog = world.database.backlog(seconds(60)).await.unwrap();
    assert_eq!(backlog.namespaces, []);
    assert!(!namespaces.mark_active(newer.id, NOW).await.unwrap());
    let name = NamespaceName::parse("other").unwrap();
    let renamed = namespaces
        .rename(ada.account, newer.id, &name, &act(NOW))
        .await;
    assert_eq!(renamed.unwrap(), RenameNamespace::NotReady);
    let (key, new) = world.key(ada, Scopes::All).await;
    let wanted = wanted(&key, new.secret.id, &newer);
    let made = world.database.ensure(&wanted, NOW).await.unwrap();
    assert_eq!(made, EnsureIdentity::Refused);

    let deleting = namespaces
        .mark_deleting(ada.account, newer.id, &act(NOW))
        .await;
    assert_eq!(deleting.unwrap().unwrap().status, NamespaceStatus::Deleting);
    let due = namespaces.due_work(seconds(60)).await.unwrap();
    assert_eq!((due.len(), &due[0].key), (1, &dev()));
}

async fn a_member_of_a_newer_role_may_do_nothing(world: World) {
    // R6, A11, K15
    let ada = world.person("ada").await;
    let session = world.session(ada).await;
    let (_, new) = world.key(ada, Scopes::All).await;
    world.execute("UPDATE memberships SET role = 'owner'");
    let context = SessionRepository::find_by_hash(&world.database, &session.hash).await;
    let context = context.unwrap().unwrap();
    assert_eq!(context.role.as_str(), "owner");
    assert!(!context.allows(Role::Read));
    let memberships = world.database.memberships(ada.user).await.unwrap();
    assert_eq!(memberships[0].role, Word::Unknown("owner".to_owned()));
    let presented = world.presented(new.secret.id).await;
    assert!(!presented.maker_may && presented.check(NOW).is_err());
}

async fn an_identity_that_a_newer_version_justified_is_not_ended_by_the_sweep(world: World) {
    // R6, X9
    let ada = world.person("ada").await;
    let home = world.namespace(ada.account, "home").await;
    let (key, new) = world.key(ada, Scopes::All).await;
    let identity = world.identity(&key, new.secret.id, &home).await;
    // Each a slice after the last.
    let minutes = std::cell::Cell::new(0);
    let sweep = async || {
        minutes.set(minutes.get() + 1);
        let now = seconds(60 * minutes.get());
        world.database.end_unjustified(now).await.unwrap()
    };
    for (newer, known) in [
        (
            format!("UPDATE api_keys SET scopes = '{NEWER_SCOPES}'"),
            r#"UPDATE api_keys SET scopes = '{"all":true}'"#,
        ),
        (
            "UPDATE memberships SET role = 'owner'".to_owned(),
            "UPDATE memberships SET role = 'admin'",
        ),
        (
            "UPDATE namespaces SET status = 'paused'".to_owned(),
            "UPDATE namespaces SET status = 'active'",
        ),
    ] {
        world.execute(&newer);
        assert_eq!(sweep().await, 0, "{newer}");
        world.execute(known);
    }
    let standing = world.database.standing(identity, NOW).await.unwrap();
    assert!(matches!(
        standing,
        IdentityStanding::Living { ends_at: None, .. }
    ));
    // A key that has ended has, whatever else there is in its row.
    world.execute(&format!(
        "UPDATE api_keys SET scopes = '{NEWER_SCOPES}', revoked_at = created_at"
    ));
    assert_eq!(sweep().await, 1);
}

async fn a_row_that_cannot_be_read_is_left_out_of_its_list(world: World) {
    // R6
    let ada = world.person("ada").await;
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(world.key(ada, Scopes::All).await.0.id);
    }
    // Newest first, as the list has them; within a millisecond chance decides.
    keys.sort();
    keys.reverse();
    // In no calendar.
    let never = match world.guard {
        Guard::Sqlite(_) => "9223372036854775807",
        Guard::Postgres(_) => "'infinity'",
    };
    for broken in [keys[1], keys[2]] {
        world.set(
            "api_keys",
            &format!("created_at = {never}"),
            broken.as_uuid(),
        );
    }
    let list = async |page: PageRequest| {
        let keys: &dyn ApiKeyRepository = &world.database;
        let page = keys.list(ada.account, page).await.unwrap();
        let ids: Vec<_> = page.items.iter().map(|key| key.id).collect();
        (ids, page.next)
    };
    assert_eq!(
        list(page(50)).await,
        (vec![keys[0], keys[3], keys[4]], None)
    );
    let (first, next) = list(page(2)).await;
    assert_eq!(first, [keys[0]]);
    let (second, next) = list(PageRequest::new(2, next).unwrap()).await;
    assert_eq!(second, [keys[3]], "the two before it cannot be read");
    let third = list(PageRequest::new(2, next).unwrap()).await;
    assert_eq!(third, (vec![keys[4]], None));
    let (all, _) = list(page(4)).await;
    assert_eq!(all, [keys[0], keys[3], keys[4]]);

    let space = world.namespace(ada.account, "home").await;
    let namespaces: &dyn NamespaceRepository = &world.database;
    world.set(
        "namespaces",
        &format!("updated_at = {never}"),
        space.id.as_uuid(),
    );
    let listed = namespaces.list(ada.account, page(50)).await.unwrap();
    assert_eq!(listed.items, []);
    world.execute(&format!(
        "UPDATE audit_events SET occurred_at = {never} WHERE action = 'namespace.created'"
    ));
    let log: &dyn AuditLog = &world.database;
    let events = log
        .list(ada.account, AuditFilter::default(), page(50))
        .await;
    assert_eq!(events.unwrap().items.len(), 6);
}

async fn a_page_of_rows_that_cannot_be_read_does_not_end_its_list(world: World) {
    // R6
    let ada = world.person("ada").await;
    let mut keys = Vec::new();
    for _ in 0..7 {
        keys.push(world.key(ada, Scopes::All).await.0.id);
    }
    // Newest first, as the list has them; within a millisecond chance decides.
    keys.sort();
    keys.reverse();
    let never = match world.guard {
        Guard::Sqlite(_) => "9223372036854775807",
        Guard::Postgres(_) => "'infinity'",
    };
    for broken in &keys[..5] {
        world.set(
            "api_keys",
            &format!("created_at = {never}"),
            broken.as_uuid(),
        );
    }
    let store: &dyn ApiKeyRepository = &world.database;
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = PageRequest::new(1, next).unwrap();
        let page = store.list(ada.account, page).await.unwrap();
        found.extend(page.items.iter().map(|key| key.id));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(found, keys[5..]);
}
