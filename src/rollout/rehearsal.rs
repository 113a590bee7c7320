//! The rehearsal of the way back: which rollbacks a promotion could need, and what stands in the way of each.
//!
//! What was asked of the cluster, and how, is not known here: facts go in, findings come out.

mod canary;
#[cfg(test)]
mod canary_tests;
mod finding;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

pub use self::canary::{Action, Trial};
pub use self::finding::Finding;
use super::canary::CanaryRecord;
use super::decision::Outcome;
use super::declaration::{Breaker, Flags, Rollout};
use super::name::FlagName;
use super::plan::{self, Operation, Plan};
use super::position::Emergency;
use super::replacement::{Course, Quota, Strategy};
use super::route::{Consent, Obstacle, Route};
use super::standing::Standing;
use super::workload::{FlagSource, FlagValue, Workload};

/// A change that takes something back.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// The commands that would make it, without the program's name.
    pub commands: Vec<String>,
    pub patch: Patch,
}

/// What a form writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// Everything off, without a look at what is there.
    Emergency {
        off: Flags,
        mark: Emergency,
    },
    Restore(Plan),
}

/// What the API server says to the dry run of a form.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Accepted,
    /// It would not take it, whenever it is asked.
    Refused {
        /// For lack of a permission, or by an admission plugin that words it the same.
        forbidden: bool,
        message: String,
    },
    /// It could not say.
    Failed {
        message: String,
    },
}

/// A verb that a rollback uses, or a canary takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permission {
    pub verb: &'static str,
    pub resource: &'static str,
    /// The object, where it is not the Deployment itself or the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A rollback works without it, and nothing remembers it.
    #[serde(skip)]
    pub for_history: bool,
}

/// Something that was asked for and not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Unseen {
    /// The resource, as roles name it.
    pub resource: &'static str,
    pub forbidden: bool,
    pub message: String,
}

/// A budget of disruptions that counts the stable pods, those of the canary, or both.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    pub name: String,
    pub disruptions_allowed: i32,
    pub of_stable: bool,
    pub of_canary: bool,
}

/// An autoscaler of this Deployment, or of one with its canary's name.
#[derive(Debug, Clone, PartialEq)]
pub struct Autoscaler {
    pub name: String,
    pub most: u32,
    pub of_canary: bool,
}

/// What the API server is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub forms: Vec<Form>,
    pub trials: Vec<Trial>,
    /// What the trials are about: the record that the promotion leads to.
    pub canary: Option<CanaryRecord>,
    /// Besides those that every rollback needs.
    pub permissions: Vec<Permission>,
}

/// What there is around the Deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Surroundings {
    /// One a form, in their order.
    pub answers: Vec<Answer>,
    /// One a trial.
    pub tried: Vec<Answer>,
    pub permissions: Vec<(Permission, Result<bool, Unseen>)>,
    pub quotas: Result<Vec<Quota>, Unseen>,
    pub budgets: Result<Vec<Budget>, Unseen>,
    pub autoscalers: Result<Vec<Autoscaler>, Unseen>,
    /// Objects of other rollout controllers that point at this Deployment, such as `canaries/web`.
    pub controllers: Vec<Result<Vec<String>, Unseen>>,
}

/// What a rehearsal showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    pub forms: Vec<(Form, Answer)>,
    pub trials: Vec<(Trial, Answer)>,
    pub permissions: Vec<(Permission, Result<bool, Unseen>)>,
    pub course: Option<Course>,
    /// Worst first.
    pub findings: Vec<Finding>,
}

impl Rehearsal {
    pub fn outcome(&self) -> Outcome {
        self.findings.iter().map(Finding::outcome).min().unwrap_or(Outcome::Proceed)
    }
}

/// The way to the next step that the files declare, whatever else stands against it and however long the present one
/// still bakes.
pub fn next_step(rollout: &Rollout, workload: &Workload, now: Timestamp) -> Route {
    let standing = Standing::of(rollout, workload);
    let entered = standing.place.filter(|place| place.is_last_step(rollout)).map(|place| place.phase + 1);
    let target = entered.filter(|phase| *phase < rollout.phases.len());
    Route::find(rollout, workload, target, Consent::default(), now)
}

/// What there is to ask before a plan is made, or of what is there.
pub fn asked(
    rollout: &Rollout,
    workload: &Workload,
    promoted: &Workload,
    plan: Option<&Plan>,
    operation: &Operation,
) -> Asked {
    Asked {
        forms: forms(rollout, promoted, operation),
        trials: canary::trials(workload, promoted, plan),
        canary: promoted.recorded_canary().cloned(),
        permissions: canary::permissions(rollout, promoted),
    }
}

