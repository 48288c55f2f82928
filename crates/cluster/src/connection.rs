//! From a kubeconfig to the clients that ask a cluster.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Uri;
use kube::{
    Config,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use remotegpu_namespaces::{Cluster, ClusterError, ClusterName};

use crate::{
    cluster::{CONNECT_WITHIN, KubeCluster},
    credential::{Credential, Renewal, RenewedToken},
    marked_files::{take_authority_in, take_identity_in},
    transport::Transport,
};

/// How one configured cluster is reached, and what customers see of it.
#[derive(Clone)]
pub struct ClusterConnection {
    /// What the API calls it.
    pub name: ClusterName,
    /// What people call it.
    pub title: String,
    /// The text of a kubeconfig, as YAML, that the control plane reaches it
    /// with. It may hold secrets.
    pub kubeconfig: String,
    /// The context to take; the kubeconfig's current one where absent.
    pub context: Option<String>,
    /// What the kubeconfigs that are handed out name as server; what `kubeconfig`
    /// names where absent.
    pub public_server: Option<String>,
    /// The CA that they hold, as PEM; that of `kubeconfig` where absent.
    pub public_ca_pem: Option<String>,
}

/// A cluster cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The text is none. The parser's own words are left out: they quote the
    /// text, and it holds secrets.
    #[error("cluster {cluster}: its kubeconfig is not a kubeconfig in YAML")]
    Unreadable {
        /// The cluster.
        cluster: String,
    },
    /// Nothing says which context to take.
    #[error("cluster {cluster}: its kubeconfig has no current context, and none is configured")]
    NoContext {
        /// The cluster.
        cluster: String,
    },
    /// The context is not there, or names a cluster that is not there.
    #[error("cluster {cluster}: its kubeconfig has no context {context} with a cluster")]
    UnknownContext {
        /// The cluster.
        cluster: String,
        /// The context that was looked for.
        context: String,
    },
    /// Tokens would travel in the clear.
    #[error("cluster {cluster}: its server {server} is not an https URL")]
    NotHttps {
        /// The cluster.
        cluster: String,
        /// What is named as server.
        server: String,
    },
    /// Customers' kubeconfigs name it, and so do errors.
    #[error("cluster {cluster}: its server must hold no user and no password")]
    HoldsPassword {
        /// The cluster.
        cluster: String,
    },
    /// Anybody could stand in for it.
    #[error(
        "cluster {cluster}: its kubeconfig has insecure-skip-tls-verify; name its certificate authority instead"
    )]
    Unverified {
        /// The cluster.
        cluster: String,
    },
    /// Proxies are not spoken to.
    #[error("cluster {cluster}: its kubeconfig names a proxy, and proxies are not supported")]
    Proxy {
        /// The cluster.
        cluster: String,
    },
    /// A file that the kubeconfig names, or data in it, is no good.
    #[error("cluster {cluster}: what its kubeconfig names as certificates or keys cannot be read")]
    Unusable {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The credential cannot be had. The client's own words are left out: they
    /// quote what a plugin printed.
    #[error("cluster {cluster}: the credential that its kubeconfig names cannot be used")]
    Credential {
        /// The cluster.
        cluster: String,
    },
    /// The client cannot be made.
    #[error("cluster {cluster}: its certificates or keys cannot be used")]
    Client {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        #[source]
        source: Box<kube::Error>,
    },
    /// Two clusters have one name.
    #[error("cluster {cluster}: its name is configured twice")]
    Twice {
        /// The cluster.
        cluster: String,
    },
    /// An object that a cluster needs beforehand could not be put there.
    #[error("cluster {cluster}: {object} could not be applied")]
    Prerequisite {
        /// The cluster.
        cluster: String,
        /// Kind and name of the object.
        object: String,
        /// Why.
        #[source]
        source: ClusterError,
    },
    /// The control plane's own credential could not be minted.
    #[error("cluster {cluster}: the control plane's credential could not be minted")]
    ControlPlane {
        /// The cluster.
        cluster: String,
        /// Why.
        #[source]
        source: ClusterError,
    },
}

impl ClusterConnection {
    /// The files that the kubeconfig names and that are read once: certificates and keys.
    /// Tokens in files are read again by themselves.
    pub fn files(&self) -> Vec<PathBuf> {
        let Ok(kubeconfig) = parse(self.name.as_str(), &self.kubeconfig) else {
            return Vec::new();
        };
        let clusters = kubeconfig.clusters.into_iter();
        let clusters = clusters.filter_map(|named| named.cluster?.certificate_authority);
        let users = kubeconfig.auth_infos.into_iter();
        let users = users.filter_map(|named| named.auth_info);
        let users = users.flat_map(|user| [user.client_certificate, user.client_key]);
        clusters.chain(users.flatten()).map(PathBuf::from).collect()
    }

    /// Makes the clients. The cluster does not need to be up.
    pub(crate) async fn open(self) -> Result<KubeCluster, ConnectError> {
        let Self {
            name,
            title,
            kubeconfig,
            context,
            public_server,
            public_ca_pem,
        } = self;
        let opened = Opened::read(name.as_str(), &kubeconfig, context.as_deref()).await?;
        let server = public_server.unwrap_or_else(|| opened.server.clone());
        check_server(name.as_str(), &server)?;
        let known = Cluster {
            certificate_authority_pem: public_ca_pem.or_else(|| opened.ca_pem()),
            name,
            title,
            server,
        };
        let plain = opened.plain_transport()?;
        let credential = match &opened.renewal {
            None => Credential::Kubeconfig(opened.transport()?),
            Some(renewal) => {
                let context = Some(renewal.context.as_str());
                let admin = Opened::read(known.name.as_str(), &kubeconfig, context).await?;
                Credential::Renewed(RenewedToken::new(admin.transport()?, renewal))
            }
        };
        Ok(KubeCluster::new(known, opened.server, plain, credential))
    }
}

