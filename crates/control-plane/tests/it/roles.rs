//! Every act, and who may ask for it (contract A11, A13).

use std::{collections::BTreeSet, fs, path::Path};

use futures_util::future::LocalBoxFuture;
use remotegpu_access_tokens::{AccessTokenRepository, TokenHandle, TokenWord, TokensOf};
use remotegpu_accounts::{
    AccountRepository, AuditFilter, AuditLog, Email, InvitationRepository, PasswordChange,
    PlainPassword, Role, ServiceUser, ServiceUserChange, ServiceUserContext, ServiceUserToken,
    SessionContext, SessionPolicy,
};
use remotegpu_control_plane::{
    AccessTokenRules, AccountKubeconfigPorts, Anyone, Caller, ChangePasswordPorts,
    CreateInvitation, CreateKubeconfigToken, CreateKubeconfigTokenPorts, CreateNamespace,
    CreateNamespacePorts, CreateServiceUser, IssueAccessToken, IssueAccessTokenPorts, IssueApiKey,
    IssueServiceUserToken, NewRole, NotAllowed, OneTimePassword, PasswordWorkers, Right,
    RotateApiKeyPorts, UpdateServiceUser, change_member_role, change_password, create_invitation,
    create_kubeconfig_token, create_namespace, create_service_user, delete_access_token,
    delete_invitation, delete_namespace, delete_service_user, delete_service_user_token,
    end_kubeconfig_token, end_other_sessions, end_session, find_access_token, find_api_key,
    find_foreign_namespaces, find_invitation, find_kubeconfig_token, find_member, find_namespace,
    find_service_user, find_service_user_token, issue_access_token, issue_api_key,
    issue_service_user_token, leave_account, list_access_tokens, list_api_keys, list_audit_events,
    list_clusters, list_invitations, list_kubeconfig_tokens, list_made, list_members,
    list_namespaces, list_own_accounts, list_own_made, list_service_user_tokens,
    list_service_users, list_sessions, look_at_last_reach, look_at_namespace, read_usage,
    remove_member, rename_namespace, render_account_kubeconfig, render_kubeconfig, revoke_api_key,
    rotate_api_key, search_api_keys, sign_out, switch_account, update_api_key, update_service_user,
};
use remotegpu_keys::{ApiKey, ApiKeyChange, ApiKeyRepository, KeyName, SecretPrefix};
use remotegpu_kubeconfig::{Plugin, TokenNames};
use remotegpu_namespaces::{Namespace, NamespaceName, NamespaceRepository, TokenLifetime};
use remotegpu_primitives::{
    InvitationId, KubeconfigTokenId, Origin, PageRequest, ServiceUserTokenId, UserId, Word,
};
use remotegpu_scopes::Scopes;
use remotegpu_test_support::rng;
use time::Duration;

use crate::world::World;

/// Acts that somebody asks for who has not shown who they are, or the installation itself.
const NOBODYS: [&str; 8] = [
    "accept_invitation",
    "authenticate_api_key",
    "authenticate_service_user",
    "authenticate_session",
    "create_first_admin",
    "look_at_invitation",
    "sign_in",
    "sign_up",
];

/// Acts of the account's callers that are for people alone (contract T8).
const PEOPLES: [&str; 30] = [
    "change_member_role",
    "change_password",
    "create_invitation",
    "create_service_user",
    "delete_access_token",
    "delete_invitation",
    "delete_service_user",
    "delete_service_user_token",
    "end_other_sessions",
    "end_session",
    "find_access_token",
    "find_invitation",
    "find_member",
    "find_service_user",
    "find_service_user_token",
    "issue_access_token",
    "issue_service_user_token",
    "leave_account",
    "list_access_tokens",
    "list_invitations",
    "list_made",
    "list_members",
    "list_own_made",
    "list_service_user_tokens",
    "list_service_users",
    "list_sessions",
    "remove_member",
    "sign_out",
    "switch_account",
    "update_service_user",
];

