//! A world of its own for each test: a namespace, a service in it, a folder with phase files, and proxies before both
//! servers that record every request and make the ones that a test names fail.
//!
//! Deployment, container, labels, rollout and namespace all have different names, so that mixing them up shows.

pub mod canary;
pub mod cluster;
pub mod files;
pub mod proxy;
pub mod redact;
pub mod run;
pub mod stories;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use proxy::{Journal, Proxy};
use run::Invocation;

pub const DEPLOYMENT: &str = "storefront";
pub const CONTAINER: &str = "web";
pub const ROLLOUT: &str = "checkout";
pub const FLAGS: [&str; 3] = ["CB_CACHE_ENABLED", "CB_HTTP_ENABLED", "CB_DB_ENABLED"];

/// Long enough for a busy machine; whoever waits goes on as soon as the condition holds.
pub const PATIENCE: Duration = Duration::from_secs(120);

const DELETING: Duration = Duration::from_secs(10);

pub struct World {
    pub namespace: String,
    /// The administrator's.
    pub kube: kube::Client,
    administrator: PathBuf,
    /// What the tests' cbctl takes for the API server.
    pub api: Proxy,
    /// What it takes for Prometheus.
    pub prometheus: Proxy,
    pub folder: TempDir,
}

impl World {
    /// A namespace and a folder, with nothing in them.
    pub async fn empty() -> Self {
        let administrator = PathBuf::from(required("CBCTL_TEST_KUBECONFIG"));
        Self::empty_in(administrator, &required("CBCTL_TEST_PROMETHEUS")).await
    }

    /// The same in a cluster of the test's own.
    pub async fn empty_in(administrator: PathBuf, prometheus: &str) -> Self {
        // The only TLS stack, chosen once for all clients; a second call finds it chosen.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kube = cluster::client_of(&administrator).await;
        let namespace = cluster::make_namespace(&kube).await;
        let journal = Journal::default();
        let api = Proxy::before_api_server(kube.clone(), &journal).await;
        let prometheus = Proxy::before_prometheus(prometheus, &journal).await;
        Self { namespace, kube, administrator, api, prometheus, folder: TempDir::new().unwrap() }
    }

    /// A healthy service with every breaker off, and phases that nothing but sign-offs and order hold up.
    pub async fn new() -> Self {
        let world = Self::empty().await;
        world.write_files(files::UNGATED);
        world.deploy(|_| ()).await;
        world
    }

    /// A service that has been promoted to `phase`, one after the other.
    pub async fn promoted_to(phases: &[&str]) -> Self {
        let world = Self::new().await;
        world.promote_through(phases).await;
        world
    }

    pub async fn promote_through(&self, phases: &[&str]) {
        for phase in phases {
            let run = self.cbctl(&["promote", phase]).await;
            assert_eq!(run.status, 0, "promote {phase}:\n{run}");
            // The controller writes the status of what was just changed, which makes another version.
            self.until_healthy().await;
        }
    }

    /// A command as a user would type it in the folder.
    pub fn cbctl(&self, arguments: &[&str]) -> Invocation {
        Invocation::new(self, arguments)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn write_files(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            self.write(&format!("phases/{name}"), text);
        }
    }

    /// Replaces a piece of a file, which has to be there.
    pub fn edit(&self, name: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(old), "`{old}` is not in {name}:\n{text}");
        self.write(name, &text.replacen(old, new, 1));
    }

    /// Puts something at the end of a file.
    pub fn append(&self, name: &str, more: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        self.write(name, &(text + more));
    }

    /// A kubeconfig for this server, with this namespace, in the folder.
    pub fn kubeconfig_for(&self, server: &str) -> PathBuf {
        let name = format!("kubeconfig-{}", server.rsplit(':').next().unwrap());
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: staging\n\
             clusters: [{{name: east, cluster: {{server: \"{server}\"}}}}]\n\
             users: [{{name: engineer, user: {{}}}}]\n\
             contexts: [{{name: staging, context: {{cluster: east, user: engineer, namespace: {}}}}}]\n",
            self.namespace
        );
        // Written once: another command may be reading it.
        if !self.path(&name).exists() {
            self.write(&name, &text);
        }
        self.path(&name)
    }
}

impl Drop for World {
    /// The namespace goes away in the background of the API server; a test that failed leaves nothing behind either.
    fn drop(&mut self) {
        let (namespace, administrator) = (self.namespace.clone(), self.administrator.clone());
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = cluster::client_of(&administrator).await;
                // A server that hangs because its test has failed shall not hold up the end of the test.
                let _ = tokio::time::timeout(DELETING, cluster::delete_namespace(&client, &namespace)).await;
            });
        });
        let _ = deleted.join();
    }
}

/// What `tests/run` tells about the servers.
#[expect(clippy::disallowed_methods, reason = "a test has no command line to read the environment")]
pub fn required(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{variable} is not set: these tests need the test cluster, run ./tests/run"),
    }
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Looks until there is something to see.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain until {what}; the last command said:\n{}",
            run::LAST.take()
        );
        sleep(Duration::from_millis(50)).await;
    }
}
