//! Tokens that stand in kubeconfigs (contract T9).

use std::collections::BTreeSet;

use remotegpu_accounts::{
    AuditAction, AuditFilter, AuditLog, HashedPassword, PasswordChange, UserRepository,
};
use remotegpu_keys::{ApiKeyRepository, InsertApiKey, InstallationKeys, KeyKind, RevokeApiKey};
use remotegpu_namespaces::{
    ClusterAccess, CredentialIdentity, EnsureIdentity, IdentityRepository, IdentitySubject,
    InsertKubeconfigToken, IssuedToken, KubeconfigToken, KubeconfigTokenRepository, Namespace,
    NamespaceRepository, NewKubeconfigToken, TokensOf,
};
use remotegpu_primitives::{
    ApiKeyId, IdentityId, KeySecretId, KubeconfigTokenId, PageRequest, SessionId,
};
use remotegpu_scopes::Scopes;

use crate::{
    on_both_databases,
    world::{NOW, Person, World, act, new_key, rng, seconds},
};

on_both_databases!(
    a_token_is_no_key_to_whoever_asks_for_keys,
    a_token_lives_as_long_as_its_identity,
    of_two_who_make_the_last_one_one_does,
    a_maker_without_role_or_session_makes_none,
    a_readers_token_is_bound_to_the_viewers_role,
    a_password_takes_the_tokens_of_its_user_along,
    rows_of_tokens_go_soon_after_their_identities,
);

const HOUR: i64 = 3600;

fn new(at: &Namespace, maker: Person) -> NewKubeconfigToken {
    let bits = *uuid::Uuid::new_v4().as_bytes();
    NewKubeconfigToken {
        id: KubeconfigTokenId::generate(NOW, &mut rng()),
        secret_id: KeySecretId::generate(NOW, &mut rng()),
        nobodys_hash: std::array::from_fn(|at| bits[at % 16]),
        account_id: at.account_id,
        namespace_id: at.id,
        created_by: maker.user,
        session_id: None,
        created_at: NOW,
        expires_at: seconds(HOUR),
    }
}

fn tokens(world: &World) -> &dyn KubeconfigTokenRepository {
    &world.database
}

fn key_id(token: &NewKubeconfigToken) -> ApiKeyId {
    ApiKeyId::from_uuid(token.id.as_uuid())
}

/// The identity that the token's secret stands on.
async fn identity(world: &World, token: &NewKubeconfigToken, at: &Namespace) -> EnsureIdentity {
    let wanted = CredentialIdentity {
        id: IdentityId::generate(NOW, &mut rng()),
        subject: IdentitySubject::KeySecret {
            key_id: key_id(token),
            secret_id: token.secret_id,
        },
        account_id: at.account_id,
        namespace_id: at.id,
        kubernetes_namespace: at.kubernetes_namespace.clone(),
        cluster: at.cluster.clone(),
        access: ClusterAccess::Tenant,
        bound: false,
        ends_at: None,
    };
    world.database.ensure(&wanted, NOW).await.unwrap()
}

fn ready(ensured: EnsureIdentity) -> CredentialIdentity {
    match ensured {
        EnsureIdentity::Ready(identity) => identity,
        other => panic!("{other:?}"),
    }
}

/// A token that is handed out.
async fn issued(world: &World, at: &Namespace, maker: Person) -> KubeconfigToken {
    let new = new(at, maker);
    let inserted = tokens(world).insert(&new, 10).await.unwrap();
    assert_eq!(inserted, InsertKubeconfigToken::Inserted);
    ready(identity(world, &new, at).await);
    let told = IssuedToken {
        identity: "key-1".to_owned(),
        token_id: Some("jti".to_owned()),
    };
    let act = act(NOW);
    let marked = tokens(world).mark_issued(at.account_id, new.id, &told, &act);
    marked.await.unwrap().unwrap()
}

async fn listed(world: &World, at: &Namespace, of: TokensOf, now: i64) -> Vec<KubeconfigTokenId> {
    let page = PageRequest::new(200, None).unwrap();
    let listed = tokens(world)
        .list(at.account_id, of, page, seconds(now))
        .await;
    listed.unwrap().items.iter().map(|token| token.id).collect()
}

