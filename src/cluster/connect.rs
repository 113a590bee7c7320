//! From a kubeconfig to a connection, without a request.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::{Cluster, Error};

/// How long the TCP and TLS handshakes may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Which cluster and namespace to use.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    pub context: Option<String>,
    /// Outranks the kubeconfig's.
    pub namespace: Option<String>,
}

impl Cluster {
    /// Reads the kubeconfig, or the service account when running in a pod.
    pub async fn connect(connection: &Connection) -> Result<Self, Error> {
        let kubeconfig = |source| Error::Kubeconfig { source: Box::new(source) };
        let (mut config, context) = match (Kubeconfig::read(), Config::incluster()) {
            // A kubeconfig that was named and cannot be read is no reason to go elsewhere.
            (Err(_), Ok(config)) if connection.context.is_none() && std::env::var_os("KUBECONFIG").is_none() => {
                (config, None)
            }
            (Err(source), _) => return Err(kubeconfig(source)),
            (Ok(read), _) => {
                let context = connection.context.clone().or_else(|| read.current_context.clone());
                let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
                (Config::from_custom_kubeconfig(read, &options).await.map_err(kubeconfig)?, context)
            }
        };
        config.connect_timeout = Some(CONNECT);
        // Retries are ours to decide: an attempt that may not be repeated must not be, and deadlines are kept.
        config.default_retry = false;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config)
            .map_err(|source| Error::Connect { server: server.clone(), source: Box::new(source) })?;
        Ok(Self { client, server, deadline: None, namespace, context })
    }
}
