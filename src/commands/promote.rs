//! `cbctl promote`: one step further, if everything that stands against it is gone and the way back is clear; with --wait
//! one after the other, see `onward`.

mod step;

use super::interrupt::interrupted;
use super::{Aim, Context, Look, known_phase};
use crate::cli::Promote;
use crate::error::{Error, ExitStatus};
use crate::output::check::CheckReport;
use crate::rollout::route::Consent;
pub(super) use step::{Failed, Taken, Taking, WAY_BACK};

pub(super) async fn run(context: &Context, arguments: &Promote) -> Result<ExitStatus, Error> {
    let rollout = context.rollout()?;
    let phase = known_phase(&rollout, arguments.phase.as_ref())?;
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    // A yes without a reason is none.
    let reason = arguments.write.reason.as_ref().filter(|reason| !reason.trim().is_empty());
    let consent = Consent { adopt: arguments.adopt, high_risk: arguments.yes_high_risk && reason.is_some() };
    let aim = Aim { phase, consent, revisions: true, ..Aim::default() };
    let (look, identity) = tokio::join!(context.look_and_try(&rollout, &cluster, aim), cluster.identity());
    let Look { workload, decision, scope, queries, now } = look?;
    let report = CheckReport::of(&rollout, &workload, &decision, scope, queries, now);
    let taking = Taking {
        context,
        cluster: &cluster,
        rollout: &rollout,
        timeout: arguments.timeout,
        reason: arguments.write.reason.as_ref(),
        dry_run: arguments.write.dry_run,
    };
    match taking.take((&workload, &decision, &report), identity, &mut interrupted(), |_| ()).await {
        Ok(Taken::None) => {
            context.printer.answer(&report);
            Ok(decision.outcome().into())
        }
        Ok(Taken::NotClear(rehearsal, clear)) => {
            context.printer.answer(&*rehearsal);
            Ok(clear.into())
        }
        Ok(Taken::Ended(ended)) => {
            context.printer.answer(&*ended);
            Ok(ended.result.exit_status())
        }
        Err(Failed { error, report }) => {
            if let Some(report) = report {
                context.printer.answer(&*report);
            }
            Err(error)
        }
    }
}