/// Every rollback that could be needed of a workload, each patch once.
pub fn forms(rollout: &Rollout, workload: &Workload, operation: &Operation) -> Vec<Form> {
    let off = rollout.header.breakers_off();
    let mark = Emergency { at: operation.at, operation: operation.id.clone(), reason: None };
    let step_back = [("rollback".to_owned(), plan::step_back(workload, operation))];
    let runs = canary::running(workload);
    let abort = runs.map(|_| ("abort".to_owned(), plan::abort(workload, operation)));
    let undo = plan::undo(Some(rollout), &off, workload, operation);
    let of_template =
        [("rollback --undo".to_owned(), undo), ("rollback --restart".to_owned(), plan::restart(workload, operation))];
    let recorded = workload.position.iter().flatten();
    let places = recorded.flat_map(|position| &position.trail).filter_map(|taken| taken.from.as_ref());
    let back_to = places
        .map(|place| (format!("rollback --to {}", place.phase), plan::back_to(workload, &place.phase, operation)));
    let is_on = |breaker: &&Breaker| {
        let is_on = |value: &FlagValue| *value != breaker.switched_off() && *value != FlagValue::Absent;
        let in_stable = workload.flags.get(&breaker.flag).is_some_and(|found| match found {
            FlagSource::Value(value) => is_on(value),
            FlagSource::MaybeFrom(_) | FlagSource::Twice => true,
        });
        in_stable || runs.and_then(|canary| canary.flags.get(&breaker.flag)).is_some_and(is_on)
    };
    let on = rollout.header.breakers.iter().filter(is_on);
    let breakers_off = on.map(|breaker| {
        let name = breaker.name.clone();
        (format!("rollback {name}"), plan::breakers_off(rollout, workload, &[name], operation))
    });

    let mut forms =
        vec![Form { commands: vec!["rollback --emergency".to_owned()], patch: Patch::Emergency { off, mark } }];
    for (command, planned) in step_back.into_iter().chain(back_to).chain(breakers_off).chain(abort).chain(of_template) {
        // What there is nothing to take back of is not needed.
        let Ok(plan) = planned else { continue };
        let patch = Patch::Restore(plan);
        match forms.iter_mut().find(|form| form.patch == patch) {
            Some(form) if form.commands.contains(&command) => {}
            Some(form) => form.commands.push(command),
            None => forms.push(Form { commands: vec![command], patch }),
        }
    }
    forms
}

/// Puts together what was found. `promoted` is the workload that would have to be taken back, `obstacles` are those of
/// the route that leads there, and `past` is how long replacing every pod took before.
pub fn judge(
    rollout: &Rollout,
    promoted: &Workload,
    obstacles: &[Obstacle],
    asked: Asked,
    surroundings: Surroundings,
    past: Option<Duration>,
) -> Rehearsal {
    let mut findings = refusals(&asked, &surroundings);
    let counts = |obstacle: &&Obstacle| {
        matches!(obstacle, Obstacle::Paused | Obstacle::OwnedElsewhere { .. } | Obstacle::Canary { .. })
    };
    let barred = obstacles.iter().filter(counts);
    findings.extend(barred.map(|obstacle| Finding::Obstacle { obstacle: obstacle.clone() }));
    findings.extend(undone(rollout, promoted));
    for controllers in &surroundings.controllers {
        let found = controllers.iter().flatten();
        findings.extend(found.map(|object| Finding::TwoControllers { object: object.clone() }));
    }
    let runs_canary = canary::running(promoted).is_some();
    let course = time(rollout, promoted, &asked.forms, &surroundings, past, &mut findings);
    findings.extend(canary::scaled(promoted, &surroundings));
    let budgets = surroundings.budgets.iter().flatten();
    let counted = budgets.filter(|budget| budget.of_stable || (budget.of_canary && runs_canary));
    findings.extend(counted.map(|budget| Finding::Budget {
        name: budget.name.clone(),
        disruptions_allowed: budget.disruptions_allowed,
        of_canary: budget.of_canary && runs_canary,
    }));
    findings.extend(unseen(&surroundings));
    findings.sort_by_key(Finding::outcome);
    let Surroundings { answers, tried, permissions, .. } = surroundings;
    let forms = asked.forms.into_iter().zip(answers).collect();
    let trials = asked.trials.into_iter().zip(tried).collect();
    Rehearsal { forms, trials, permissions, course, findings }
}

/// What the API server would not take, and what it does not allow.
fn refusals(asked: &Asked, surroundings: &Surroundings) -> Vec<Finding> {
    let missing = surroundings.permissions.iter().filter(|(_, allowed)| *allowed == Ok(false));
    let mut findings: Vec<Finding> =
        missing.map(|(permission, _)| Finding::NotAllowed { permission: permission.clone() }).collect();
    let may_not_patch = findings.iter().any(|finding| finding.outcome() == Outcome::Held);
    findings.extend(asked.forms.iter().zip(&surroundings.answers).filter_map(|(form, answer)| {
        let commands = form.commands.clone();
        match answer {
            Answer::Accepted => None,
            // The missing permission says it for all of them.
            Answer::Refused { forbidden: true, .. } if may_not_patch => None,
            Answer::Refused { message, .. } => Some(Finding::Refused { commands, message: message.clone() }),
            Answer::Failed { message } => Some(Finding::Unanswered { commands, message: message.clone() }),
        }
    }));
    findings.extend(asked.trials.iter().zip(&surroundings.tried).filter_map(|(trial, answer)| {
        let trial = trial.clone();
        match answer {
            Answer::Accepted => None,
            Answer::Refused { forbidden: true, .. } if may_not_patch => None,
            Answer::Refused { message, .. } => Some(Finding::CanaryRefused { trial, message: message.clone() }),
            Answer::Failed { message } => Some(Finding::CanaryUnanswered { trial, message: message.clone() }),
        }
    }));
    findings
}

