//! The objects: in memory for reading, in a journal for the next start.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::error::{ApiError, ApiResult, DevClusterError};
use crate::journal::Journal;

/// How many changes a watch may be behind before it has to list again.
const HISTORY: usize = 10_000;

/// Where an object is; objects that are not in a namespace have an empty one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(crate) struct Key {
    pub plural: String,
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(plural: &str, namespace: &str, name: &str) -> Self {
        Self { plural: plural.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// One change, with the object before and after it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub version: u64,
    pub key: Key,
    pub before: Option<Arc<Value>>,
    pub after: Option<Arc<Value>>,
}

/// Everything that is stored, behind one lock.
pub(crate) struct Store {
    objects: Mutex<Objects>,
    version: watch::Sender<u64>,
}

pub(crate) struct Objects {
    by_key: BTreeMap<Key, Arc<Value>>,
    keys_by_uid: HashMap<String, Key>,
    dependents: HashMap<String, BTreeSet<Key>>,
    history: VecDeque<Change>,
    /// Changes up to this version are no longer in the history.
    horizon: u64,
    version: u64,
    journal: Journal,
}

impl Store {
    pub fn open(folder: &Path) -> Result<Self, DevClusterError> {
        let (journal, objects, version) = Journal::open(folder)?;
        let mut stored = Objects {
            by_key: BTreeMap::new(),
            keys_by_uid: HashMap::new(),
            dependents: HashMap::new(),
            history: VecDeque::new(),
            horizon: version,
            version,
            journal,
        };
        for (key, object) in objects {
            stored.index(&key, &object, true);
            stored.by_key.insert(key, Arc::new(object));
        }
        Ok(Self { objects: Mutex::new(stored), version: watch::Sender::new(version) })
    }

    /// Runs `work` alone on the objects, and wakes watches if it changed any.
    pub fn with<R>(&self, work: impl FnOnce(&mut Objects) -> R) -> R {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = work(&mut objects);
        let version = objects.version;
        drop(objects);
        self.version.send_if_modified(|seen| std::mem::replace(seen, version) != version);
        answer
    }

    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Takes no more changes and frees the folder, whoever still holds the store.
    pub fn close(&self) {
        self.with(|objects| objects.journal.close());
    }
}

impl Objects {
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.by_key.get(key).cloned()
    }

    pub fn find(&self, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.get(&Key::new(plural, namespace, name))
    }

    /// All objects of a kind, of one namespace or of all, in the order of their names.
    pub fn list<'a>(
        &'a self,
        plural: &'a str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        self.by_key
            .range(Key::new(plural, namespace.unwrap_or_default(), "")..)
            .take_while(move |(key, _)| key.plural == plural && namespace.is_none_or(|wanted| key.namespace == wanted))
    }

    pub fn keys_in_namespace(&self, namespace: &str) -> Vec<Key> {
        self.by_key.keys().filter(|key| key.namespace == namespace).cloned().collect()
    }

    pub fn all(&self) -> Vec<Change> {
        let changes = self.by_key.iter().map(|(key, object)| Change {
            version: self.version,
            key: key.clone(),
            before: None,
            after: Some(Arc::clone(object)),
        });
        changes.collect()
    }

    pub fn uid_exists(&self, uid: &str) -> bool {
        self.keys_by_uid.contains_key(uid)
    }

    pub fn dependents(&self, uid: &str) -> Vec<Key> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// The changes after `version`; `None` if they are no longer known.
    pub fn changes_after(&self, version: u64) -> Option<Vec<Change>> {
        if version < self.horizon {
            return None;
        }
        let from = self.history.partition_point(|change| change.version <= version);
        Some(self.history.range(from..).cloned().collect())
    }

    /// Stores an object under a new resource version, in the journal first.
    pub fn put(&mut self, key: &Key, mut object: Value) -> ApiResult<Arc<Value>> {
        let version = self.version + 1;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        self.record(key, Some(&object), version)?;
        let object = Arc::new(object);
        let before = self.by_key.insert(key.clone(), Arc::clone(&object));
        if let Some(before) = &before {
            self.index(key, before, false);
        }
        self.index(key, &object, true);
        self.remember(key, before, Some(Arc::clone(&object)));
        Ok(object)
    }

    pub fn remove(&mut self, key: &Key) -> ApiResult<Option<Arc<Value>>> {
        let Some(mut before) = self.get(key) else {
            return Ok(None);
        };
        let version = self.version + 1;
        self.record(key, None, version)?;
        self.by_key.remove(key);
        self.index(key, &before, false);
        // A watch learns of the deletion at the version at which it happened.
        Arc::make_mut(&mut before)["metadata"]["resourceVersion"] = json!(version.to_string());
        self.remember(key, Some(Arc::clone(&before)), None);
        Ok(Some(before))
    }

    fn record(&mut self, key: &Key, object: Option<&Value>, version: u64) -> ApiResult<()> {
        let written = self.journal.append(key, object, version);
        written.map_err(|error| {
            tracing::error!(%error, "the development cluster cannot write its journal");
            ApiError::internal("the development cluster cannot write its journal")
        })?;
        self.version = version;
        Ok(())
    }

    fn remember(&mut self, key: &Key, before: Option<Arc<Value>>, after: Option<Arc<Value>>) {
        self.history.push_back(Change { version: self.version, key: key.clone(), before, after });
        while self.history.len() > HISTORY {
            self.horizon = self.history.pop_front().map_or(self.horizon, |change| change.version);
        }
        // Most of a long-lived journal describes objects that have changed or gone since.
        if self.journal.lines() > 2 * self.by_key.len() + 5_000 {
            let compacted = self.journal.compact(self.by_key.iter(), self.version);
            if let Err(error) = compacted {
                tracing::warn!(%error, "the development cluster cannot compact its journal");
            }
        }
    }

    fn index(&mut self, key: &Key, object: &Value, present: bool) {
        if let Some(uid) = object["metadata"]["uid"].as_str() {
            if present {
                self.keys_by_uid.insert(uid.to_owned(), key.clone());
            } else {
                self.keys_by_uid.remove(uid);
            }
        }
        for owner in owner_uids(object) {
            if present {
                self.dependents.entry(owner.to_owned()).or_default().insert(key.clone());
            } else if let Some(keys) = self.dependents.get_mut(owner) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}

pub(crate) fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}
