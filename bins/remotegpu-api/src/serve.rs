//! `remotegpu-api serve`: everything put together.

mod fronts;

use std::{
    future::pending,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures_util::{
    FutureExt,
    future::{OptionFuture, join_all},
};
use remotegpu_cluster::KubeClusters;
use remotegpu_control_plane::{
    AccessTokenUses, AuditBuffer, ClaimGate, ClaimPorts, ClaimedClusters, ClusterCredentials,
    IdentityUses, KeyCache, KeyUses, PasswordWorkers, ReconcilerCounts, ReconcilerPorts, Signals,
    SweepCounts, follow_key_changes, release_sweeps, run_reconciler, verify_claims, watch_claims,
};
use remotegpu_dev_cluster::DevCluster;
use remotegpu_edge::{PublicUrl, ServerLimits, internal_server, public_server, webhook_server};
use remotegpu_http_api::{ELSEWHERE, internal_front, public_front};
use remotegpu_namespaces::{ClaimRepository, ClusterDirectory};
use remotegpu_primitives::{Clock, InstallationId, InstanceId};
use remotegpu_storage::{Database, RestoreWatch};
use tokio::task::JoinSet;

use crate::{
    clock::{SystemClock, system_rng},
    config::{Config, DatabaseChoice, SchemaAtStart},
    data_dir, dependencies, first_admin,
    followed_files::FollowedFiles,
    logging, open_files, output,
    redaction::without_passwords,
    schema,
    shutdown::Ending,
    tls::OwnCertificate,
    watch_database::{self, Remembered},
    webhook_credential,
};

/// How long the start waits to learn in which clusters this database acts.
const CLAIMS_WITHIN: Duration = Duration::from_secs(4);

/// Serves until a signal ends it.
pub async fn serve(config: Config) -> Result<()> {
    logging::start(config.log, config.log_json);
    let files = FollowedFiles::look(&config);
    let certificate = config.tls.as_ref().map(OwnCertificate::read).transpose()?;
    let limits = ServerLimits {
        workers: config.limits.http_workers,
        max_connections: open_files::make_room(config.max_connections)?,
        keep_alive: config.keep_alive,
    };
    // Who waits for `remotegpu-api migrate` must not keep it out.
    let mut lock = None;
    if config.schema_at_start == SchemaAtStart::BringUpToDate {
        lock = data_dir::lock_for(&config)?;
    }
    let listener = bind("listen", config.listen)?;
    let internal_listener = bind("internal_listen", config.internal_listen)?;
    let (webhook_listener, webhook_certificate) = webhook_listener(&config)?.unzip();
    let public_url = public_url(&config, listener.local_addr()?)?;

    let database = dependencies::connect_database(&config).await?;
    let watch = database.watch_for_restore();
    schema::refuse_too_new(&database).await?;
    let (dev_cluster, connection) = if config.runs_dev_cluster() {
        let (cluster, connection) = dependencies::start_dev_cluster(&config).await?;
        (Some(cluster), Some(connection))
    } else {
        (None, None)
    };
    let clusters = dependencies::connect_clusters(&config, connection).await?;
    let (workers, queue) = (config.limits.password_workers, config.limits.password_queue);
    let passwords = PasswordWorkers::new(workers, queue).context("password_workers")?;

    let shared = Shared::new(&config, database, clusters);
    let webhooks = shared.webhooks(&config, dev_cluster.as_ref());
    let (edge, api, console) = shared.edge_and_fronts(&config, public_url.clone(), &passwords);
    let mut ending = Ending::listen()?;
    let tls = certificate.as_ref().map(OwnCertificate::server_config);
    // From here on `/livez` answers: the schema may take its time, and whoever watches
    // the process must not end it for that.
    edge.close();
    // The pages before the API, which knows none.
    let pages = console.map(|console| remotegpu_console::front(&console, ELSEWHERE));
    let fronts = pages.into_iter().chain([public_front(&api)]).collect();
    let (server, stopper) = public_server(Arc::clone(&edge), fronts, listener, tls, limits)?;
    let fronts = vec![internal_front(&api)];
    let (internal, internal_stopper) =
        internal_server(Arc::clone(&edge), fronts, internal_listener, None)?;
    let asked = webhook_listener.zip(webhook_certificate.as_ref());
    let asked = asked.map(|(listener, certificate)| {
        let fronts = vec![remotegpu_webhooks::front(&webhooks)];
        webhook_server(
            Arc::clone(&edge),
            fronts,
            listener,
            certificate.server_config(),
        )
    });
    let (webhook, webhook_stopper) = asked.transpose()?.unzip();
    let mut serving = tokio::spawn(server);
    let internal_serving = tokio::spawn(internal);
    let webhook_serving = OptionFuture::from(webhook.map(tokio::spawn));
    tokio::select! {
        prepared = schema::prepare(&config, &shared.database) => prepared?,
        () = ending.next() => {
            // Nothing runs yet, and what a migration has begun the database takes back;
            // one that is under way would otherwise be waited for.
            tracing::info!("ended before the database was ready");
            std::process::exit(0);
        }
    }
    // Held until the server has ended.
    let _lock = match lock {
        None => data_dir::lock_for(&config)?,
        lock => lock,
    };
    shared.prepare(&config, &passwords, &public_url).await?;
    drop(passwords);
    edge.open().await;
    let certificates = certificate.into_iter().chain(webhook_certificate).collect();
    let mut beside = shared.beside(&config, watch, files, certificates);
    announce(
        &config,
        &public_url,
        dev_cluster.as_ref().map(DevCluster::server_url),
    );

    tokio::select! {
        () = ending.next() => {}
        ended = &mut serving => {
            bail!("the API stopped serving: {ended:?}");
        }
        ended = beside.join_next() => {
            bail!("the server cannot go on: {ended:?}");
        }
    }
    ending.drain(&edge, config.drain).await;
    stopper.stop().await;
    if let Some(stopper) = webhook_stopper {
        stopper.stop().await;
    }
    beside.shutdown().await;
    shared.write_down().await;
    internal_stopper.stop_now().await;
    let _ = tokio::join!(serving, internal_serving, webhook_serving);
    if let Some(dev_cluster) = dev_cluster {
        dev_cluster.stop().await;
    }
    tracing::info!("ended");
    Ok(())
}

/// What the API and the reconciler share.
#[derive(Clone)]
struct Shared {
    database: Database,
    clusters: KubeClusters,
    /// Where this database acts; the clusters behind it are what all acts get.
    gate: Arc<ClaimGate>,
    signals: Arc<Signals>,
    uses: Arc<KeyUses>,
    access_token_uses: Arc<AccessTokenUses>,
    /// By what clusters are known that ask; of none, where none can.
    cluster_credentials: Arc<ClusterCredentials>,
    identity_uses: Arc<IdentityUses>,
    audit: Arc<AuditBuffer>,
    sweeps: Arc<SweepCounts>,
    work: Arc<ReconcilerCounts>,
    remembered: Remembered,
    instance: InstanceId,
}

impl Shared {
    fn new(config: &Config, database: Database, clusters: KubeClusters) -> Self {
        let names = clusters.list().into_iter().map(|cluster| cluster.name);
        let asking = config.clusters.iter().filter(|_| config.webhook.is_some());
        let asking = asking.map(|cluster| cluster.name.clone());
        Self {
            gate: Arc::new(ClaimGate::new(names)),
            database,
            clusters,
            signals: Arc::default(),
            uses: Arc::new(KeyUses::new(config.keys.record_last_use)),
            access_token_uses: Arc::new(AccessTokenUses::new(config.keys.record_last_use)),
            cluster_credentials: Arc::new(ClusterCredentials::new(asking)),
            identity_uses: Arc::default(),
            audit: Arc::default(),
            sweeps: Arc::default(),
            work: Arc::default(),
            remembered: Remembered {
                keys: Arc::new(KeyCache::new(config.keys.cache_size)),
                identities: Arc::default(),
                notice: Arc::default(),
            },
            instance: InstanceId::generate(SystemClock.now(), &mut system_rng()),
        }
    }

    /// Makes the first administrator, and learns in which clusters the database acts.
    async fn prepare(
        &self,
        config: &Config,
        passwords: &PasswordWorkers,
        public_url: &PublicUrl,
    ) -> Result<()> {
        first_admin::create(config, &self.database, passwords, public_url.as_str()).await?;
        let installation = InstallationId::generate(SystemClock.now(), &mut system_rng());
        let settled = self.database.settle_holder(installation).await;
        settled.context("the database could not be told which one it is")?;
        if config.webhook.is_some() {
            webhook_credential::read(&self.database, &self.cluster_credentials).await?;
        }
        // So that what is asked first finds clusters open; one that is slow is waited for
        // no longer, and its gate opens later.
        let claim_ports = self.claim_ports();
        let verified = verify_claims(&claim_ports);
        let _ = tokio::time::timeout(CLAIMS_WITHIN, verified).await;
        Ok(())
    }

    /// Starts what runs beside answering. None of it ends by itself, and a server that
    /// has lost a part of it is better ended.
    fn beside(
        &self,
        config: &Config,
        watch: RestoreWatch,
        files: FollowedFiles,
        certificates: Vec<Arc<OwnCertificate>>,
    ) -> JoinSet<&'static str> {
        let mut beside = JoinSet::new();
        // Without it nothing ends in the clusters any more.
        let reconciling = self.clone().reconcile(self.reconciler(config));
        beside.spawn(reconciling.map(|()| "the reconciler stopped"));
        // Without it a restored database would be taken for the one before.
        let watching = watch_database::watch(watch, self.remembered.clone());
        beside.spawn(watching.map(|never| match never {}));
        // Without it every request would ask the database.
        let changes = self.clone().follow_changes();
        beside.spawn(changes.map(|()| "changes of keys are no longer followed"));
        // Without it a cluster that nobody uses keeps the state that it had.
        let looking = look_at_clusters(self.clusters.clone());
        beside.spawn(looking.map(|()| "the clusters are no longer looked at"));
        // Without it certificates end under a server that seems well.
        let following = files.follow(self.clusters.clone(), certificates);
        beside.spawn(following.map(|()| "changed files are no longer looked for"));
        // Without it a credential that was rotated away would count on here.
        if config.webhook.is_some() {
            let (database, known) = (self.database.clone(), Arc::clone(&self.cluster_credentials));
            let following = async move { webhook_credential::follow(&database, &known).await };
            beside.spawn(following.map(|never| match never {}));
        }
        // Without it this instance might go on where another database acts by now.
        let (ports, has_any) = (self.claim_ports(), !self.clusters.list().is_empty());
        beside.spawn(async move {
            watch_claims(&ports).await;
            if !has_any {
                pending::<()>().await;
            }
            "the clusters' claims are no longer looked at"
        });
        beside
    }

    /// Writes down what is only remembered so far, and lets another instance sweep at
    /// once what this one did, which has ended.
    async fn write_down(&self) {
        if let Err(error) = release_sweeps(&self.database, self.instance).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the clusters that this instance has swept are swept again in a few seconds only"
            );
        }
        // First what is few and nowhere else.
        let (database, now) = (&self.database, SystemClock.now());
        self.audit.drain(database, now).await;
        self.uses.drain(database, now).await;
        self.access_token_uses.drain(database, now).await;
        self.identity_uses.drain(database, now).await;
    }

    fn claimed_clusters(&self) -> Arc<ClaimedClusters<KubeClusters>> {
        let clusters = Arc::new(self.clusters.clone());
        Arc::new(ClaimedClusters::new(clusters, Arc::clone(&self.gate)))
    }

    fn claim_ports(&self) -> ClaimPorts {
        let database = Arc::new(self.database.clone());
        let clusters = Arc::new(self.clusters.clone());
        ClaimPorts {
            claims: database.clone(),
            clusters: clusters.clone(),
            namespaces: database,
            provisioner: clusters.clone(),
            directory: clusters,
            gate: Arc::clone(&self.gate),
            clock: Arc::new(SystemClock),
        }
    }

    async fn follow_changes(self) {
        follow_key_changes(&self.database, &self.remembered.keys).await;
    }

    /// Works until the database is another: what is written there is not what the
    /// clusters are to follow.
    async fn reconcile(self, ports: ReconcilerPorts) {
        tokio::select! {
            () = run_reconciler(ports, system_rng()) => {}
            () = self.remembered.notice.given() => pending().await,
        }
    }

    fn reconciler(&self, config: &Config) -> ReconcilerPorts {
        let database = Arc::new(self.database.clone());
        let clusters = self.claimed_clusters();
        ReconcilerPorts {
            accounts: database.clone(),
            clusters: clusters.clone(),
            keys: database.clone(),
            access_tokens: database.clone(),
            dead_key_retention: config.dead_key_retention,
            kubeconfig_tokens: database.clone(),
            sessions: database.clone(),
            forms: database.clone(),
            session_policy: config.session_policy,
            namespaces: database.clone(),
            held: database.clone(),
            claims: self.claim_ports(),
            identities: database.clone(),
            provisioner: clusters.clone(),
            mint: clusters,
            signals: Arc::clone(&self.signals),
            sweeps: Arc::clone(&self.sweeps),
            counts: Arc::clone(&self.work),
            leases: database.clone(),
            instance: self.instance,
            sweep_every: config.sweep_every,
            uses: Arc::clone(&self.uses),
            access_token_uses: Arc::clone(&self.access_token_uses),
            identity_uses: Arc::clone(&self.identity_uses),
            audit: Arc::clone(&self.audit),
            audit_log: database,
            audit_retention: config.audit_retention,
            clock: Arc::new(SystemClock),
        }
    }
}

