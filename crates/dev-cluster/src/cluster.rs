//! The verbs that change objects, in the order in which the real server does their steps.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::error::{ApiError, ApiResult};
use crate::identity::Identity;
use crate::intake::{changed_object, new_object};
use crate::kinds::{self, Kind};
use crate::meta::{is_going, name, now, text};
use crate::rbac::{self, User};
use crate::store::{Key, Objects, Store};
use crate::{PodAdmission, TokenAuthentication, admission, defaults};

/// How often an update starts again because another one came between.
const ATTEMPTS: usize = 16;

pub(crate) struct Cluster {
    pub store: Store,
    pub identity: Identity,
    pub admission: Option<PodAdmission>,
    pub token_authentication: OnceLock<TokenAuthentication>,
    /// Turns true when watches and controllers are to end.
    pub stopping: watch::Sender<bool>,
}

/// Who writes, and how.
pub(crate) struct Write<'a> {
    pub user: &'a User,
    pub dry_run: bool,
    pub subresource: &'a str,
}

/// An object as it is now stored, or would be after a dry run.
pub(crate) struct Written {
    pub object: Arc<Value>,
    pub warnings: Vec<String>,
}

/// What a delete is bound to.
#[derive(Default)]
pub(crate) struct DeleteOptions {
    pub uid: Option<String>,
    pub version: Option<String>,
    pub orphan: bool,
    pub dry_run: bool,
}

impl Cluster {
    pub fn create(&self, kind: &Kind, namespace: &str, object: Value, write: &Write) -> ApiResult<Written> {
        let mut object = new_object(kind, namespace, object)?;
        self.store.with(|objects| check_place(objects, kind, namespace, &object))?;
        let mut warnings = Vec::new();
        if kind.plural == "pods" {
            if let Some(hook) = &self.admission {
                warnings = admission::review(hook, write.user, None, &mut object, write.dry_run)?;
            }
            defaults::pending_status(&mut object);
        }
        let key = Key::new(kind.plural, namespace, name(&object));
        self.store.with(|objects| {
            check_place(objects, kind, namespace, &object)?;
            rbac::check_escalation(objects, write.user, kind, &object)?;
            if objects.get(&key).is_some() {
                return Err(ApiError::already_exists(kind, &key.name));
            }
            if write.dry_run {
                return Ok(Written { object: Arc::new(object), warnings });
            }
            let object = objects.put(&key, object)?;
            if kind.plural == "namespaces" {
                self.furnish_namespace(objects, &key.name)?;
            }
            Ok(Written { object, warnings })
        })
    }

    /// Replaces an object by what `change` makes of it.
    pub fn update(
        &self,
        kind: &Kind,
        key: &Key,
        write: &Write,
        change: impl Fn(&Value) -> ApiResult<Value>,
    ) -> ApiResult<Written> {
        for _ in 0..ATTEMPTS {
            let stored = self.store.with(|objects| objects.get(key));
            let current = stored.ok_or_else(|| ApiError::not_found(kind, &key.name))?;
            let mut object = changed_object(kind, &current, change(&current)?, write)?;
            let mut warnings = Vec::new();
            if object == *current {
                return Ok(Written { object: current, warnings });
            }
            if let Some(hook) =
                self.admission.as_ref().filter(|_| kind.plural == "pods" && write.subresource.is_empty())
            {
                warnings = admission::review(hook, write.user, Some(&current), &mut object, write.dry_run)?;
            }
            let written = self.store.with(|objects| {
                if objects.get(key).is_none_or(|now| !Arc::ptr_eq(&now, &current)) {
                    return Ok(None);
                }
                if write.subresource != "status" {
                    rbac::check_escalation(objects, write.user, kind, &object)?;
                }
                if write.dry_run {
                    return Ok(Some(Arc::new(object)));
                }
                let object = objects.put(key, object)?;
                if is_going(&object) && !has_finalizers(&object) && kind.namespaced {
                    objects.remove(key)?;
                }
                Ok(Some(object))
            })?;
            if let Some(object) = written {
                return Ok(Written { object, warnings });
            }
        }
        Err(ApiError::modified(kind, &key.name))
    }

