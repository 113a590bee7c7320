//! How an emergency insists on its requests: again and again until the deadline, and only so many at once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::pin::Pin;

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::super::Context;
use super::super::interrupt::interrupted;
use crate::cluster::{Error as ClusterError, retry};
use crate::error::Error;

/// Requests under way at once, each on a connection of its own. Twice as many were seen to be a tenth faster, and are
/// twice the load on an API server in an emergency.
pub(super) const AT_ONCE: usize = 32;

/// So many Deployments of one namespace are read one by one, and more of them by lists.
pub(super) const FEW: usize = 3;

/// Completes for everybody who waits when the process is asked to stop.
type Interrupted = Shared<Pin<Box<dyn Future<Output = ()>>>>;

pub(super) struct Urgency<'a> {
    pub context: &'a Context,
    pub deadline: Instant,
    interrupted: Interrupted,
    turns: Semaphore,
    /// Causes of failures that have been told; with many Deployments most of them have the same.
    told: RefCell<BTreeSet<String>>,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(ClusterError),
    /// It was not sent, or not sent again.
    NoTurn(&'static str),
}

impl<'a> Urgency<'a> {
    pub(super) fn new(context: &'a Context, deadline: Instant) -> Self {
        let (interrupted, turns) = (interrupted().shared(), Semaphore::new(AT_ONCE));
        Self { context, deadline, interrupted, turns, told: RefCell::default() }
    }

    /// Repeats a request until it is through. It waits for its turn before every attempt and not between two of them,
    /// so that those that fail do not keep the others from theirs.
    pub(super) async fn insist<T>(&self, attempt: impl AsyncFn() -> Result<T, ClusterError>) -> Result<T, Stop> {
        let tried = Cell::new(false);
        let take_turn = async || {
            // One that has failed gets its next attempt, or nobody would hear how it failed.
            let turn = if tried.replace(true) { self.any_turn().await } else { self.turn().await };
            match turn {
                Ok(_turn) => attempt().await.map(Ok),
                Err(why) => Ok(Err(Stop::NoTurn(why))),
            }
        };
        let told = |error: &ClusterError| self.tell_once(error);
        retry(self.deadline, &mut self.interrupted.clone(), told, take_turn).await.map_err(Stop::Failed)?
    }

    /// Waits for a place among those under way; whoever came first is first.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, &'static str> {
        tokio::select! {
            biased;
            why = self.over() => Err(why),
            turn = self.any_turn() => turn,
        }
    }

    async fn any_turn(&self) -> Result<SemaphorePermit<'_>, &'static str> {
        // Nobody closes it.
        self.turns.acquire().await.map_err(|_| "interrupted")
    }

    /// Waits until there is no time left, and says why.
    pub(super) async fn over(&self) -> &'static str {
        tokio::select! {
            biased;
            () = self.interrupted.clone() => "interrupted",
            () = tokio::time::sleep_until(self.deadline) => "time is up",
        }
    }

    fn tell_once(&self, error: &ClusterError) {
        let cause = error.refusal().map(ToString::to_string);
        if self.told.borrow_mut().insert(cause.unwrap_or_default()) {
            self.context.printer.retrying(error);
        }
    }
}

impl Stop {
    pub(super) fn error(self) -> Error {
        match self {
            Self::Failed(error) => error.into(),
            Self::NoTurn(why) => Error::Unverified { what: format!("{why} before it was sent"), source: None },
        }
    }
}