/// What several acts are made of.
const NO_ACTS: [&str; 1] = ["end_all"];

/// An account with something in it.
struct Place {
    world: World,
    key: ApiKey,
    namespace: Namespace,
    invitation: InvitationId,
    passwords: PasswordWorkers,
}

impl Place {
    async fn new() -> Self {
        let world = World::new().await;
        let key = world.store.key(&world.ada, Scopes::All, None, world.now());
        let key = key.await.unwrap().0;
        let namespace = world.namespace("team-ml").await;
        // Nobody waits for what is made there.
        world.cluster.set_up(false);
        let wanted = CreateInvitation {
            email: Email::parse("eve@example.org").unwrap(),
            role: Role::Read,
            limit: 5,
        };
        let (database, now) = (&world.store.database, world.now());
        let asked = create_invitation(database, &world.ada(), wanted, &mut rng(), now).await;
        Self {
            invitation: asked.unwrap().invitation.id,
            world,
            key,
            namespace,
            passwords: PasswordWorkers::new(1, 0).unwrap(),
        }
    }

    /// All that acts of the account's people write.
    async fn written(&self) -> String {
        let (database, account) = (&self.world.store.database, self.world.ada.account.id);
        let keys = ApiKeyRepository::list(database, account, page()).await;
        let tokens = AccessTokenRepository::list(database, account, TokensOf::All, page()).await;
        let namespaces = NamespaceRepository::list(database, account, page()).await;
        let events = AuditLog::list(database, account, AuditFilter::default(), page()).await;
        let invited = InvitationRepository::list(database, account, page(), self.world.now()).await;
        let account = AccountRepository::find(database, account).await;
        format!("{keys:?} {tokens:?} {namespaces:?} {events:?} {invited:?} {account:?}")
    }
}

/// What a token is called that nobody has.
fn nobodys_token() -> TokenHandle {
    TokenHandle::generate(&TokenWord::default(), &mut rng())
}

fn page() -> PageRequest {
    PageRequest::new(PageRequest::MAX_LIMIT, None).unwrap()
}

/// An act that a person asks for.
struct PersonsAct {
    name: &'static str,
    /// The smallest role that it is for.
    role: Option<Role>,
    /// Asks for the right that the act's signature names, and then for the act.
    ask: Ask,
}

type Ask = for<'a> fn(&'a Place, Asker) -> LocalBoxFuture<'a, Result<(), NotAllowed>>;

/// Whoever asks, before any right is asked for.
enum Asker {
    Person(Caller<OneTimePassword>),
    ServiceUser(Caller<Anyone>),
}

impl Asker {
    fn may<R: Right>(&self) -> Result<Caller<R>, NotAllowed> {
        match self {
            Self::Person(caller) => caller.may(),
            Self::ServiceUser(caller) => caller.may(),
        }
    }
}

macro_rules! persons_acts {
    ($($role:expr => $name:ident: |$place:ident, $caller:ident| $asked:expr;)*) => {
        const PERSONS_ACTS: &[PersonsAct] = &[$(PersonsAct {
            name: stringify!($name),
            role: $role,
            ask: |$place, caller| Box::pin(async move {
                let $caller = &caller.may()?;
                // Whoever has the right has it, whatever else may stand in the way.
                let _ = $asked;
                Ok(())
            }),
        },)*];
    };
}

