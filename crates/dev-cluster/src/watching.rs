//! Watches: a list that goes on as a stream of changes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::Stream;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::error::{ApiError, ApiResult};
use crate::kinds::Kind;
use crate::meta::text;
use crate::request::{Form, Request};
use crate::selector::Selector;
use crate::store::Change;
use crate::table::table;

const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
const LONGEST: u64 = 1_800;

struct Watch {
    cluster: Arc<Cluster>,
    kind: &'static Kind,
    namespace: Option<String>,
    selector: Selector,
    form: Form,
    include: String,
    bookmarks: bool,
    columns_sent: bool,
    seen: u64,
    ready: VecDeque<Bytes>,
    versions: Receiver<u64>,
    stopping: Receiver<bool>,
    end: Instant,
}

/// Starts a watch where the request says: after a version, or with all that is there now.
pub(crate) fn start(
    cluster: &Arc<Cluster>,
    kind: &'static Kind,
    namespace: Option<String>,
    request: &Request,
) -> ApiResult<impl Stream<Item = Result<Bytes, Infallible>> + 'static> {
    let seconds = request.option("timeoutSeconds").parse().unwrap_or(LONGEST).clamp(1, LONGEST);
    let mut watch = Watch {
        kind,
        namespace,
        selector: request.selector()?,
        form: request.form,
        include: request.option("includeObject").to_owned(),
        bookmarks: request.flag("allowWatchBookmarks"),
        columns_sent: false,
        seen: 0,
        ready: VecDeque::new(),
        versions: cluster.store.subscribe(),
        stopping: cluster.stopping.subscribe(),
        end: Instant::now() + Duration::from_secs(seconds),
        cluster: Arc::clone(cluster),
    };
    let initial_events = request.flag("sendInitialEvents");
    match request.option("resourceVersion") {
        version if version.is_empty() || version == "0" || initial_events => watch.send_state(initial_events),
        version => {
            let wrong = || ApiError::bad_request(format!("invalid resource version {version:?}"));
            watch.seen = version.parse().map_err(|_| wrong())?;
            watch.send_changes();
        }
    }
    Ok(futures_util::stream::unfold(watch, |mut watch| async move {
        let bytes = watch.next().await?;
        Some((Ok(bytes), watch))
    }))
}

impl Watch {
    /// The next piece of the stream; `None` ends it, and the client starts a new watch.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.seen == u64::MAX {
                return None;
            }
            let bookmark = Instant::now() + BOOKMARK_EVERY;
            let (stopping, end) = (self.stopping.wait_for(|stopping| *stopping), self.end);
            // The wait for the end of the server borrows the watch, so what follows is done after it.
            let changed = tokio::select! {
                changed = self.versions.changed() => changed.is_ok().then_some(true),
                () = tokio::time::sleep_until(end) => None,
                _ = stopping => None,
                () = tokio::time::sleep_until(bookmark), if self.bookmarks => Some(false),
            };
            if changed? {
                self.send_changes();
            } else {
                self.send_bookmark(false);
            }
        }
    }

    fn send_state(&mut self, mark_end: bool) {
        let (found, version) = Arc::clone(&self.cluster).store.with(|objects| {
            let all = objects.list(self.kind.plural, self.namespace.as_deref());
            let found = all.map(|(_, object)| Arc::clone(object)).filter(|object| self.selector.matches(object));
            (found.collect::<Vec<_>>(), objects.version())
        });
        for object in found {
            self.send("ADDED", &object);
        }
        self.seen = version;
        if mark_end {
            self.send_bookmark(true);
        }
    }

    fn send_changes(&mut self) {
        let changes = Arc::clone(&self.cluster).store.with(|objects| objects.changes_after(self.seen));
        let Some(changes) = changes else {
            let message = format!("too old resource version: {}", self.seen);
            let gone = ApiError::new(410, "Expired", message);
            self.write(&json!({"type": "ERROR", "object": *gone.0}));
            // Nothing is after this version, which is how the stream knows that it is over.
            self.seen = u64::MAX;
            return;
        };
        for change in changes {
            self.seen = change.version;
            self.send_change(&change);
        }
    }

    fn send_change(&mut self, change: &Change) {
        let Change { key, before, after, version } = change;
        if key.plural != self.kind.plural
            || self.namespace.as_ref().is_some_and(|namespace| *namespace != key.namespace)
        {
            return;
        }
        let matching = |object: &Option<Arc<Value>>| object.clone().filter(|object| self.selector.matches(object));
        match (matching(before), matching(after)) {
            (None, Some(object)) => self.send("ADDED", &object),
            (Some(_), Some(object)) => self.send("MODIFIED", &object),
            (Some(before), None) => {
                let mut object = (*before).clone();
                object["metadata"]["resourceVersion"] = json!(version.to_string());
                self.send("DELETED", &object);
            }
            (None, None) => {}
        }
    }

    fn send(&mut self, event: &str, object: &Value) {
        if self.form == Form::Table {
            let version = text(object, "/metadata/resourceVersion");
            let rows = table(self.kind, std::iter::once(object), &self.include, version, !self.columns_sent);
            self.columns_sent = true;
            self.write(&json!({"type": event, "object": rows}));
        } else {
            self.write(&json!({"type": event, "object": object}));
        }
    }

    fn send_bookmark(&mut self, initial_events_end: bool) {
        let mut metadata = json!({"resourceVersion": self.seen.to_string(), "creationTimestamp": null});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": self.kind.name, "apiVersion": self.kind.api_version(), "metadata": metadata});
        self.write(&json!({"type": "BOOKMARK", "object": object}));
    }

    fn write(&mut self, event: &Value) {
        self.ready.push_back(Bytes::from(format!("{event}\n")));
    }
}