async fn a_token_is_no_key_to_whoever_asks_for_keys(world: World) {
    let ada = world.person("ada").await;
    let at = world.namespace(ada.account, "team").await;
    let token = issued(&world, &at, ada).await;
    let keys: &dyn ApiKeyRepository = &world.database;
    let id = ApiKeyId::from_uuid(token.id.as_uuid());
    let page = || PageRequest::new(200, None).unwrap();
    assert_eq!(keys.find(ada.account, id).await.unwrap(), None);
    assert!(
        keys.list(ada.account, page())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let found = keys.search(ada.account, "kube", page()).await.unwrap();
    assert!(found.items.is_empty());
    let revoked = keys.revoke(ada.account, id, &act(NOW)).await.unwrap();
    assert_eq!(revoked, RevokeApiKey::NotFound);
    // It is none of the keys that an account may have.
    let one = new_key(ada, Scopes::All);
    let inserted = keys.insert(&one, 1, &act(NOW)).await.unwrap();
    assert!(
        matches!(inserted, InsertApiKey::Inserted(_)),
        "{inserted:?}"
    );
    // And the operator ends what they name.
    let all: &dyn InstallationKeys = &world.database;
    for (kind, wanted) in [(KeyKind::ApiKey, one.id), (KeyKind::KubeconfigToken, id)] {
        let living = all.list_active(kind, None, None, 10, NOW).await.unwrap();
        let living: Vec<ApiKeyId> = living.iter().map(|key| key.id).collect();
        assert_eq!(living, [wanted], "{kind:?}");
        let other = if wanted == id { one.id } else { id };
        let named = all.find_owned(kind, &[other], NOW).await.unwrap();
        assert!(named.is_empty(), "{kind:?}: {named:?}");
    }
    let living = all
        .find_owned(KeyKind::ApiKey, &[one.id], NOW)
        .await
        .unwrap();
    let mistaken = [(living[0].0, act(NOW))];
    let ended = all.revoke_each(KeyKind::KubeconfigToken, &mistaken).await;
    assert!(ended.unwrap().is_empty());
    assert_eq!(listed(&world, &at, TokensOf::All, 1).await, [token.id]);
}

async fn a_token_lives_as_long_as_its_identity(world: World) {
    let ada = world.person("ada").await;
    let at = world.namespace(ada.account, "team").await;
    // Not before there is an identity, nor after its hour.
    let begun = new(&at, ada);
    tokens(&world).insert(&begun, 10).await.unwrap();
    assert!(listed(&world, &at, TokensOf::All, 1).await.is_empty());
    tokens(&world)
        .abandon(at.account_id, begun.id, NOW)
        .await
        .unwrap();
    assert_eq!(identity(&world, &begun, &at).await, EnsureIdentity::Refused);
    let told = IssuedToken {
        identity: "key-1".to_owned(),
        token_id: None,
    };
    let late_act = act(NOW);
    let late = tokens(&world).mark_issued(at.account_id, begun.id, &told, &late_act);
    assert_eq!(late.await.unwrap(), None);

    let first = issued(&world, &at, ada).await;
    let second = issued(&world, &at, ada).await;
    let mine = TokensOf::Maker(ada.user);
    let both: BTreeSet<_> = listed(&world, &at, mine, 1).await.into_iter().collect();
    assert_eq!(both, BTreeSet::from([second.id, first.id]));
    assert!(listed(&world, &at, mine, HOUR).await.is_empty());
    let eve = world.person("eve").await;
    assert!(
        listed(&world, &at, TokensOf::Maker(eve.user), 1)
            .await
            .is_empty()
    );

    // By hand, once, and by whom it concerns.
    let end = async |of, account| {
        let act = act(seconds(2));
        let ended = tokens(&world).end(account, of, first.id, &act);
        ended.await.unwrap()
    };
    assert!(!end(TokensOf::Maker(eve.user), ada.account).await);
    assert!(!end(TokensOf::All, eve.account).await);
    assert!(end(mine, ada.account).await);
    assert!(!end(mine, ada.account).await);
    let due = world.database.due_ends(seconds(2)).await.unwrap();
    assert_eq!(due.len(), 1, "its identity ends with it");
    assert_eq!(listed(&world, &at, mine, 3).await, [second.id]);

    // With the namespace.
    world
        .database
        .mark_deleting(at.account_id, at.id, &act(seconds(4)))
        .await
        .unwrap();
    assert!(listed(&world, &at, mine, 5).await.is_empty());
    let refused = tokens(&world).insert(&new(&at, ada), 10).await.unwrap();
    assert_eq!(refused, InsertKubeconfigToken::Refused);
}

async fn of_two_who_make_the_last_one_one_does(world: World) {
    let ada = world.person("ada").await;
    let at = world.namespace(ada.account, "team").await;
    issued(&world, &at, ada).await;
    let (one, two) = (new(&at, ada), new(&at, ada));
    let (one, two) = tokio::join!(
        tokens(&world).insert(&one, 2),
        tokens(&world).insert(&two, 2)
    );
    let came = BTreeSet::from([one.unwrap() as u8, two.unwrap() as u8]);
    let wanted = [
        InsertKubeconfigToken::Inserted as u8,
        InsertKubeconfigToken::LimitReached as u8,
    ];
    assert_eq!(came, BTreeSet::from(wanted));
}

async fn a_maker_without_role_or_session_makes_none(world: World) {
    let ada = world.person("ada").await;
    let eve = world.person("eve").await;
    let at = world.namespace(ada.account, "team").await;
    let mut foreign = new(&at, eve);
    let mut ended = new(&at, ada);
    ended.session_id = Some(SessionId::generate(NOW, &mut rng()));
    for token in [&foreign, &ended] {
        let refused = tokens(&world).insert(token, 10).await.unwrap();
        assert_eq!(refused, InsertKubeconfigToken::Refused);
    }
    foreign.account_id = eve.account;
    let refused = tokens(&world).insert(&foreign, 10).await.unwrap();
    assert_eq!(
        refused,
        InsertKubeconfigToken::Refused,
        "another's namespace"
    );
}

async fn a_readers_token_is_bound_to_the_viewers_role(world: World) {
    let ada = world.person("ada").await;
    let at = world.namespace(ada.account, "team").await;
    let role = |role: &str| {
        world.execute(&format!("UPDATE memberships SET role = '{role}'"));
    };
    let written = issued(&world, &at, ada).await;
    assert_eq!(written.access, ClusterAccess::Tenant);
    role("read");
    let seen = new(&at, ada);
    tokens(&world).insert(&seen, 10).await.unwrap();
    let bound = ready(identity(&world, &seen, &at).await);
    assert_eq!(bound.access, ClusterAccess::Viewer);
    let stored = world.database.stored_among(&[bound.id]).await.unwrap();
    assert_eq!(stored[0].access, ClusterAccess::Viewer);
    // Both are judged by what they are: the writer's by a role that is not there any more.
    let presented = ApiKeyRepository::find_by_secret(&world.database, seen.secret_id).await;
    assert!(presented.unwrap().unwrap().check(NOW).is_ok());
    let ended = world.database.end_unjustified(seconds(1)).await.unwrap();
    assert_eq!(ended, 1);
    assert_eq!(listed(&world, &at, TokensOf::All, 2).await, [seen.id]);
    // What a newer version made is its to judge, and no key here.
    world.execute("UPDATE api_keys SET kind = 'newer'");
    let presented = ApiKeyRepository::find_by_secret(&world.database, seen.secret_id).await;
    assert!(presented.unwrap().unwrap().check(NOW).is_err());
    assert!(listed(&world, &at, TokensOf::All, 2).await.is_empty());
}

async fn a_password_takes_the_tokens_of_its_user_along(world: World) {
    let ada = world.person("ada").await;
    let eve = world.person("eve").await;
    let (hers, other) = (
        world.namespace(ada.account, "hers").await,
        world.namespace(eve.account, "other").await,
    );
    let (first, second) = (
        issued(&world, &hers, ada).await,
        issued(&world, &hers, ada).await,
    );
    let kept = issued(&world, &other, eve).await;
    let (password, act) = (HashedPassword::of_nobody(), act(seconds(5)));
    let set = world.database.set_password(
        ada.user,
        None,
        &password,
        PasswordChange::NotNeeded,
        None,
        &act,
    );
    assert!(set.await.unwrap());
    assert!(listed(&world, &hers, TokensOf::All, 5).await.is_empty());
    assert_eq!(listed(&world, &other, TokensOf::All, 5).await, [kept.id]);
    let page = PageRequest::new(200, None).unwrap();
    let filter = AuditFilter {
        action: Some(AuditAction::KubeconfigTokenEnded),
        ..AuditFilter::default()
    };
    let events = AuditLog::list(&world.database, ada.account, filter, page)
        .await
        .unwrap();
    let told: BTreeSet<_> = events
        .items
        .iter()
        .map(|event| event.subject.parts().1)
        .collect();
    let wanted = BTreeSet::from([first.id.as_uuid(), second.id.as_uuid()]);
    assert_eq!(told, wanted);
}

async fn rows_of_tokens_go_soon_after_their_identities(world: World) {
    let ada = world.person("ada").await;
    let at = world.namespace(ada.account, "team").await;
    let token = issued(&world, &at, ada).await;
    let begun = new(&at, ada);
    tokens(&world).insert(&begun, 10).await.unwrap();
    let act = act(seconds(1));
    let ended = tokens(&world).end(ada.account, TokensOf::All, token.id, &act);
    assert!(ended.await.unwrap());
    tokens(&world)
        .abandon(ada.account, begun.id, seconds(1))
        .await
        .unwrap();
    let remove = async |before| {
        let removed = tokens(&world).remove_ended(seconds(before), 10);
        removed.await.unwrap()
    };
    assert_eq!(remove(1).await, 0, "just now");
    assert_eq!(remove(2).await, 1, "the one without an identity");
    let now = seconds(2);
    let due = world
        .database
        .claim_ended(&at.cluster, None, 10, now, seconds(9))
        .await;
    IdentityRepository::remove(&world.database, due.unwrap()[0].id)
        .await
        .unwrap();
    // Keys of the same age stay for as long as keys do.
    assert_eq!(world.database.remove_dead(seconds(2), 10).await.unwrap(), 0);
    assert_eq!(remove(2).await, 1);
}
