//! Trying the checks of a decision that is held up by nothing else: programs on this machine, requests to the pods.
//!
//! Each is tried once a decision. What they showed is data for the decision that is then made anew.

use super::interrupt::interrupted;
use super::looking::Looked;
use super::{Aim, Context, Look};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::condition::check_name;
use crate::program;
use crate::rollout::decision::{Checked, Decision, Tried};
use crate::rollout::declaration::{Check, Probe, Rollout};
use crate::rollout::workload::Workload;

impl Context {
    /// A look, and where only checks are left, those tried and another look: they may have taken minutes.
    pub(super) async fn look_and_try(&self, rollout: &Rollout, cluster: &Cluster, aim: Aim) -> Result<Look, Error> {
        let look = self.look(rollout, cluster, aim).await?;
        let tried = self.try_checks(rollout, cluster, &look.workload, &look.decision).await?;
        match tried {
            Some(tried) => self.look_again(rollout, cluster, aim, &tried).await,
            None => Ok(look),
        }
    }

    /// The same for a look that was made and reported already.
    pub(super) async fn after_checks(
        &self,
        rollout: &Rollout,
        cluster: &Cluster,
        aim: Aim,
        looked: Looked,
    ) -> Result<(Looked, bool), Error> {
        // What runs now says nothing of another time.
        if aim.at.is_some() {
            return Ok((looked, false));
        }
        match self.try_checks(rollout, cluster, &looked.workload, &looked.decision).await? {
            Some(tried) => {
                let look = self.look_again(rollout, cluster, aim, &tried).await?;
                Ok((Looked::of(rollout, look), true))
            }
            None => Ok((looked, false)),
        }
    }

    /// Tries what is left to try, up to the first failure; None where there is nothing.
    pub(super) async fn try_checks(
        &self,
        rollout: &Rollout,
        cluster: &Cluster,
        workload: &Workload,
        decision: &Decision,
    ) -> Result<Option<Tried>, Error> {
        let left = decision.left_to_try();
        if left.is_empty() {
            return Ok(None);
        }
        let mut tried = Tried::default();
        let mut interrupted = interrupted();
        let environment = environment(rollout, workload, decision);
        for check in left {
            self.printer.tell(&format!("trying: {}", check_name(check)));
            let checked = tokio::select! {
                () = &mut interrupted => Checked::Failed("interrupted".to_owned()),
                checked = attempt(cluster, workload, check, &environment) => checked?,
            };
            let over = checked != Checked::Passed;
            tried.add(check, checked);
            if over {
                break;
            }
        }
        Ok(Some(tried))
    }
}

async fn attempt(
    cluster: &Cluster,
    workload: &Workload,
    check: &Check,
    environment: &[(&'static str, String)],
) -> Result<Checked, Error> {
    let wrong = match &check.probe {
        Probe::Command(command) => {
            program::run(command, environment, check.timeout).await.err().map(|failure| failure.to_string())
        }
        Probe::Http { path, port } => {
            let target = (workload.deployment.as_str(), workload.container.as_str());
            let pods = judged(workload);
            if pods.is_empty() {
                Some("there is no pod to ask".to_owned())
            } else {
                cluster.probe(target, &pods, (path, *port), check.timeout).await?
            }
        }
    };
    Ok(wrong.map_or(Checked::Passed, Checked::Failed))
}

/// The pods of the canary where one runs, all others otherwise.
fn judged(workload: &Workload) -> Vec<&str> {
    let canary: Vec<&str> = workload.live_canary().map(|pod| pod.name.as_str()).collect();
    if canary.is_empty() { workload.live_pods().map(|pod| pod.name.as_str()).collect() } else { canary }
}

/// What a program is told: about what it is asked, and where the rollout stands.
fn environment(rollout: &Rollout, workload: &Workload, decision: &Decision) -> Vec<(&'static str, String)> {
    let mut environment =
        vec![("CBCTL_NAMESPACE", workload.namespace.clone()), ("CBCTL_DEPLOYMENT", workload.deployment.clone())];
    if let Some(place) = &decision.route.standing.place {
        environment.push(("CBCTL_PHASE", rollout.phases[place.phase].name.to_string()));
        environment.push(("CBCTL_STEP", (place.step + 1).to_string()));
    }
    environment
}