fn bind(key: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("{key}: {address} cannot be listened on"))
}

/// Where clusters ask, if anywhere, and what they are shown there.
fn webhook_listener(config: &Config) -> Result<Option<(TcpListener, Arc<OwnCertificate>)>> {
    let Some(webhook) = &config.webhook else {
        return Ok(None);
    };
    let certificate = OwnCertificate::read(&webhook.tls)?;
    Ok(Some((bind("webhook_listen", webhook.listen)?, certificate)))
}

/// Contract C8: what is configured, or the address really bound.
fn public_url(config: &Config, bound: SocketAddr) -> Result<PublicUrl> {
    if let Some(url) = &config.public_url {
        return Ok(url.clone());
    }
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    Ok(PublicUrl::parse(&format!("{scheme}://{bound}"))?)
}

async fn look_at_clusters(clusters: KubeClusters) {
    tokio::join!(probe_clusters(&clusters), keep_clusters_warm(&clusters));
}

/// Looks how the clusters are, for the list of clusters and for those who make
/// namespaces: a cluster that is known to be down is not waited for.
async fn probe_clusters(clusters: &KubeClusters) {
    let names: Vec<_> = clusters
        .list()
        .into_iter()
        .map(|cluster| cluster.name)
        .collect();
    // Each by itself: one that hangs keeps no other waiting.
    join_all(names.iter().map(|name| clusters.watch(name))).await;
    // Where there are none there is nothing to look at.
    pending::<()>().await;
}

async fn keep_clusters_warm(clusters: &KubeClusters) {
    loop {
        tokio::time::sleep(Duration::from_secs(30)).await;
        clusters.keep_warm().await;
    }
}

fn announce(config: &Config, public_url: &PublicUrl, dev_cluster: Option<String>) {
    let store = match &config.database {
        DatabaseChoice::Embedded => format!("SQLite in {}", config.data_dir.display()),
        DatabaseChoice::Url(url) => without_passwords(url),
    };
    let clusters = match dev_cluster {
        Some(url) => format!("the embedded development cluster on {url}; it runs no containers"),
        None if config.clusters.is_empty() => {
            "none, so that no namespaces can be made; see the setting clusters".to_owned()
        }
        None => {
            let names: Vec<&str> = config
                .clusters
                .iter()
                .map(|cluster| cluster.name.as_str())
                .collect();
            names.join(", ")
        }
    };
    output::note(format_args!(
        "RemoteGPU API serves on {}\n  API reference: {}/docs\n  database:      {store}\n  \
         clusters:      {clusters}",
        public_url.as_str(),
        public_url.as_str()
    ));
}