persons_acts! {
    None => change_password: |p, caller| {
        let database = &p.world.store.database;
        let ports = ChangePasswordPorts {
            users: database,
            attempts: database,
            passwords: &p.passwords,
            audit: &p.world.audit,
        };
        let new = PlainPassword::parse("a new password").unwrap();
        change_password(ports, caller, "the old one", new, &mut rng(), p.world.now()).await
    };
    None => sign_out: |p, caller| {
        sign_out(&p.world.store.database, caller, &mut rng(), p.world.now()).await
    };
    None => switch_account: |p, caller| {
        let (database, account) = (&p.world.store.database, p.world.ada.account.id);
        switch_account(database, database, caller, account, &mut rng(), p.world.now()).await
    };
    Some(Role::Read) => find_api_key: |p, caller| {
        find_api_key(&p.world.store.database, caller, p.key.id).await
    };
    Some(Role::Read) => find_namespace: |p, caller| {
        find_namespace(&p.world.store.database, caller, p.namespace.id).await
    };
    None => end_other_sessions: |p, caller| {
        end_other_sessions(&p.world.store.database, caller, &mut rng(), p.world.now()).await
    };
    None => end_session: |p, caller| {
        let (database, own) = (&p.world.store.database, p.world.ada.session.id);
        end_session(database, caller, own, &mut rng(), p.world.now()).await
    };
    None => list_sessions: |p, caller| {
        let policy = SessionPolicy::default();
        list_sessions(&p.world.store.database, caller, policy, p.world.now()).await
    };
    Some(Role::Read) => list_access_tokens: |p, caller| {
        list_access_tokens(&p.world.store.database, caller, page()).await
    };
    Some(Role::Read) => find_access_token: |p, caller| {
        find_access_token(&p.world.store.database, caller, &nobodys_token()).await
    };
    Some(Role::Read) => delete_access_token: |p, caller| {
        let (database, now) = (&p.world.store.database, p.world.now());
        delete_access_token(database, caller, &nobodys_token(), &mut rng(), now).await
    };
    Some(Role::Read) => issue_access_token: |p, caller| {
        let ports = IssueAccessTokenPorts {
            tokens: &p.world.store.database,
            clusters: &*p.world.cluster,
            claims: &p.world.store.database,
            limits: &p.world.key_changes,
            rules: &AccessTokenRules::default(),
        };
        let wanted = IssueAccessToken {
            name: KeyName::parse("laptop").unwrap(),
            note: None,
            clusters: vec![p.namespace.cluster.as_str().to_owned()],
            namespace: None,
            expires_at: Some(p.world.now() + Duration::DAY),
            names: TokenNames::default(),
        };
        issue_access_token(ports, caller, wanted, &mut rng(), p.world.now()).await
    };
    Some(Role::Read) => look_at_last_reach: |p, caller| {
        let database = &p.world.store.database;
        look_at_last_reach(database, database, caller, Some(&p.namespace)).await
    };
    Some(Role::Read) => look_at_namespace: |p, caller| {
        look_at_namespace(&p.world.store.database, caller, p.namespace.id).await
    };
    Some(Role::Read) => read_usage: |p, caller| {
        read_usage(&*p.world.cluster, caller, &p.namespace).await
    };
    Some(Role::Read) => create_kubeconfig_token: |p, caller| {
        let (database, now) = (&p.world.store.database, p.world.now());
        let ports = CreateKubeconfigTokenPorts {
            tokens: database,
            mint: p.world.mint_ports(),
            clusters: &*p.world.cluster,
            claims: database,
            changes: &p.world.key_changes,
        };
        let wanted = CreateKubeconfigToken { lifetime: TokenLifetime::default(), limit: 5 };
        create_kubeconfig_token(ports, caller, &p.namespace, wanted, &mut rng(), now).await
    };
    Some(Role::Read) => end_kubeconfig_token: |p, caller| {
        let (database, signals) = (&p.world.store.database, &p.world.signals);
        let id = KubeconfigTokenId::generate(p.world.now(), &mut rng());
        end_kubeconfig_token(database, signals, caller, id, &mut rng(), p.world.now()).await
    };
    Some(Role::Read) => find_kubeconfig_token: |p, caller| {
        let id = KubeconfigTokenId::generate(p.world.now(), &mut rng());
        find_kubeconfig_token(&p.world.store.database, caller, id, p.world.now()).await
    };
    Some(Role::Read) => list_kubeconfig_tokens: |p, caller| {
        list_kubeconfig_tokens(&p.world.store.database, caller, page(), p.world.now()).await
    };
    Some(Role::Read) => render_account_kubeconfig: |p, caller| {
        let ports = AccountKubeconfigPorts {
            namespaces: &p.world.store.database,
            clusters: &*p.world.cluster,
            claims: &p.world.store.database,
        };
        render_account_kubeconfig(ports, caller, "https://x", Plugin::Shell).await
    };
    Some(Role::Read) => search_api_keys: |p, caller| {
        search_api_keys(&p.world.store.database, caller, "key", page()).await
    };
    Some(Role::Read) => list_api_keys: |p, caller| {
        list_api_keys(&p.world.store.database, caller, page()).await
    };
    Some(Role::Read) => list_clusters: |p, caller| {
        list_clusters(&*p.world.cluster, caller, page())
    };
    Some(Role::Read) => list_namespaces: |p, caller| {
        list_namespaces(&p.world.store.database, caller, page()).await
    };
    Some(Role::Read) => render_kubeconfig: |p, caller| {
        let url = "https://api.example.org";
        let database = &p.world.store.database;
        render_kubeconfig(&*p.world.cluster, database, caller, url, &p.namespace, Plugin::default())
            .await
    };
    Some(Role::Write) => find_foreign_namespaces: |p, caller| {
        find_foreign_namespaces(&p.world.store.database, caller, &Scopes::All).await
    };
    Some(Role::Write) => create_namespace: |p, caller| {
        let ports = CreateNamespacePorts {
            namespaces: &p.world.store.database,
            clusters: &*p.world.cluster,
            signals: &p.world.signals,
        };
        let wanted = CreateNamespace {
            name: NamespaceName::parse("another").unwrap(),
            cluster: None,
            default_limit: 5,
        };
        create_namespace(ports, caller, wanted, &mut rng(), p.world.now()).await
    };
    Some(Role::Write) => delete_namespace: |p, caller| {
        let (database, signals) = (&p.world.store.database, &p.world.signals);
        let (id, now) = (p.namespace.id, p.world.now());
        delete_namespace(database, signals, caller, id, &mut rng(), now).await
    };
    Some(Role::Write) => issue_api_key: |p, caller| {
        let wanted = IssueApiKey {
            name: KeyName::parse("ci").unwrap(),
            scopes: Scopes::All,
            expires_at: None,
            default_limit: 5,
        };
        let (database, limits) = (&p.world.store.database, &p.world.key_changes);
        issue_api_key(database, limits, caller, wanted, &mut rng(), p.world.now()).await
    };
    Some(Role::Write) => rename_namespace: |p, caller| {
        let (database, id) = (&p.world.store.database, p.namespace.id);
        let name = NamespaceName::parse("renamed").unwrap();
        rename_namespace(database, caller, id, &name, &mut rng(), p.world.now()).await
    };
    Some(Role::Write) => revoke_api_key: |p, caller| {
        let (database, signals) = (&p.world.store.database, &p.world.signals);
        revoke_api_key(database, signals, caller, p.key.id, &mut rng(), p.world.now()).await
    };
    Some(Role::Write) => rotate_api_key: |p, caller| {
        let ports = RotateApiKeyPorts {
            keys: &p.world.store.database,
            signals: &p.world.signals,
            limits: &p.world.key_changes,
        };
        let (id, none) = (p.key.id, Duration::ZERO);
        rotate_api_key(ports, caller, id, none, &mut rng(), p.world.now()).await
    };
    Some(Role::Write) => update_api_key: |p, caller| {
        let (database, signals) = (&p.world.store.database, &p.world.signals);
        let change = ApiKeyChange {
            name: Some(KeyName::parse("renamed").unwrap()),
            scopes: None,
            expires_at: None,
        };
        let (id, now) = (p.key.id, p.world.now());
        update_api_key(database, signals, caller, id, &change, &mut rng(), now).await
    };
    Some(Role::Admin) => change_member_role: |p, caller| {
        let (database, signals) = (&p.world.store.database, &p.world.signals);
        let wanted = NewRole {
            user_id: p.world.ada.user.id,
            role: Role::Admin,
            take_over_keys: false,
        };
        change_member_role(database, signals, caller, wanted, &mut rng(), p.world.now()).await
    };
    Some(Role::Admin) => create_invitation: |p, caller| {
        let wanted = CreateInvitation {
            email: Email::parse("bob@example.org").unwrap(),
            role: Role::Read,
            limit: 5,
        };
        create_invitation(&p.world.store.database, caller, wanted, &mut rng(), p.world.now()).await
    };
    Some(Role::Admin) => delete_invitation: |p, caller| {
        let (database, id) = (&p.world.store.database, p.invitation);
        delete_invitation(database, caller, id, &mut rng(), p.world.now()).await
    };
    Some(Role::Admin) => find_invitation: |p, caller| {
        find_invitation(&p.world.store.database, caller, p.invitation, p.world.now()).await
    };
    Some(Role::Admin) => list_invitations: |p, caller| {
        list_invitations(&p.world.store.database, caller, page(), p.world.now()).await
    };
    None => list_own_accounts: |p, caller| {
        list_own_accounts(&p.world.store.database, caller).await
    };
    None => list_own_made: |p, caller| {
        list_own_made(&p.world.store.database, caller, p.world.now()).await
    };
    Some(Role::Read) => find_member: |p, caller| {
        find_member(&p.world.store.database, caller, p.world.ada.user.id).await
    };
    None => leave_account: |p, caller| {
        let (database, signals) = (&p.world.store.database, &p.world.signals);
        leave_account(database, signals, caller, &mut rng(), p.world.now()).await
    };
    Some(Role::Admin) => list_made: |p, caller| {
        let (database, maker) = (&p.world.store.database, p.world.ada.user.id);
        list_made(database, caller, maker, p.world.now()).await
    };
    Some(Role::Read) => list_members: |p, caller| {
        list_members(&p.world.store.database, caller, page()).await
    };
    Some(Role::Admin) => remove_member: |p, caller| {
        let (database, signals) = (&p.world.store.database, &p.world.signals);
        let wanted = (p.world.ada.user.id, false);
        remove_member(database, signals, caller, wanted, &mut rng(), p.world.now()).await
    };
    Some(Role::Admin) => create_service_user: |p, caller| {
        let wanted = CreateServiceUser {
            name: KeyName::parse("ci").unwrap(),
            role: Role::Write,
            limit: 5,
        };
        let database = &p.world.store.database;
        create_service_user(database, caller, wanted, &mut rng(), p.world.now()).await
    };
    Some(Role::Admin) => delete_service_user: |p, caller| {
        let (database, signals) = (&p.world.store.database, &p.world.signals);
        let (which, now) = ((machine(), false), p.world.now());
        delete_service_user(database, signals, caller, which, &mut rng(), now).await
    };
    Some(Role::Admin) => update_service_user: |p, caller| {
        let (database, signals) = (&p.world.store.database, &p.world.signals);
        let wanted = UpdateServiceUser {
            service_user_id: machine(),
            change: ServiceUserChange {
                name: None,
                role: Some(Role::Read),
            },
            take_over_keys: false,
        };
        update_service_user(database, signals, caller, wanted, &mut rng(), p.world.now()).await
    };
    Some(Role::Admin) => delete_service_user_token: |p, caller| {
        let (database, which) = (&p.world.store.database, (machine(), machines_token()));
        delete_service_user_token(database, caller, which, &mut rng(), p.world.now()).await
    };
    Some(Role::Admin) => find_service_user: |p, caller| {
        find_service_user(&p.world.store.database, caller, machine()).await
    };
    Some(Role::Admin) => find_service_user_token: |p, caller| {
        let (database, token) = (&p.world.store.database, machines_token());
        find_service_user_token(database, caller, machine(), token).await
    };
    Some(Role::Admin) => issue_service_user_token: |p, caller| {
        let wanted = IssueServiceUserToken {
            service_user_id: machine(),
            name: KeyName::parse("ci").unwrap(),
            expires_at: p.world.now() + Duration::DAY,
            limit: 5,
        };
        let database = &p.world.store.database;
        issue_service_user_token(database, caller, wanted, &mut rng(), p.world.now()).await
    };
    Some(Role::Admin) => list_service_user_tokens: |p, caller| {
        list_service_user_tokens(&p.world.store.database, caller, machine(), page()).await
    };
    Some(Role::Admin) => list_service_users: |p, caller| {
        list_service_users(&p.world.store.database, caller, page()).await
    };
    Some(Role::Admin) => list_audit_events: |p, caller| {
        let (database, filter) = (&p.world.store.database, AuditFilter::default());
        list_audit_events(database, caller, filter, page()).await
    };
}

