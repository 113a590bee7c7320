//! What to switch off, however that is found out: by the command line, by the files of one rollout or of many, by a
//! label, or by the record on a Deployment.

use super::super::Context;
use super::urgency::{Stop, Urgency};
use crate::cli::Rollback;
use crate::cluster::{Cluster, Error as ClusterError};
use crate::error::Error;
use crate::output::emergency::{self, Result as Outcome};
use crate::output::in_one_line;
use crate::phase_file;
use crate::rollout::canary::canary_of;
use crate::rollout::declaration::{Flags, Header};
use crate::rollout::emergency::choose;
use crate::rollout::progress::Goal;
use crate::rollout::workload::FlagValue;

/// What to switch off in one Deployment.
pub(super) struct Order {
    pub cluster: Cluster,
    /// Under which the history is kept; None of a canary, whose history is its rollout's.
    pub name: Option<String>,
    pub deployment: String,
    /// None where the Deployment has to be asked.
    pub container: Option<String>,
    pub off: Flags,
}

/// Namespace and name of a Deployment.
pub(super) type Key = (String, String);

impl Order {
    pub(super) fn key(&self) -> Key {
        (self.cluster.namespace.clone(), self.deployment.clone())
    }

    /// That of its canary.
    pub(super) fn canary_key(&self) -> Key {
        (self.cluster.namespace.clone(), canary_of(&self.deployment))
    }

    /// The same for the canary beside it.
    pub(super) fn of_canary(&self) -> Self {
        Self {
            cluster: self.cluster.clone(),
            name: None,
            deployment: canary_of(&self.deployment),
            container: self.container.clone(),
            off: self.off.clone(),
        }
    }

    /// What every pod has to run.
    pub(super) fn goal(&self) -> Goal {
        Goal::Values(self.off.iter().map(|(flag, value)| (flag.clone(), FlagValue::Literal(value.clone()))).collect())
    }
}

/// Everything that was asked for.
pub(super) struct Orders {
    pub list: Vec<Order>,
    /// What cannot be switched off, because nobody knows what it is.
    pub refused: Vec<Refused>,
}

/// A place where something is asked for that cannot be made out.
pub(super) struct Refused {
    pub namespace: Option<String>,
    /// A Deployment, or none where a file is the place: its error says so.
    pub deployment: Option<String>,
    pub error: Error,
}

impl Refused {
    pub(super) fn hint(&self) -> Option<String> {
        self.error.hint()
    }

    /// What is told of it.
    pub(super) fn report(self) -> emergency::Row {
        emergency::Row {
            result: Outcome::Refused,
            namespace: self.namespace,
            deployment: self.deployment,
            changes: Vec::new(),
            took: None,
            pods: None,
            was: None,
            exit: self.error.exit_status(),
            error: Some(in_one_line(&self.error)),
        }
    }
}

pub(super) async fn find(arguments: &Rollback, urgency: &Urgency<'_>) -> Result<Orders, Error> {
    match &arguments.emergency.selector {
        Some(selector) => labelled(arguments, selector, urgency).await,
        None if arguments.emergency.all => everywhere(arguments, urgency).await,
        None => Ok(Orders { list: vec![one(arguments, urgency).await?], refused: Vec::new() }),
    }
}

/// From every rollout below a folder. What cannot be read stops none of the others.
async fn everywhere(arguments: &Rollback, urgency: &Urgency<'_>) -> Result<Orders, Error> {
    let Context { printer, global } = urgency.context;
    let found = phase_file::find_rollouts(&global.files)?;
    for folder in &found.loops {
        printer.tell(&format!("warning: \"{folder}\" leads back to where it is: not followed"));
    }
    let connected = connect(urgency, None).await?;
    let (mut list, mut errors) = (Vec::new(), found.unreadable);
    for folder in &found.rollouts {
        match phase_file::load_header(folder) {
            Ok(header) => {
                let cluster = match (&global.namespace, &header.namespace) {
                    (None, Some(namespace)) => connected.in_namespace(namespace),
                    _ => connected.clone(),
                };
                list.push(Order {
                    cluster,
                    container: arguments.emergency.container.clone().or(header.container.clone()),
                    off: named(arguments).unwrap_or_else(|| header.breakers_off()),
                    deployment: header.deployment,
                    name: Some(header.name),
                });
            }
            Err(error) => errors.push(error),
        }
    }
    let refused = |error: phase_file::Error| {
        printer.error(&error, error.snippet().as_deref(), None);
        Refused { namespace: None, deployment: None, error: error.into() }
    };
    Ok(Orders { list, refused: errors.into_iter().map(refused).collect() })
}

