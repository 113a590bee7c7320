//! What can go wrong with the API server: one variant an operation, with its object.

use std::time::Duration;

/// A failed operation. The cause is [`Refusal`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot find out which cluster to talk to")]
    Kubeconfig {
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    #[error("cannot connect to {server}")]
    Connect {
        server: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("cannot read deployment \"{name}\" in namespace \"{namespace}\"")]
    ReadDeployment {
        namespace: String,
        name: String,
        #[source]
        source: Refusal,
    },
    #[error("cannot list the deployments in namespace \"{namespace}\"")]
    ListDeployments {
        namespace: String,
        #[source]
        source: Refusal,
    },
    #[error("cannot list the pods of deployment \"{deployment}\" in namespace \"{namespace}\"")]
    ListPods {
        namespace: String,
        deployment: String,
        #[source]
        source: Refusal,
    },
    #[error("cannot list the pods in namespace \"{namespace}\"")]
    ListAllPods {
        namespace: String,
        #[source]
        source: Refusal,
    },
    #[error("cannot list the replicasets of deployment \"{deployment}\" in namespace \"{namespace}\"")]
    ListReplicaSets {
        namespace: String,
        deployment: String,
        #[source]
        source: Refusal,
    },
    #[error("cannot ask pod \"{pod}\" in namespace \"{namespace}\"")]
    AskPod {
        namespace: String,
        pod: String,
        #[source]
        source: Refusal,
    },
    #[error("cannot patch deployment \"{name}\" in namespace \"{namespace}\"")]
    PatchDeployment {
        namespace: String,
        name: String,
        #[source]
        source: Refusal,
    },
    #[error("cannot write history to configmap \"{name}\" in namespace \"{namespace}\"")]
    WriteHistory {
        namespace: String,
        name: String,
        #[source]
        source: Refusal,
    },
    #[error("cannot read history from configmap \"{name}\" in namespace \"{namespace}\"")]
    ReadHistory {
        namespace: String,
        name: String,
        #[source]
        source: Refusal,
    },
    #[error("cannot write an event on deployment \"{deployment}\" in namespace \"{namespace}\"")]
    WriteEvent {
        namespace: String,
        deployment: String,
        #[source]
        source: Refusal,
    },
    /// Between two attempts; the last one failed.
    #[error("interrupted")]
    Interrupted {
        #[source]
        source: Box<Error>,
    },
    #[error("cannot ask the API server who we are")]
    Identify {
        #[source]
        source: Refusal,
    },
    #[error(
        "deployment \"{deployment}\" in namespace \"{namespace}\" has no container \"{container}\", but {}",
        names(available)
    )]
    NoContainer { namespace: String, deployment: String, container: String, available: Vec<String> },
    #[error(
        "deployment \"{deployment}\" in namespace \"{namespace}\" has several containers ({}) and none is named",
        names(available)
    )]
    SeveralContainers { namespace: String, deployment: String, available: Vec<String> },
    #[error("{}", match deployment {
        Some(name) => format!("deployment \"{name}\" in namespace \"{namespace}\" carries no cbctl position"),
        None => format!("no deployment in namespace \"{namespace}\" carries a cbctl position"),
    })]
    NoRecord { namespace: String, deployment: Option<String> },
    #[error("several deployments in namespace \"{namespace}\" carry a cbctl position: {}", names(deployments))]
    SeveralRecords { namespace: String, deployments: [String; 2] },
}

/// Why one request failed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The API server answered with an error.
    #[error("{message}")]
    Api { code: u16, message: String, retry_after: Option<Duration> },
    /// There was no answer.
    #[error("{server}: {detail}")]
    Transport { server: String, detail: String },
    #[error("no answer within {}s", after.as_secs())]
    Timeout { after: Duration },
    #[error("the answer is not what the API server should say")]
    Decode {
        #[source]
        source: serde_json::Error,
    },
    #[error("the request could not be made")]
    Build {
        #[source]
        source: Box<kube::core::request::Error>,
    },
}

impl Refusal {
    /// The innermost causes say what happened; the outer ones only repeat them.
    pub(super) fn transport(server: &str, source: &(dyn std::error::Error + 'static)) -> Self {
        let mut innermost = source;
        while let Some(cause) = innermost.source() {
            innermost = cause;
        }
        Self::Transport { server: server.to_owned(), detail: innermost.to_string() }
    }

    pub(super) fn api(code: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let status: Option<kube::core::Status> = serde_json::from_slice(body).ok();
        let message = match status.map(|status| status.message).filter(|message| !message.is_empty()) {
            Some(message) => format!("{message} ({code})"),
            None => format!("the API server answered {code}"),
        };
        Self::Api { code, message, retry_after }
    }

    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Api { code, .. } => Some(*code),
            Self::Transport { .. } | Self::Timeout { .. } | Self::Decode { .. } | Self::Build { .. } => None,
        }
    }
}