    /// Deletes an object; one with finalizers, and every namespace, is only marked.
    pub fn delete(&self, kind: &Kind, key: &Key, options: &DeleteOptions) -> ApiResult<Arc<Value>> {
        self.store.with(|objects| {
            let object = objects.get(key).ok_or_else(|| ApiError::not_found(kind, &key.name))?;
            let stored = |field: &str| text(&object, field).to_owned();
            for (what, asked, stored) in [
                ("UID", &options.uid, stored("/metadata/uid")),
                ("ResourceVersion", &options.version, stored("/metadata/resourceVersion")),
            ] {
                if let Some(asked) = asked.as_ref().filter(|asked| **asked != stored) {
                    let why = format!(
                        "Precondition failed: {what} in precondition: {asked}, {what} in object meta: {stored}"
                    );
                    return Err(ApiError::conflict(kind, &key.name, &why));
                }
            }
            if kind.plural == "namespaces" && matches!(key.name.as_str(), "default" | "kube-system" | "kube-public") {
                return Err(ApiError::forbidden("namespaces", "", &key.name, "this namespace may not be deleted"));
            }
            if options.dry_run {
                return Ok(object);
            }
            if options.orphan {
                release_dependents(objects, text(&object, "/metadata/uid"))?;
            }
            if kind.plural != "namespaces" && !has_finalizers(&object) {
                return Ok(objects.remove(key)?.unwrap_or(object));
            }
            if is_going(&object) {
                return Ok(object);
            }
            let mut marked = (*object).clone();
            marked["metadata"]["deletionTimestamp"] = json!(now());
            if kind.plural == "namespaces" {
                marked["status"]["phase"] = json!("Terminating");
            } else {
                marked["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            }
            objects.put(key, marked)
        })
    }

    /// Puts what Kubernetes' controllers put into every namespace.
    pub fn furnish_namespace(&self, objects: &mut Objects, namespace: &str) -> ApiResult<()> {
        let ca = json!({"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": self.identity.ca_pem}});
        for (plural, object) in [("serviceaccounts", json!({"metadata": {"name": "default"}})), ("configmaps", ca)] {
            let key = Key::new(plural, namespace, name(&object));
            if objects.get(&key).is_none() {
                let object = new_object(kinds::by_plural(plural), namespace, object)?;
                objects.put(&key, object)?;
            }
        }
        Ok(())
    }
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

/// Refuses an object in a namespace that is not there or is going, and a pod without its account.
fn check_place(objects: &Objects, kind: &Kind, namespace: &str, object: &Value) -> ApiResult<()> {
    if !kind.namespaced {
        return Ok(());
    }
    let place = objects.find("namespaces", "", namespace);
    let place = place.ok_or_else(|| ApiError::not_found(kinds::by_plural("namespaces"), namespace))?;
    if is_going(&place) {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = json!([{
            "reason": "NamespaceTerminating", "field": "metadata.namespace",
            "message": format!("namespace {namespace} is being terminated"),
        }]);
        return Err(ApiError::forbidden(kind.plural, kind.group, name(object), &why).with_causes(cause));
    }
    let account = text(object, "/spec/serviceAccountName");
    if kind.plural == "pods" && objects.find("serviceaccounts", namespace, account).is_none() {
        let why =
            format!("error looking up service account {namespace}/{account}: serviceaccount {account:?} not found");
        return Err(ApiError::forbidden("pods", "", name(object), &why));
    }
    Ok(())
}

/// Takes the owner's reference out of its dependents, so that they outlive it.
fn release_dependents(objects: &mut Objects, uid: &str) -> ApiResult<()> {
    for key in objects.dependents(uid) {
        let Some(dependent) = objects.get(&key) else {
            continue;
        };
        let mut freed = (*dependent).clone();
        if let Some(owners) = freed["metadata"]["ownerReferences"].as_array_mut() {
            owners.retain(|owner| owner["uid"] != uid);
        }
        objects.put(&key, freed)?;
    }
    Ok(())
}