fn calling(person: &SessionContext) -> Asker {
    Asker::Person(Caller::signed_in(person.clone(), Origin::default()))
}

fn machine() -> UserId {
    "0198c0de-0000-7000-8000-00000000000a".parse().unwrap()
}

fn machines_token() -> ServiceUserTokenId {
    "0198c0de-0000-7000-8000-00000000000b".parse().unwrap()
}

/// A service user in the person's account, with this role.
fn service_user(person: &SessionContext, role: Word<Role>) -> Asker {
    let now = person.session.created_at;
    let context = ServiceUserContext {
        service_user: ServiceUser {
            // Whose keys it may make: the store knows nothing of this one.
            id: person.user.id,
            name: KeyName::parse("ci").unwrap(),
            role,
            created_at: now,
            created_by: person.user.id,
        },
        account: person.account.clone(),
        token: ServiceUserToken {
            id: machines_token(),
            name: KeyName::parse("ci").unwrap(),
            prefix: SecretPrefix::from_stored("rgsu_0a1b2c3d".to_owned()),
            created_at: now,
            created_by: person.user.id,
            expires_at: now + Duration::DAY,
            last_used_at: None,
        },
    };
    Asker::ServiceUser(Caller::service_user(context, Origin::default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_too_small_is_refused_by_every_act_and_writes_nothing() {
    // A11, R6
    let newer = || Word::from_stored("owner".to_owned());
    for act in PERSONS_ACTS {
        let roles = [
            newer(),
            Role::Read.into(),
            Role::Write.into(),
            Role::Admin.into(),
        ];
        for role in roles {
            let place = Place::new().await;
            let person = SessionContext {
                role: role.clone(),
                ..place.world.ada.clone()
            };
            let is_enough = act
                .role
                .is_none_or(|needed| role.known().is_some_and(|role| role.allows(needed)));
            let before = place.written().await;
            let asked = (act.ask)(&place, calling(&person)).await;
            if is_enough {
                assert_eq!(asked, Ok(()), "{} as {role}", act.name);
            } else {
                let refused = Err(NotAllowed::RoleTooSmall);
                assert_eq!(asked, refused, "{} as {role}", act.name);
                assert_eq!(before, place.written().await, "{} as {role}", act.name);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_user_may_what_its_role_says_and_nothing_that_is_for_people() {
    // A11, T8
    for act in PERSONS_ACTS {
        for role in Role::ALL {
            let place = Place::new().await;
            let before = place.written().await;
            let machine = service_user(&place.world.ada, role.into());
            let asked = (act.ask)(&place, machine).await;
            let what = format!("{} as {role:?}", act.name);
            let expected = if PEOPLES.contains(&act.name) {
                Err(NotAllowed::NotForServiceUsers)
            } else if act.role.is_none_or(|needed| role.allows(needed)) {
                Ok(())
            } else {
                Err(NotAllowed::RoleTooSmall)
            };
            assert_eq!(asked, expected, "{what}");
            if expected.is_err() {
                assert_eq!(before, place.written().await, "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_password_opens_the_act_that_changes_it_and_no_other() {
    // A10
    let place = Place::new().await;
    let mut admin = place.world.ada.clone();
    let end = place.world.now() + Duration::HOUR;
    admin.user.password_change = PasswordChange::NeededUntil(end);
    for act in PERSONS_ACTS {
        let before = place.written().await;
        let asked = (act.ask)(&place, calling(&admin)).await;
        if act.name == "change_password" {
            assert_eq!(asked, Ok(()));
        } else {
            let refused = Err(NotAllowed::PasswordChangeRequired);
            assert_eq!(asked, refused, "{}", act.name);
            assert_eq!(before, place.written().await, "{}", act.name);
        }
    }
}

#[test]
fn every_act_says_who_may_ask_for_it() {
    // A11, A13: a new act is walked, or stands above with a reason.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/acts");
    let mut persons = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let Some(name) = name.strip_suffix(".rs") else {
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        let act = format!("pub async fn {name}(");
        let act = text.contains(&act) || text.contains(&act.replace("async ", ""));
        assert_eq!(act, !NO_ACTS.contains(&name), "the act of {name}.rs");
        let of_person =
            text.contains("    caller: &Caller<") || text.contains("    _caller: &Caller<");
        let of_others = [
            "    holder: &KeyHolder,",
            "    cluster: &AskingCluster,",
            "    operator: Operator,",
            "    _operator: Operator,",
        ];
        let of_others = of_others.iter().any(|caller| text.contains(caller));
        let of_nobody = NOBODYS.contains(&name) || NO_ACTS.contains(&name);
        let kinds = [of_person, of_others, of_nobody];
        assert_eq!(
            kinds.iter().filter(|kind| **kind).count(),
            1,
            "{name}: {kinds:?}"
        );
        if of_person {
            persons.insert(name.to_owned());
        }
    }
    let walked: BTreeSet<String> = PERSONS_ACTS.iter().map(|act| act.name.to_owned()).collect();
    assert_eq!(walked, persons);
}

/// The table of `docs/roles.md`, as the walk and the acts themselves say it.
fn table() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/acts");
    let mut acts: Vec<(Option<Role>, String, String)> = Vec::new();
    for act in PERSONS_ACTS {
        let text = fs::read_to_string(folder.join(act.name).with_extension("rs")).unwrap();
        let what: Vec<&str> = text
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(str::trim)
            .collect();
        let what = what.join(" ");
        // What it serves is for who reads the code.
        let what = what.split(" (contract").next().unwrap_or_default();
        let what = what.split(". ").next().unwrap_or_default();
        let people = if text.contains("caller: &Caller<Person<")
            || text.contains("caller: &Caller<OneTimePassword>")
        {
            "people"
        } else {
            "people, service users"
        };
        let mark = |role: Role| {
            if act.role.is_none_or(|needed| role.allows(needed)) {
                "yes"
            } else {
                ""
            }
        };
        let [read, write, admin] = Role::ALL.map(mark);
        let name = act.name;
        let what = what.trim_end_matches(['.', ':']);
        let line = format!("| {what} | {read} | {write} | {admin} | {people} | `{name}` |");
        acts.push((act.role, name.to_owned(), line));
    }
    acts.sort();
    let lines: Vec<String> = acts.into_iter().map(|(.., line)| line).collect();
    format!(
        "| what | read | write | admin | who | act |\n|---|---|---|---|---|---|\n{}\n",
        lines.join("\n")
    )
}

#[test]
fn the_documentation_tells_who_may_do_what() {
    // A11: written anew with REMOTEGPU_WRITE_DOCS=1.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/roles.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("| what | read |").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let wanted = format!("{before}{}\n{after}", table());
    if std::env::var_os("REMOTEGPU_WRITE_DOCS").is_some() {
        fs::write(&file, &wanted).unwrap();
    } else {
        assert_eq!(text, wanted, "docs/roles.md is not what the walk found");
    }
}
