//! `cbctl status`: where the rollout stands. It is for looking, so that it succeeds whenever it could look.

use super::{Aim, Context, Look};
use crate::error::{Error, ExitStatus};
use crate::output::status::StatusReport;

pub(super) async fn run(context: &Context) -> Result<ExitStatus, Error> {
    let rollout = context.rollout()?;
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    let Look { workload, decision, now, .. } = context.look(&rollout, &cluster, Aim::default()).await?;
    context.printer.answer(&StatusReport::of(&rollout, &workload, &decision, cluster.context.as_deref(), now));
    Ok(ExitStatus::Success)
}
