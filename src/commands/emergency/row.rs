//! One Deployment of an emergency, how far it came, and what is told of it in the end.

use std::rc::Rc;
use std::time::Duration;

use super::super::settle::Unsettled;
use super::order::Order;
use super::urgency::Stop;
use crate::cluster::{Error as ClusterError, Target};
use crate::error::{Error, ExitStatus};
use crate::output::change::{self, Applied};
use crate::output::emergency::{self, Result as Outcome};
use crate::output::in_one_line;
use crate::output::step;
use crate::rollout::plan::Operation;
use crate::rollout::position::Place;
use crate::rollout::progress::Spread;
use crate::rollout::workload::Workload;

pub(super) struct Row {
    pub order: Order,
    pub state: State,
}

pub(super) enum State {
    /// The patch did not get through.
    Failed(Stop),
    /// It could not be found out whether there is a canary.
    Unknown(Stop),
    Sent(Box<Sent>),
}

/// A patch that the API server has taken.
pub(super) struct Sent {
    pub target: Target,
    /// The Deployment's generation that it made.
    pub generation: i64,
    pub took: Duration,
    pub arrival: Arrival,
    /// What the last look saw, and why there was no later one.
    pub last: Option<Workload>,
    pub trouble: Option<Rc<ClusterError>>,
}

/// Whether a change has come to the pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Not seen everywhere yet.
    Awaited,
    Everywhere,
    /// Waited for in vain, with the reason.
    Missed(&'static str),
}

impl Row {
    pub(super) fn sent(&self) -> Option<&Sent> {
        match &self.state {
            State::Sent(sent) => Some(sent),
            State::Failed(_) | State::Unknown(_) => None,
        }
    }

    pub(super) fn sent_mut(&mut self) -> Option<&mut Sent> {
        match &mut self.state {
            State::Sent(sent) => Some(sent),
            State::Failed(_) | State::Unknown(_) => None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.sent().is_some_and(|sent| sent.arrival == Arrival::Everywhere)
    }

    /// How its pods are spread, if they were seen.
    pub(super) fn spread(&self) -> Option<Spread> {
        Some(self.sent()?.last.as_ref()?.spread(&self.order.goal()))
    }

    /// Where the rollout stood, and how it goes on.
    pub(super) fn next(&self, operation: &Operation) -> Option<String> {
        let place = self.sent()?.was().filter(|_| self.is_done())?;
        let since = change::took(place.since, operation.at);
        Some(format!("was {}, for {since}; goes on with: cbctl promote", step::recorded(&place)))
    }

    pub(super) fn hint(&self) -> Option<String> {
        match &self.state {
            State::Failed(Stop::Failed(error)) | State::Unknown(Stop::Failed(error)) => error.hint(),
            State::Sent(sent) => sent.trouble.as_ref()?.hint(),
            State::Failed(Stop::NoTurn(_)) | State::Unknown(Stop::NoTurn(_)) => None,
        }
    }

    /// Itself, or why it is not off.
    fn or_error(self) -> Result<Self, Error> {
        let Self { order, state } = self;
        match state {
            State::Failed(stop) | State::Unknown(stop) => Err(stop.error()),
            State::Sent(sent) => match sent.arrival {
                Arrival::Missed(why) => Err(sent.missed(why, &order)),
                Arrival::Awaited | Arrival::Everywhere => Ok(Self { order, state: State::Sent(sent) }),
            },
        }
    }

    /// What is told of it.
    pub(super) fn report(self, dry_run: bool) -> emergency::Row {
        let pods = self.spread();
        let Self { order, state } = self;
        let mut report = emergency::Row {
            result: Outcome::Done,
            namespace: Some(order.cluster.namespace.clone()),
            deployment: Some(order.deployment.clone()),
            changes: order.off.iter().map(|(flag, value)| Applied::unread(flag, value)).collect(),
            took: None,
            pods,
            was: None,
            error: None,
            exit: ExitStatus::Success,
        };
        let error = match state {
            State::Failed(stop) => {
                report.result = Outcome::Failed;
                Some(stop.error())
            }
            State::Unknown(stop) => {
                report.result = Outcome::Unknown;
                report.changes.clear();
                Some(stop.error())
            }
            State::Sent(sent) => {
                (report.took, report.was) = (Some(sent.took), sent.was());
                let (result, error) = match sent.arrival {
                    Arrival::Everywhere => (Outcome::Done, None),
                    Arrival::Awaited if dry_run => (Outcome::DryRun, None),
                    Arrival::Awaited => (Outcome::Sent, None),
                    Arrival::Missed(why) => (Outcome::Unverified, Some(sent.missed(why, &order))),
                };
                report.result = result;
                error
            }
        };
        if let Some(error) = error {
            (report.exit, report.error) = (error.exit_status(), Some(in_one_line(&error)));
        }
        report
    }
}

impl Sent {
    pub(super) fn was(&self) -> Option<Place> {
        self.last.as_ref()?.recorded_place()
    }

    /// What is known where it was waited for in vain.
    fn missed(self, why: &str, order: &Order) -> Error {
        let (why, source) = match self.trouble.map(Rc::try_unwrap) {
            // The failure of a list is that of many.
            Some(Err(shared)) => (format!("{why} ({})", in_one_line(&*shared)), None),
            Some(Ok(own)) => (why.to_owned(), Some(own)),
            None => (why.to_owned(), None),
        };
        Unsettled::of(&why, self.last.as_ref(), &order.goal(), source).error()
    }
}

/// One Deployment alone of which nothing is known to have come is an error like any other; of several a report tells.
pub(super) fn unless_alone(rows: Vec<Row>) -> Result<Vec<Row>, Error> {
    let (unknown, known): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| matches!(row.state, State::Unknown(_)));
    let mut rows = match <[Row; 1]>::try_from(known) {
        Ok([only]) => vec![only.or_error()?],
        Err(several) => several,
    };
    rows.extend(unknown);
    Ok(rows)
}
