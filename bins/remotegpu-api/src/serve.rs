//! `remotegpu-api serve`: everything put together.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use futures_util::future::join_all;
use remotegpu_cluster::KubeClusters;
use remotegpu_control_plane::{
    AuditBuffer, CachedApiKeys, ClaimGate, ClaimPorts, ClaimedClusters, KeyCache, KeyUses,
    MintLimits, PasswordWorkers, ReconcilerPorts, Signals, SweepCounts, follow_key_changes,
    run_reconciler, verify_claims, watch_claims,
};
use remotegpu_dev_cluster::DevCluster;
use remotegpu_http_api::{
    Api, ApiConfig, ApiPorts, PublicUrl, Readiness, ServerLimits, internal_server, public_server,
};
use remotegpu_namespaces::{ClaimRepository, ClusterDirectory};
use remotegpu_primitives::{Clock, InstallationId, StoreError};
use remotegpu_storage::Database;

use crate::{
    clock::{SystemClock, system_rng},
    config::{Config, DatabaseChoice},
    data_dir, dependencies, first_admin, logging, open_files,
    shutdown::Ending,
    tls,
};

/// How long the start waits to learn in which clusters this database acts.
const CLAIMS_WITHIN: Duration = Duration::from_secs(4);

/// Serves until a signal ends it.
pub async fn serve(config: Config) -> Result<()> {
    logging::start(config.log, config.log_json);
    let tls = config.tls.as_ref().map(tls::server_config).transpose()?;
    let limits = ServerLimits {
        workers: config.limits.http_workers,
        max_connections: open_files::make_room(config.max_connections)?,
        keep_alive: config.keep_alive,
    };
    let _lock = match config.database {
        DatabaseChoice::Embedded => {
            data_dir::create(&config.data_dir)?;
            Some(data_dir::lock(&config.data_dir)?)
        }
        DatabaseChoice::Url(_) => None,
    };
    let listener = bind("listen", config.listen)?;
    let internal_listener = bind("internal_listen", config.internal_listen)?;
    let public_url = public_url(&config, listener.local_addr()?)?;

    let database = dependencies::connect_database(&config).await?;
    database.migrate().await.context("database_url")?;
    let (dev_cluster, connection) = if config.runs_dev_cluster() {
        let (cluster, connection) = dependencies::start_dev_cluster(&config).await?;
        (Some(cluster), Some(connection))
    } else {
        (None, None)
    };
    let clusters = dependencies::connect_clusters(&config, connection).await?;
    let (workers, queue) = (config.limits.password_workers, config.limits.password_queue);
    let passwords = PasswordWorkers::new(workers, queue).context("password_workers")?;
    first_admin::create(&config, &database, &passwords, public_url.as_str()).await?;
    let installation = InstallationId::generate(SystemClock.now(), &mut system_rng());
    let settled = database.settle_holder(installation).await;
    settled.context("the database could not be told which one it is")?;

    let shared = Shared::new(&config, database, clusters);
    // So that what is asked first finds clusters open; one that is slow is waited for no
    // longer, and its gate opens later.
    let _ = tokio::time::timeout(CLAIMS_WITHIN, verify_claims(&shared.claim_ports())).await;
    let api = shared.api(&config, public_url.clone(), passwords);
    let mut ending = Ending::listen()?;
    let (server, stopper) = public_server(Arc::clone(&api), listener, tls, limits)?;
    let (internal, internal_stopper) = internal_server(Arc::clone(&api), internal_listener, None)?;
    let mut serving = tokio::spawn(server);
    let internal_serving = tokio::spawn(internal);
    let mut reconciler = tokio::spawn(run_reconciler(shared.reconciler(&config), system_rng()));
    let mut changes = tokio::spawn(shared.clone().follow_changes());
    let mut probes = tokio::spawn(look_at_clusters(shared.clusters.clone()));
    let claim_ports = shared.claim_ports();
    let mut claims = tokio::spawn(async move { watch_claims(&claim_ports).await });
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
        // Without it nothing ends in the clusters any more: better no server.
        ended = &mut reconciler => {
            bail!("the reconciler stopped: {ended:?}");
        }
        // Without it every request would ask the database.
        ended = &mut changes => {
            bail!("changes of keys are no longer followed: {ended:?}");
        }
        // Without it a cluster that nobody uses keeps the state that it had.
        ended = &mut probes => {
            bail!("the clusters are no longer looked at: {ended:?}");
        }
        // Without it this instance might go on where another database acts by now. (It
        // ends by itself where no cluster is configured.)
        ended = &mut claims, if !shared.clusters.list().is_empty() => {
            bail!("the clusters' claims are no longer looked at: {ended:?}");
        }
    }
    ending.drain(&api, config.drain).await;
    stopper.stop().await;
    reconciler.abort();
    changes.abort();
    probes.abort();
    claims.abort();
    // First what is few and nowhere else.
    if let Err(error) = shared.audit.flush(&shared.database).await {
        tracing::warn!(
            lost = shared.audit.waiting(),
            error = &error as &dyn std::error::Error,
            "the last audit events were not written down"
        );
    }
    let flushed = shared.uses.flush(&shared.database, SystemClock.now()).await;
    if let Err(error) = flushed {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the last uses of keys were not written down"
        );
    }
    internal_stopper.stop_now().await;
    let _ = tokio::join!(serving, internal_serving);
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
    audit: Arc<AuditBuffer>,
    sweeps: Arc<SweepCounts>,
    key_cache: Arc<KeyCache>,
}