/// Who would undo a rollback, or the promotion.
fn undone(rollout: &Rollout, promoted: &Workload) -> Vec<Finding> {
    let applied = &promoted.upkeep.applied;
    let switched_on = rollout.header.breakers.iter().filter_map(|breaker| {
        let value = applied.get(&breaker.flag).filter(|value| **value != breaker.switched_off())?;
        let (flag, value, off) = (breaker.flag.clone(), value.clone(), breaker.off.clone());
        Some(Finding::SwitchedOnByApply { flag, value, off })
    });
    let mut findings: Vec<Finding> = switched_on.collect();
    let taken_back: Vec<FlagName> = applied
        .iter()
        .filter(|(flag, value)| promoted.flags.get(flag).is_some_and(|found| !found.is(value)))
        .map(|(flag, _)| flag.clone())
        .collect();
    if !taken_back.is_empty() {
        findings.push(Finding::TakenBackByApply { flags: taken_back });
    }
    if promoted.owned_elsewhere.is_empty() {
        findings.extend(promoted.upkeep.tools.iter().map(|tool| Finding::ManagedBy { tool }));
    }
    findings
}

/// How long a rollback would take, with what makes it slower or stops it.
fn time(
    rollout: &Rollout,
    promoted: &Workload,
    forms: &[Form],
    surroundings: &Surroundings,
    past: Option<Duration>,
    findings: &mut Vec<Finding>,
) -> Option<Course> {
    let replacement = &promoted.replacement;
    let replicas = u32::try_from(promoted.replicas.desired).unwrap_or_default();
    let margins = replacement.margins(replicas);
    let quotas = surroundings.quotas.as_deref().unwrap_or_default();
    let added = canary::added_pods(promoted);
    let tightest = replacement.footprint.tightest(quotas).filter(|tightest| tightest.room < margins.surge + added);
    let room = tightest.as_ref().map(|tightest| tightest.room.saturating_sub(added));
    findings.extend(tightest.filter(|_| replicas > 0).map(|tightest| {
        let (quota, resource, room) = (tightest.quota, tightest.resource, tightest.room);
        match room.saturating_sub(added) {
            0 if added > 0 => {
                Finding::NoRoomForCanary { quota, resource, room, pods: added, surge: margins.surge.min(1) }
            }
            0 => Finding::NoRoom { quota, resource },
            room => Finding::LittleRoom { quota, resource, room, surge: margins.surge },
        }
    }));
    findings.extend(canary::full_of_sets(promoted, quotas).map(|(quota, limit)| Finding::NoRoomForCanary {
        quota: quota.name.clone(),
        resource: limit.resource.clone(),
        room: 0,
        pods: 1,
        surge: 0,
    }));
    let shut_out = replacement.footprint.shut_out(quotas).filter(|_| replicas > 0);
    findings.extend(
        shut_out.map(|(quota, resource)| Finding::ShutOut { quota: quota.to_owned(), resource: resource.to_owned() }),
    );
    if replacement.strategy == Strategy::Recreate {
        findings.push(Finding::AllAtOnce);
    }
    let of_canary = canary::course(promoted, forms);
    let course = of_canary.or_else(|| replacement.course(replicas, room, past));
    let within = rollout.header.rollback_within;
    match &course {
        None => findings.push(Finding::Unmeasured),
        Some(course) if course.expected > within => {
            findings.push(Finding::TooSlow { course: course.clone(), within });
        }
        Some(_) => {}
    }
    let autoscalers = surroundings.autoscalers.iter().flatten().filter(|autoscaler| !autoscaler.of_canary);
    findings.extend(autoscalers.map(|autoscaler| Finding::Autoscaled {
        name: autoscaler.name.clone(),
        most: autoscaler.most,
        counts_canary: canary::running(promoted).is_some(),
        course: replacement.course(autoscaler.most, room, None),
    }));
    course
}

/// Everything that could not be seen.
fn unseen(surroundings: &Surroundings) -> Vec<Finding> {
    let Surroundings { answers: _, tried: _, permissions, quotas, budgets, autoscalers, controllers } = surroundings;
    let permissions = permissions.iter().filter_map(|(_, allowed)| allowed.as_ref().err());
    let kinds = [quotas.as_ref().err(), budgets.as_ref().err(), autoscalers.as_ref().err()];
    let controllers = controllers.iter().filter_map(|found| found.as_ref().err());
    let all = permissions.take(1).chain(kinds.into_iter().flatten()).chain(controllers);
    all.map(|Unseen { resource, forbidden, message }| Finding::Unseen {
        resource,
        forbidden: *forbidden,
        message: message.clone(),
    })
    .collect()
}
