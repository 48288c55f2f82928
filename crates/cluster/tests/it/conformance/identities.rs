use std::time::Duration;

use remotegpu_namespaces::{
    ClusterAccess, ClusterError, CredentialIdentity, CredentialMint, IdentityObjects,
    IdentitySubject, LocatedIdentity, LocatedObject, MintError, PlainClusterToken, TokenLifetime,
};
use remotegpu_test_support::stopwatch::eventually;
use serde_json::json;

use crate::subject::{CREDENTIALS, Subject, identity, making, name, path_of, until_status};

/// Makes the identity and mints a token that works already.
async fn working_token(subject: &Subject, identity: &CredentialIdentity) -> PlainClusterToken {
    subject.clusters.make(identity).await.unwrap();
    let minted = subject
        .clusters
        .mint(identity, TokenLifetime::MIN)
        .await
        .unwrap();
    // X9: the answer waits at most two seconds for this.
    eventually("the token opens", Duration::from_secs(2), async || {
        let opens = subject.clusters.opens(identity, &minted.token).await;
        opens.unwrap()
    })
    .await;
    minted.token
}

fn pods(identity: &CredentialIdentity) -> String {
    format!("/api/v1/namespaces/{}/pods", identity.kubernetes_namespace)
}

fn only_binding(located: &LocatedIdentity) -> LocatedIdentity {
    LocatedIdentity {
        service_account: None,
        ..located.clone()
    }
}

pub async fn token_opens_its_namespace_and_nothing_else(subject: &Subject) {
    // X7, X8, X9
    let namespace = subject.namespace("opened").await;
    let other = subject.namespace("closed").await;
    let identity = identity(&namespace, 1);
    // Two first mints at once, of two instances or of one.
    let (first, second) = tokio::join!(
        subject.clusters.make(&identity),
        subject.clusters.make(&identity),
    );
    first.and(second).unwrap();
    let token = working_token(subject, &identity).await;
    let tenant = subject.actor(token.reveal()).await;
    assert_eq!(tenant.get(&pods(&identity)).await.0, 200);
    assert_eq!(tenant.get(&path_of(&namespace)).await.0, 200);
    for path in [
        format!("{}/pods", path_of(&other)),
        format!("{}/secrets", path_of(&other)),
        "/api/v1/namespaces/default/pods".to_owned(),
        "/api/v1/namespaces/kube-system/secrets".to_owned(),
        "/api/v1/pods".to_owned(),
        "/api/v1/nodes".to_owned(),
        "/api/v1/namespaces".to_owned(),
        path_of(&other),
        CREDENTIALS.to_owned(),
        format!("{CREDENTIALS}/{}", identity.object_name()),
    ] {
        assert_eq!(tenant.get(&path).await.0, 403, "{path}");
    }
    let again = subject
        .clusters
        .mint(&identity, TokenLifetime::MIN)
        .await
        .unwrap();
    assert!(again.token != token, "every call mints a fresh one");

    let account = format!("{CREDENTIALS}/{}", identity.object_name());
    let account = subject.admin.done("GET", &account, None).await;
    assert_eq!(account["automountServiceAccountToken"], false);
    let labels = &account["metadata"]["labels"];
    let IdentitySubject::KeySecret { key_id, secret_id } = identity.subject;
    for (label, id) in [
        ("identity-id", identity.id.to_string()),
        ("key-id", key_id.to_string()),
        ("secret-id", secret_id.to_string()),
        ("namespace-id", identity.namespace_id.to_string()),
        ("account-id", identity.account_id.to_string()),
    ] {
        assert_eq!(labels[format!("remotegpu.ai/{label}")], id, "{label}");
    }
}

pub async fn readers_identity_is_bound_to_the_viewers_role(subject: &Subject) {
    // T4, T9
    let namespace = subject.namespace("looked-at").await;
    let identity = CredentialIdentity {
        access: ClusterAccess::Viewer,
        ..identity(&namespace, 1)
    };
    let token = working_token(subject, &identity).await;
    let viewer = subject.actor(token.reveal()).await;
    assert_eq!(viewer.get(&pods(&identity)).await.0, 200);
    let secrets = format!("{}/secrets", path_of(&namespace));
    assert_eq!(viewer.get(&secrets).await.0, 403);
    // One that gives more is not taken for it: it goes, and is made again.
    let tenant = CredentialIdentity {
        access: ClusterAccess::Tenant,
        ..identity.clone()
    };
    subject.clusters.make(&tenant).await.unwrap();
    until_status(&viewer, &secrets, 200).await;
    subject.clusters.make(&identity).await.unwrap();
    until_status(&viewer, &secrets, 403).await;
    assert_eq!(viewer.get(&pods(&identity)).await.0, 200);
    let located = subject.clusters.locate(&identity).await.unwrap();
    subject.clusters.remove(&located).await.unwrap();
    until_status(&viewer, &pods(&identity), 401).await;
}