impl Shared {
    fn new(config: &Config, database: Database, clusters: KubeClusters) -> Self {
        let names = clusters.list().into_iter().map(|cluster| cluster.name);
        Self {
            gate: Arc::new(ClaimGate::new(names)),
            database,
            clusters,
            signals: Arc::default(),
            uses: Arc::new(KeyUses::new(config.keys.record_last_use)),
            audit: Arc::default(),
            sweeps: Arc::default(),
            key_cache: Arc::new(KeyCache::new(config.keys.cache_size)),
        }
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
        follow_key_changes(&self.database, &self.key_cache).await;
    }

    fn api(&self, config: &Config, public_url: PublicUrl, passwords: PasswordWorkers) -> Arc<Api> {
        let database = Arc::new(self.database.clone());
        let clusters = self.claimed_clusters();
        let api_config = ApiConfig {
            public_url,
            extra_hosts: config.extra_hosts.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            sign_up_open: config.sign_up_open,
            key_limit: config.key_limit,
            namespace_limit: config.namespace_limit,
            session_policy: config.session_policy,
            token_lifetime: config.token_lifetime,
            request_concurrency: config.limits.request_concurrency,
        };
        let limits = &config.limits;
        let mint_limits = MintLimits::new(
            self.clusters.list().into_iter().map(|cluster| cluster.name),
            limits.mint_concurrency,
            limits.mint_queue,
            limits.mint_rate,
            limits.mint_burst,
        );
        let ports = ApiPorts {
            users: database.clone(),
            sessions: database.clone(),
            attempts: database.clone(),
            keys: Arc::new(CachedApiKeys::new(
                database.clone(),
                Arc::clone(&self.key_cache),
            )),
            key_cache: Arc::clone(&self.key_cache),
            namespaces: database.clone(),
            identities: database.clone(),
            known_identities: Arc::default(),
            clusters: clusters.clone(),
            mint: clusters,
            passwords,
            mint_limits: Arc::new(mint_limits),
            signals: Arc::clone(&self.signals),
            uses: Arc::clone(&self.uses),
            audit: Arc::clone(&self.audit),
            audit_log: database.clone(),
            backlog: database,
            sweeps: Arc::clone(&self.sweeps),
            readiness: Arc::new(DatabaseReadiness(self.database.clone())),
            clock: Arc::new(SystemClock),
        };
        Api::new(api_config, ports)
    }

    fn reconciler(&self, config: &Config) -> ReconcilerPorts {
        let database = Arc::new(self.database.clone());
        let clusters = self.claimed_clusters();
        ReconcilerPorts {
            accounts: database.clone(),
            clusters: clusters.clone(),
            keys: database.clone(),
            sessions: database.clone(),
            session_policy: config.session_policy,
            namespaces: database.clone(),
            held: database.clone(),
            claims: self.claim_ports(),
            identities: database.clone(),
            provisioner: clusters.clone(),
            mint: clusters,
            signals: Arc::clone(&self.signals),
            sweeps: Arc::clone(&self.sweeps),
            uses: Arc::clone(&self.uses),
            audit: Arc::clone(&self.audit),
            audit_log: database,
            audit_retention: config.audit_retention,
            clock: Arc::new(SystemClock),
        }
    }
}

/// An instance is ready when its store is (contract R4).
struct DatabaseReadiness(Database);

/// Whoever asks for readiness gives up sooner than somebody who wants an answer.
const READINESS_TIMEOUT: Duration = Duration::from_secs(2);

#[async_trait]
impl Readiness for DatabaseReadiness {
    async fn check(&self) -> Result<(), StoreError> {
        match tokio::time::timeout(READINESS_TIMEOUT, self.0.ping()).await {
            Ok(answer) => answer,
            Err(late) => Err(StoreError::Unavailable(Some(Box::new(late)))),
        }
    }
}

fn bind(key: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("{key}: {address} cannot be listened on"))
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

/// Asks the clusters how they are, for the list of clusters and for those who
/// make namespaces: a cluster that is known to be down is not waited for.
async fn probe_clusters(clusters: &KubeClusters) {
    let names: Vec<_> = clusters
        .list()
        .into_iter()
        .map(|cluster| cluster.name)
        .collect();
    loop {
        // At the same time: one that hangs keeps no other waiting.
        let probe = async |name| {
            if let Err(error) = clusters.probe(name).await {
                tracing::warn!(
                    cluster = %name,
                    error = &error as &dyn std::error::Error,
                    "a cluster does not answer"
                );
            }
        };
        join_all(names.iter().map(probe)).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
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
        DatabaseChoice::Url(url) => crate::config::hide_password(url),
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
    eprintln!(
        "RemoteGPU API serves on {}\n  API reference: {}/docs\n  database:      {store}\n  \
         clusters:      {clusters}",
        public_url.as_str(),
        public_url.as_str()
    );
}
