//! PostgreSQL tells by LISTEN and NOTIFY.
//!
//! That nothing is heard may mean that nothing has changed, or that nobody
//! listens any more: a connection that hangs, a pooler in between that gives the
//! connection to others. So each subscription calls out to itself once a second,
//! over a second connection: what a backend notifies itself would come back with
//! the statement's own answer, and prove nothing. PostgreSQL delivers in the order
//! of commits: who hears the call has heard everything that was committed before it.

use std::{
    collections::VecDeque,
    future::poll_fn,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use remotegpu_keys::{KeyChange, KeyChangeSubscription, KeyNews};
use remotegpu_primitives::StoreError;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};
use uuid::Uuid;

use super::change_of;
use crate::{
    error::{ConnectError, Failure},
    postgres::PgManager,
};

/// The channel that the triggers of `migrations/postgres` notify.
const CHANNEL: &str = "remotegpu_key_changes";
/// How often a subscription calls out to itself.
const CALL_EVERY: Duration = Duration::from_secs(1);
/// How long it waits to hear itself.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that listens, and one that calls.
pub struct Subscription {
    heard: UnboundedReceiver<String>,
    _listener: (Client, Driver),
    caller: AsyncPgConnection,
    /// What its calls begin with; nobody else's do.
    name: Uuid,
    calls: u64,
    /// The call that it waits to hear, and when it was made.
    called: Option<(String, Instant)>,
    last_call: Instant,
    waiting: VecDeque<KeyNews>,
}

impl Subscription {
    pub async fn open(manager: &PgManager) -> Result<Self, Failure> {
        let (tell, heard) = unbounded_channel();
        let connecting = async {
            let (client, driver) = match manager.tls() {
                None => {
                    let (client, connection) = manager.config().connect(NoTls).await?;
                    (client, Driver(tokio::spawn(drive(connection, tell))))
                }
                Some(tls) => {
                    let (client, connection) = manager.config().connect(tls.clone()).await?;
                    (client, Driver(tokio::spawn(drive(connection, tell))))
                }
            };
            client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
            Ok::<_, ConnectError>((client, driver))
        };
        let connected = timeout(CALL_TIMEOUT, connecting).await;
        let listener = connected.map_err(|_| Failure::TimedOut)??;
        let caller = timeout(CALL_TIMEOUT, manager.open(CALL_TIMEOUT)).await;
        let caller = caller.map_err(|_| Failure::TimedOut)??;
        let mut subscription = Self {
            heard,
            _listener: listener,
            caller,
            name: Uuid::new_v4(),
            calls: 0,
            called: None,
            last_call: Instant::now(),
            waiting: VecDeque::new(),
        };
        subscription.call().await?;
        Ok(subscription)
    }

    async fn call(&mut self) -> Result<(), Failure> {
        self.calls += 1;
        let call = format!("call {} {}", self.name, self.calls);
        let now = Instant::now();
        (self.last_call, self.called) = (now, Some((call.clone(), now)));
        let statement = format!("NOTIFY {CHANNEL}, '{call}'");
        let sent = timeout(CALL_TIMEOUT, self.caller.batch_execute(&statement)).await;
        Ok(sent.map_err(|_| Failure::TimedOut)??)
    }

    /// What to do next, and by when at the latest.
    fn deadline(&self) -> Instant {
        match self.called {
            Some((_, when)) => when + CALL_TIMEOUT,
            None => self.last_call + CALL_EVERY,
        }
    }

    fn understand(&mut self, told: &str) -> Option<KeyNews> {
        if let Some((call, when)) = &self.called
            && call == told
        {
            let when = *when;
            self.called = None;
            return Some(KeyNews::UpTo(when));
        }
        let change = match told.split_once(' ') {
            // Another instance's call, or an older one of this.
            Some(("call", _)) => return None,
            Some((kind, subject)) => match Uuid::try_parse(subject) {
                Ok(subject) => change_of(kind, subject),
                Err(_) => KeyChange::Everything,
            },
            None => KeyChange::Everything,
        };
        Some(KeyNews::Changed(change))
    }

    async fn listen(&mut self) -> Result<KeyNews, Failure> {
        loop {
            if let Some(news) = self.waiting.pop_front() {
                return Ok(news);
            }
            let left = self.deadline().saturating_duration_since(Instant::now());
            match timeout(left, self.heard.recv()).await {
                Ok(Some(told)) => {
                    let news = self.understand(&told);
                    self.waiting.extend(news);
                }
                Ok(None) => return Err(ConnectError::Closed.into()),
                Err(_) if self.called.is_some() => return Err(Failure::TimedOut),
                Err(_) => self.call().await?,
            }
        }
    }
}

#[async_trait]
impl KeyChangeSubscription for Subscription {
    async fn next(&mut self) -> Result<KeyNews, StoreError> {
        Ok(self.listen().await?)
    }
}

/// The task that reads a connection; it ends with this, however far it came.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reads the connection until it ends, and passes on what is notified.
async fn drive<S, T>(mut connection: Connection<S, T>, tell: UnboundedSender<String>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                if tell.send(notification.payload().to_owned()).is_err() {
                    return;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the connection that listens for changes of keys has ended"
                );
                return;
            }
            None => return,
        }
    }
}