impl Error {
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::ReadDeployment { source, .. }
            | Self::ListDeployments { source, .. }
            | Self::ListPods { source, .. }
            | Self::ListAllPods { source, .. }
            | Self::ListReplicaSets { source, .. }
            | Self::AskPod { source, .. }
            | Self::PatchDeployment { source, .. }
            | Self::ReadHistory { source, .. }
            | Self::WriteHistory { source, .. }
            | Self::WriteEvent { source, .. }
            | Self::Identify { source } => Some(source),
            Self::Kubeconfig { .. }
            | Self::Interrupted { .. }
            | Self::Connect { .. }
            | Self::NoContainer { .. }
            | Self::SeveralContainers { .. }
            | Self::NoRecord { .. }
            | Self::SeveralRecords { .. } => None,
        }
    }

    /// The object was changed since it was read.
    pub fn is_conflict(&self) -> bool {
        self.refusal().and_then(Refusal::code) == Some(409)
    }

    /// Trying again may help.
    pub fn is_transient(&self) -> bool {
        match self.refusal() {
            Some(Refusal::Api { code, .. }) => *code == 409 || *code == 429 || *code >= 500,
            Some(Refusal::Transport { .. } | Refusal::Timeout { .. } | Refusal::Decode { .. }) => true,
            Some(Refusal::Build { .. }) | None => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let (verb, object, namespace) = match self {
            Self::Kubeconfig { .. } => {
                return Some("set KUBECONFIG, or name one of the kubeconfig's contexts with --context".to_owned());
            }
            Self::NoContainer { .. } | Self::SeveralContainers { .. } => {
                return Some("name it in rollout.yaml: target: {deployment: …, container: …}".to_owned());
            }
            Self::NoRecord { .. } | Self::SeveralRecords { .. } => {
                return Some("name what to switch off: --deployment NAME --flag NAME [--flag NAME …]".to_owned());
            }
            Self::Connect { .. } => return None,
            Self::Interrupted { .. } => return Some("cbctl status shows where things stand".to_owned()),
            Self::ReadDeployment { namespace, .. } => ("get", "deployments", namespace.as_str()),
            Self::ListDeployments { namespace, .. } => ("list", "deployments", namespace.as_str()),
            Self::ListPods { namespace, .. } | Self::ListAllPods { namespace, .. } => {
                ("list", "pods", namespace.as_str())
            }
            Self::ListReplicaSets { namespace, .. } => ("list", "replicasets", namespace.as_str()),
            Self::AskPod { namespace, .. } => ("get", "pods/proxy", namespace.as_str()),
            Self::PatchDeployment { namespace, .. } => ("patch", "deployments", namespace.as_str()),
            Self::ReadHistory { namespace, .. } => ("get", "configmaps", namespace.as_str()),
            Self::WriteHistory { namespace, .. } => ("create and patch", "configmaps", namespace.as_str()),
            Self::WriteEvent { namespace, .. } => ("create", "events", namespace.as_str()),
            Self::Identify { .. } => ("create", "selfsubjectreviews", ""),
        };
        match self.refusal()? {
            Refusal::Api { code: 401, .. } => Some(
                "the credentials are missing, wrong or expired: log in again, or choose another --context".to_owned(),
            ),
            Refusal::Api { code: 403, .. } => Some(format!(
                "needs `{verb}` on {object}{}: the role in README \"Permissions\" gives it",
                if namespace.is_empty() { String::new() } else { format!(" in namespace {namespace}") }
            )),
            Refusal::Api { code: 404, .. } => {
                Some("check `target` in rollout.yaml, and the namespace (-n) and cluster (--context)".to_owned())
            }
            Refusal::Api { code: 409, .. } => {
                Some("somebody changed the deployment meanwhile: look with `cbctl status`, then try again".to_owned())
            }
            Refusal::Transport { .. } | Refusal::Timeout { .. } => {
                Some("is the API server up, and is this the right --context?".to_owned())
            }
            Refusal::Api { .. } | Refusal::Decode { .. } | Refusal::Build { .. } => None,
        }
    }
}

fn names(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