/// From the Deployments with these labels, and the records on them.
async fn labelled(arguments: &Rollback, selector: &str, urgency: &Urgency<'_>) -> Result<Orders, Error> {
    let cluster = connect(urgency, None).await?;
    let listed = urgency.insist(async || cluster.select(selector).await).await.map_err(Stop::error)?;
    if listed.is_empty() {
        return Err(Error::NothingLabelled { namespace: cluster.namespace, selector: selector.to_owned() });
    }
    let mut orders = Orders { list: Vec::new(), refused: Vec::new() };
    for choice in choose(&listed, &named(arguments).unwrap_or_default(), arguments.emergency.container.as_deref()) {
        match choice {
            Ok(choice) => orders.list.push(Order {
                cluster: cluster.clone(),
                name: (!choice.is_canary).then(|| choice.deployment.clone()),
                deployment: choice.deployment,
                container: choice.container,
                off: choice.off,
            }),
            Err(deployment) => {
                let namespace = cluster.namespace.clone();
                let error = ClusterError::NoRecord { namespace, deployment: Some(deployment.clone()) };
                let namespace = Some(cluster.namespace.clone());
                orders.refused.push(Refused { namespace, deployment: Some(deployment), error: error.into() });
            }
        }
    }
    Ok(orders)
}

/// From the command line, then rollout.yaml, and then the Deployment's own record.
async fn one(arguments: &Rollback, urgency: &Urgency<'_>) -> Result<Order, Error> {
    let (header, files) = match phase_file::load_header(&urgency.context.global.files) {
        Ok(header) => (Some(header), None),
        Err(error) => (None, Some(error)),
    };
    if let Some(error) = &files {
        urgency.context.printer.warn(error);
    }
    let cluster = connect(urgency, header.as_ref().and_then(|header| header.namespace.as_deref())).await?;
    // Of another Deployment than the declared one nothing else that is declared holds.
    let header =
        header.filter(|header| arguments.emergency.deployment.as_ref().is_none_or(|name| *name == header.deployment));
    let deployment = arguments.emergency.deployment.as_ref().or(header.as_ref().map(|header| &header.deployment));
    let off = named(arguments).or(header.as_ref().map(Header::breakers_off));
    if let (Some(deployment), Some(off)) = (deployment, off) {
        let declared = header.as_ref().and_then(|header| header.container.clone());
        let container = arguments.emergency.container.clone().or(declared);
        let name = header.as_ref().map_or_else(|| deployment.clone(), |header| header.name.clone());
        return Ok(Order { cluster, name: Some(name), deployment: deployment.clone(), container, off });
    }
    let read = async || cluster.recorded_target(arguments.emergency.deployment.as_deref()).await;
    match (urgency.insist(read).await, files) {
        (Ok((target, off)), _) => {
            let container = arguments.emergency.container.clone().or(target.container);
            let name = Some(target.deployment.clone());
            Ok(Order { name, deployment: target.deployment, container, off, cluster })
        }
        (Err(Stop::Failed(error @ ClusterError::NoRecord { .. })), Some(files)) => {
            Err(Error::NothingNamed { files: Box::new(files), hint: error.hint().unwrap_or_default() })
        }
        (Err(stop), _) => Err(stop.error()),
    }
}

async fn connect(urgency: &Urgency<'_>, namespace: Option<&str>) -> Result<Cluster, Error> {
    let mut cluster = urgency.context.cluster(namespace).await?;
    cluster.keep_deadline(urgency.deadline);
    Ok(cluster)
}

/// The flags of the command line, if there are any.
fn named(arguments: &Rollback) -> Option<Flags> {
    let flags: Flags = arguments.emergency.flags.iter().map(|flag| (flag.clone(), "false".to_owned())).collect();
    (!flags.is_empty()).then_some(flags)
}
