//! Many sessions at once (contract R7).

use remotegpu_accounts::{
    AuditAction, AuditFilter, AuditLog, AuditSubject, InstallationSessions, NewSession,
    OwnedSession, SessionRepository,
};
use remotegpu_primitives::{Act, Actor, PageRequest, SessionId};

use crate::world::{NOW, World, act, rng, seconds};

crate::on_both_databases!(
    sessions_of_all_accounts_are_listed_in_their_order,
    many_sessions_are_ended_with_an_event_each,
);

fn owned(session: &NewSession) -> OwnedSession {
    OwnedSession {
        id: session.session.id,
        account_id: session.session.account_id,
    }
}

async fn sessions(world: &World) -> Vec<NewSession> {
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let mut sessions = vec![
        world.session(ada).await,
        world.session(eve).await,
        world.session(ada).await,
    ];
    sessions.sort_by_key(|session| session.session.id);
    sessions
}

async fn sessions_of_all_accounts_are_listed_in_their_order(world: World) {
    let all: Vec<OwnedSession> = sessions(&world).await.iter().map(owned).collect();
    let store: &dyn InstallationSessions = &world.database;
    assert_eq!(store.list(None, None, 10).await.unwrap(), all);
    assert_eq!(store.list(None, None, 2).await.unwrap(), all[..2]);
    let after = Some(all[1].id);
    assert_eq!(store.list(None, after, 2).await.unwrap(), all[2..]);
    let account = all[0].account_id;
    let own = store.list(Some(account), None, 10).await.unwrap();
    assert!(own.iter().all(|session| session.account_id == account));
    let unknown = SessionId::generate(NOW, &mut rng());
    let found = store.find_owned(&[all[2].id, unknown]).await.unwrap();
    assert_eq!(found, all[2..]);
}

async fn many_sessions_are_ended_with_an_event_each(world: World) {
    // R7, R5
    let sessions = sessions(&world).await;
    let ended = &sessions[..2];
    let acts: Vec<(OwnedSession, Act)> = ended
        .iter()
        .map(|session| (owned(session), act(seconds(1))))
        .collect();
    let mut gone = world.database.delete_each(&acts).await.unwrap();
    gone.sort_by_key(|session| session.id);
    let expected: Vec<OwnedSession> = ended.iter().map(owned).collect();
    assert_eq!(gone, expected);
    assert_eq!(
        world.database.delete_each(&acts).await.unwrap(),
        [],
        "again"
    );
    for session in &sessions {
        let found = SessionRepository::find_by_hash(&world.database, &session.hash).await;
        let is_ended = ended.iter().any(|ended| ended.hash == session.hash);
        assert_eq!(found.unwrap().is_none(), is_ended);
    }
    for session in &expected {
        let filter = AuditFilter {
            action: Some(AuditAction::SessionSignedOut),
            since: None,
            ..AuditFilter::default()
        };
        let page = PageRequest::new(200, None).unwrap();
        let listed = AuditLog::list(&world.database, session.account_id, filter, page).await;
        let events = listed.unwrap().items;
        let event = events
            .iter()
            .find(|event| event.subject == AuditSubject::Session(session.id));
        assert_eq!(event.unwrap().actor, Actor::Operator);
    }
}