/// One context of a kubeconfig.
pub(crate) struct Opened {
    /// What errors call the cluster.
    pub(crate) cluster: String,
    /// The server, in the kubeconfig's own words.
    pub(crate) server: String,
    /// How the context's credential is renewed, where its user says so.
    pub(crate) renewal: Option<Renewal>,
    config: Config,
}

impl Opened {
    /// Reads a kubeconfig; `label` is what errors call the cluster.
    pub(crate) async fn read(
        label: &str,
        text: &str,
        context: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let cluster = label.to_owned();
        let mut kubeconfig = parse(label, text)?;
        let context = find_context(label, &kubeconfig, context)?;
        let entry = kubeconfig
            .contexts
            .iter()
            .find(|named| named.name == context)
            .and_then(|named| named.context.as_ref())
            .map(|entry| entry.cluster.clone());
        let found = kubeconfig
            .clusters
            .iter_mut()
            .find(|named| Some(&named.name) == entry.as_ref())
            .and_then(|named| named.cluster.as_mut());
        let Some(found) = found else {
            return Err(ConnectError::UnknownContext { cluster, context });
        };
        let server = found.server.clone().unwrap_or_default();
        check_server(label, &server)?;
        if found.insecure_skip_tls_verify == Some(true) {
            return Err(ConnectError::Unverified { cluster });
        }
        if found.proxy_url.as_ref().is_some_and(|url| !url.is_empty()) {
            return Err(ConnectError::Proxy { cluster });
        }
        // The loader asks the environment for a proxy where the kubeconfig names
        // none; what nobody configured is not to be read, so it is given one here,
        // which is taken away again.
        found.proxy_url = Some("http://none.invalid".to_owned());
        take_authority_in(found);
        for named in &mut kubeconfig.auth_infos {
            named.auth_info.iter_mut().for_each(take_identity_in);
        }
        let options = KubeConfigOptions {
            context: Some(context),
            ..KubeConfigOptions::default()
        };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|source| ConnectError::Unusable {
                cluster: cluster.clone(),
                source: Box::new(source),
            })?;
        config.proxy_url = None;
        let exec = config.auth_info.exec.as_mut();
        if let Some(told) = exec.and_then(|exec| exec.cluster.as_mut()) {
            told.proxy_url = None;
        }
        Ok(Self {
            cluster,
            server,
            renewal: Renewal::of(&config.auth_info),
            config,
        })
    }

    /// A way to the cluster that is who the context's user is.
    pub(crate) fn transport(&self) -> Result<Transport, ConnectError> {
        self.transport_of(&self.config)
    }

    /// One that is nobody: requests bring their own credential. It has no
    /// client certificate either, which would count for more than a token.
    pub(crate) fn plain_transport(&self) -> Result<Transport, ConnectError> {
        let mut config = self.config.clone();
        config.auth_info = AuthInfo::default();
        self.transport_of(&config)
    }

    fn transport_of(&self, config: &Config) -> Result<Transport, ConnectError> {
        let cluster = self.cluster.clone();
        Transport::new(config, CONNECT_WITHIN).map_err(|error| match error {
            kube::Error::Auth(_) => ConnectError::Credential { cluster },
            error => ConnectError::Client {
                cluster,
                source: Box::new(error),
            },
        })
    }

    /// The CA of the kubeconfig, from wherever it took it.
    fn ca_pem(&self) -> Option<String> {
        let certificates = self.config.root_cert.as_ref()?;
        Some(certificates.iter().map(|der| pem(der)).collect())
    }
}

/// Reads a kubeconfig's text.
pub(crate) fn parse(label: &str, text: &str) -> Result<Kubeconfig, ConnectError> {
    Kubeconfig::from_yaml(text).map_err(|_| ConnectError::Unreadable {
        cluster: label.to_owned(),
    })
}

/// The context that is configured, else the current one.
pub(crate) fn find_context(
    label: &str,
    kubeconfig: &Kubeconfig,
    context: Option<&str>,
) -> Result<String, ConnectError> {
    let current = kubeconfig.current_context.as_deref();
    let context = context.or(current).filter(|name| !name.is_empty());
    let context = context.map(str::to_owned);
    context.ok_or_else(|| ConnectError::NoContext {
        cluster: label.to_owned(),
    })
}

fn check_server(label: &str, server: &str) -> Result<(), ConnectError> {
    if server.contains('@') {
        return Err(ConnectError::HoldsPassword {
            cluster: label.to_owned(),
        });
    }
    let url: Option<Uri> = server.parse().ok();
    let https = |url: &Uri| url.scheme_str() == Some("https") && url.host().is_some();
    if url.as_ref().is_some_and(https) {
        return Ok(());
    }
    Err(ConnectError::NotHttps {
        cluster: label.to_owned(),
        server: server.to_owned(),
    })
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = String::from("-----BEGIN CERTIFICATE-----\n");
    for (place, letter) in text.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            lines.push('\n');
        }
        lines.push(letter);
    }
    lines.push_str("\n-----END CERTIFICATE-----\n");
    lines
}