pub async fn token_without_identity_is_not_minted(subject: &Subject) {
    // X9
    let namespace = subject.namespace("unmade").await;
    let identity = identity(&namespace, 1);
    let error = subject
        .clusters
        .mint(&identity, TokenLifetime::MIN)
        .await
        .unwrap_err();
    assert!(matches!(error, MintError::IdentityMissing), "{error:?}");
    let located = subject.clusters.locate(&identity).await.unwrap();
    assert_eq!(located.id, None);
    assert_eq!(
        (located.binding.clone(), located.service_account.clone()),
        (None, None)
    );
    subject.clusters.remove(&located).await.unwrap();
}

pub async fn binding_away_is_403_and_account_away_is_401(subject: &Subject) {
    // X9
    let namespace = subject.namespace("revoked").await;
    let identity = identity(&namespace, 1);
    let token = working_token(subject, &identity).await;
    let tenant = subject.actor(token.reveal()).await;
    assert_eq!(tenant.get(&pods(&identity)).await.0, 200);
    let located = subject.clusters.locate(&identity).await.unwrap();
    assert_eq!(located.id, Some(identity.id));

    subject
        .clusters
        .remove(&only_binding(&located))
        .await
        .unwrap();
    let refused = until_status(&tenant, &pods(&identity), 403).await;
    subject.clusters.remove(&located).await.unwrap();
    let unknown = until_status(&tenant, &pods(&identity), 401).await;
    println!("      refused after {refused:?}, unknown after another {unknown:?}");
    assert!(refused < Duration::from_secs(1), "{refused:?}");

    assert!(!subject.clusters.opens(&identity, &token).await.unwrap());
    subject.clusters.remove(&located).await.unwrap();
}

pub async fn making_anew_revives_nothing(subject: &Subject) {
    // X9
    let namespace = subject.namespace("revived").await;
    let mut identity = identity(&namespace, 1);
    let old = working_token(subject, &identity).await;
    let tenant = subject.actor(old.reveal()).await;
    assert_eq!(tenant.get(&pods(&identity)).await.0, 200);
    let located = subject.clusters.locate(&identity).await.unwrap();
    subject.clusters.remove(&located).await.unwrap();

    // At once, while the API server may still remember the old token's user.
    identity.id = making(2);
    let new = working_token(subject, &identity).await;
    for _ in 0..40 {
        let status = tenant.get(&pods(&identity)).await.0;
        assert!(matches!(status, 401 | 403), "the old token: {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let tenant = subject.actor(new.reveal()).await;
    assert_eq!(tenant.get(&pods(&identity)).await.0, 200);
}

pub async fn another_uid_removes_nothing(subject: &Subject) {
    // X10
    let namespace = subject.namespace("late").await;
    let mut identity = identity(&namespace, 1);
    working_token(subject, &identity).await;
    let late = subject.clusters.locate(&identity).await.unwrap();
    subject.clusters.remove(&late).await.unwrap();
    identity.id = making(2);
    working_token(subject, &identity).await;
    let made = subject.clusters.locate(&identity).await.unwrap();
    assert_ne!(made, late);
    subject.clusters.remove(&late).await.unwrap();
    assert_eq!(subject.clusters.locate(&identity).await.unwrap(), made);
    let odd = |object: &Option<LocatedObject>| {
        object.clone().map(|object| LocatedObject {
            uid: "00000000-0000-0000-0000-000000000000".to_owned(),
            ..object
        })
    };
    let odd = LocatedIdentity {
        binding: odd(&made.binding),
        service_account: odd(&made.service_account),
        ..made.clone()
    };
    subject.clusters.remove(&odd).await.unwrap();
    assert_eq!(subject.clusters.locate(&identity).await.unwrap(), made);
}

pub async fn bent_binding_is_made_again(subject: &Subject) {
    // X9
    let namespace = subject.namespace("bent-binding").await;
    let identity = identity(&namespace, 1);
    working_token(subject, &identity).await;
    let made = subject.clusters.locate(&identity).await.unwrap();
    assert_eq!(made.id, Some(identity.id));
    let binding = made.binding.unwrap();
    let path = format!(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings/{}",
        binding.namespace, binding.name
    );
    let bent = json!({"subjects": [{
        "kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "somebody",
    }]});
    subject.admin.done("PATCH", &path, Some(bent)).await;
    working_token(subject, &identity).await;
    let again = subject.clusters.locate(&identity).await.unwrap();
    assert_ne!(again.binding.unwrap().uid, binding.uid);
}

pub async fn identity_of_others_is_neither_used_nor_removed(subject: &Subject) {
    // X9
    let namespace = subject.namespace("taken").await;
    let identity = identity(&namespace, 1);
    let foreign = json!({"metadata": {"name": identity.object_name()}});
    let foreign = subject.admin.done("POST", CREDENTIALS, Some(foreign)).await;
    let refused = subject.clusters.make(&identity).await.unwrap_err();
    assert!(
        matches!(refused, ClusterError::Refused { .. }),
        "{refused:?}"
    );
    let located = subject.clusters.locate(&identity).await.unwrap();
    assert_eq!(located.service_account, None);
    let refused = subject.clusters.remove(&located).await.unwrap_err();
    assert!(
        matches!(refused, ClusterError::Refused { .. }),
        "{refused:?}"
    );
    let path = format!("{CREDENTIALS}/{}", identity.object_name());
    let after = subject.admin.done("GET", &path, None).await;
    assert_eq!(after["metadata"]["uid"], foreign["metadata"]["uid"]);
}

pub async fn identity_that_lost_its_labels_is_not_taken_for_gone(subject: &Subject) {
    // X9: its binding goes all the same, and that is what counts at once.
    let namespace = subject.namespace("unmarked").await;
    let identity = identity(&namespace, 1);
    let token = working_token(subject, &identity).await;
    let path = format!("{CREDENTIALS}/{}", identity.object_name());
    let bent = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody"}}});
    subject.admin.done("PATCH", &path, Some(bent)).await;
    let located = subject.clusters.locate(&identity).await.unwrap();
    let refused = subject.clusters.remove(&located).await.unwrap_err();
    assert!(
        refused.to_string().contains(&identity.object_name()),
        "{refused}"
    );
    let tenant = subject.actor(token.reveal()).await;
    until_status(&tenant, &pods(&identity), 403).await;
    let mended = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "remotegpu"}}});
    subject.admin.done("PATCH", &path, Some(mended)).await;
    let located = subject.clusters.locate(&identity).await.unwrap();
    subject.clusters.remove(&located).await.unwrap();
    until_status(&tenant, &pods(&identity), 401).await;
}

pub async fn list_finds_every_identity(subject: &Subject) {
    // X10
    let namespace = subject.namespace("listed").await;
    let whole = identity(&namespace, 1);
    subject.clusters.make(&whole).await.unwrap();
    let halved = identity(&namespace, 1);
    subject.clusters.make(&halved).await.unwrap();
    let located = subject.clusters.locate(&halved).await.unwrap();
    subject
        .clusters
        .remove(&only_binding(&located))
        .await
        .unwrap();
    // More than one page.
    let many: Vec<_> = (0..260).map(|_| identity(&namespace, 1)).collect();
    for identity in &many {
        subject.clusters.make(identity).await.unwrap();
    }

    let list = listed(subject).await;
    let of = |identity: &CredentialIdentity| {
        let (accounts, bindings) = &list;
        let only = |objects: &[LocatedIdentity]| {
            let mut found = objects.iter().filter(|one| one.id == Some(identity.id));
            let one = found.next().cloned();
            assert_eq!(found.next(), None);
            one
        };
        (only(accounts), only(bindings))
    };
    let (account, binding) = of(&whole);
    let (account, binding) = (account.unwrap(), binding.unwrap());
    assert_eq!((&account.binding, &binding.service_account), (&None, &None));
    let together = LocatedIdentity {
        service_account: account.service_account,
        ..binding
    };
    assert_eq!(together, subject.clusters.locate(&whole).await.unwrap());
    let (account, binding) = of(&halved);
    assert_eq!(account.unwrap().service_account, located.service_account);
    assert_eq!(binding, None);
    for identity in &many {
        let (account, binding) = of(identity);
        subject.clusters.remove(&binding.unwrap()).await.unwrap();
        subject.clusters.remove(&account.unwrap()).await.unwrap();
    }
    let (accounts, bindings) = listed(subject).await;
    for one in accounts.iter().chain(&bindings) {
        assert!(many.iter().all(|gone| one.id != Some(gone.id)));
    }
}

/// All service accounts and all bindings that the cluster holds.
async fn listed(subject: &Subject) -> (Vec<LocatedIdentity>, Vec<LocatedIdentity>) {
    let all = async |kind| {
        let (mut found, mut place) = (Vec::new(), None);
        loop {
            let page = subject.clusters.list(&name(), kind, place.as_ref()).await;
            let page = page.unwrap();
            found.extend(page.found);
            place = page.next;
            if place.is_none() {
                return found;
            }
        }
    };
    (
        all(IdentityObjects::ServiceAccounts).await,
        all(IdentityObjects::Bindings).await,
    )
}
